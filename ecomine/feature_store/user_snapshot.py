"""What is known about a user at each snapshot: how much, how often, how lately, in which manner they buy."""

import ibis
from ibis import _

from ecomine.feature_store.declaration import DAY, EVENT_TIMESTAMP, Feature, FeatureTable, Scope, ratio, spans, total
from ecomine.feature_store.lines import at_snapshots, days_since, snapshot_time

TOTALS = ("opens", "lines", "units", "spend", "listed", "off", "repeat", "weekend", "evening")

FEATURES = (
    Feature("orders_{w}d", "orders", "orders begun in the last {w} days", lambda t, w: t.opens.sum(where=t.age < w)),
    Feature(
        "units_{w}d", "units", "units bought in the last {w} days", lambda t, w: total(t.units.sum(where=t.age < w))
    ),
    Feature(
        "spend_{w}d", "money", "money spent in the last {w} days", lambda t, w: total(t.spend.sum(where=t.age < w))
    ),
    Feature(
        "items_{w}d",
        "items",
        "different items bought in the last {w} days",
        lambda t, w: t.lines.sum(where=(t.age < w) & (t.snapshot > t.again)),
    ),
    Feature("orders_total", "orders", "orders so far", lambda t, w: t.opens),
    Feature("spend_total", "money", "money spent so far", lambda t, w: total(t.spend)),
    Feature("days_since_last_order", "days", "time since the last order began", lambda t, w: t.since_last),
    Feature("tenure_days", "days", "time since the first order", lambda t, w: t.since_first),
    Feature(
        "mean_order_gap_days",
        "days",
        "mean time between two orders; null before the second",
        lambda t, w: ratio(t.last_order - t.first_order, (t.opens - 1) * DAY),
    ),
    Feature("mean_basket_lines", "lines", "mean number of lines an order", lambda t, w: ratio(t.lines, t.opens)),
    Feature("mean_basket_value", "money", "mean money an order", lambda t, w: ratio(total(t.spend), t.opens)),
    Feature("discount_share", "share", "money taken off ÷ money at list price", lambda t, w: ratio(t.off, t.listed)),
    Feature("repeat_share", "share", "lines of items bought before ÷ lines", lambda t, w: ratio(t.repeat, t.lines)),
    Feature("weekend_share", "share", "orders on Saturday or Sunday ÷ orders", lambda t, w: ratio(t.weekend, t.opens)),
    Feature("evening_share", "share", "orders from 18:00 on ÷ orders", lambda t, w: ratio(t.evening, t.opens)),
)


STATE = tuple(f"state_{name}" for name in (*TOTALS, "last_order", "first_order"))
"""What is carried from one day to the next: the totals so far, which the features alone would not give exactly."""


def build(table: FeatureTable, scope: Scope) -> ibis.Table:
    """One row for each user known so far, at each snapshot."""
    columns, params = table.columns(scope.params), scope.params
    daily = scope.lines.group_by("user_id", "age", "snapshot", "again").agg(
        opens=_.opens.sum(), lines=_.lines.sum(), units=_.units.sum(), spend=_.spend.sum()
    )
    recent = at_snapshots(daily, spans(params)[-1], scope)
    windows = recent.group_by("user_id", "snapshot").agg(
        **{column.name: column.over(recent) for column in columns if column.windowed}
    )
    known = _so_far(scope)
    known = known.mutate(
        since_last=days_since(known.last_order, known.snapshot, scope.as_of, params),
        since_first=days_since(known.first_order, known.snapshot, scope.as_of, params),
    )
    joined = known.left_join(windows, ["user_id", "snapshot"], rname="{name}_right")
    return joined.select(
        "user_id",
        snapshot_time(joined.snapshot, scope.as_of, params).name(EVENT_TIMESTAMP),
        **{
            column.name: (joined[column.name].fill_null(0) if column.windowed else column.of(joined)).cast(column.dtype)
            for column in columns
        },
        **{name: joined[name.removeprefix("state_")].cast("float64") for name in STATE},
    )


def _so_far(scope: Scope) -> ibis.Table:
    """Totals of everything known about a user at each wanted snapshot since their first order."""
    lines = scope.lines if scope.newest is None else scope.lines.filter(_.snapshot < scope.newest)
    steps = lines.group_by("user_id", "snapshot").agg(
        opens=_.opens.sum(),
        lines=_.lines.sum(),
        units=_.units.sum(),
        spend=_.spend.sum(),
        listed=_.listed.sum(),
        off=_.off.sum(),
        repeat=_.repeat.sum(),
        weekend=_.weekend.sum(where=_.opens == 1),
        evening=_.evening.sum(where=_.opens == 1),
        last_order=_.second.max(where=_.opens == 1),
        first_order=_.second.min(where=_.opens == 1),
    )
    if scope.newest is not None:
        steps = steps.union(_before(scope, steps))
    first = steps.group_by("user_id").agg(oldest=_.snapshot.max())
    grid = first.select("user_id", snapshot=ibis.range(0, first.oldest + 1).unnest())
    so_far = ibis.window(group_by="user_id", order_by=ibis.desc("snapshot"), preceding=None, following=0)
    totals = grid.left_join(steps, ["user_id", "snapshot"]).select(
        "user_id",
        "snapshot",
        **{name: _[name].fill_null(0).sum().over(so_far) for name in TOTALS},
        last_order=_.last_order.max().over(so_far),
        first_order=_.first_order.min().over(so_far),
    )
    return totals if scope.newest is None else totals.filter(_.snapshot < scope.newest)


def _before(scope: Scope, steps: ibis.Table) -> ibis.Table:
    """The totals of the newest snapshot that is kept, as if all had happened in the step before it."""
    moment = snapshot_time(ibis.literal(scope.newest), scope.as_of, scope.params)
    kept = scope.kept["user_snapshot"]
    kept = kept.filter(kept[EVENT_TIMESTAMP] == moment)
    columns = {name: kept[f"state_{name}"] for name in steps.columns if name not in ("user_id", "snapshot")}
    return kept.select("user_id", snapshot=ibis.literal(scope.newest), **columns).cast(dict(steps.schema().items()))


USER_SNAPSHOT = FeatureTable(
    "user_snapshot", "users at each snapshot", ("user_id",), None, FEATURES, build, state=STATE, apart="user_id"
)
