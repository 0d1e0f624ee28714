"""What is known about a user at each snapshot: how much, how often, how lately, in which manner they buy."""

from collections.abc import Mapping
from datetime import datetime

import ibis
from ibis import _

from ecomine.feature_store.declaration import DAY, EVENT_TIMESTAMP, Feature, FeatureTable, ratio, spans, total
from ecomine.feature_store.lines import at_snapshots, days_since, snapshot_time
from ecomine.params import FeatureParams

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


def build(
    lines: ibis.Table, table: FeatureTable, as_of: datetime, params: FeatureParams, tables: Mapping[str, ibis.Table]
) -> ibis.Table:
    """One row for each user known so far, at each snapshot."""
    columns = table.columns(params)
    daily = lines.group_by("user_id", "age", "snapshot", "again").agg(
        opens=_.opens.sum(), lines=_.lines.sum(), units=_.units.sum(), spend=_.spend.sum()
    )
    recent = at_snapshots(daily, spans(params)[-1], params)
    windows = recent.group_by("user_id", "snapshot").agg(
        **{column.name: column.of(recent).fill_null(0) for column in columns if column.windowed}
    )
    known = _so_far(lines)
    known = known.mutate(
        since_last=days_since(known.last_order, known.snapshot, as_of, params),
        since_first=days_since(known.first_order, known.snapshot, as_of, params),
    )
    joined = known.left_join(windows, ["user_id", "snapshot"], rname="{name}_right")
    return joined.select(
        "user_id",
        snapshot_time(joined.snapshot, as_of, params).name(EVENT_TIMESTAMP),
        **{
            column.name: (joined[column.name].fill_null(0) if column.windowed else column.of(joined)).cast(column.dtype)
            for column in columns
        },
    )


def _so_far(lines: ibis.Table) -> ibis.Table:
    """Totals of everything known about a user at each snapshot since their first order."""
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
    first = lines.group_by("user_id").agg(oldest=_.snapshot.max())
    grid = first.select("user_id", snapshot=ibis.range(0, first.oldest + 1).unnest())
    so_far = ibis.window(group_by="user_id", order_by=ibis.desc("snapshot"), preceding=None, following=0)
    return grid.left_join(steps, ["user_id", "snapshot"]).select(
        "user_id",
        "snapshot",
        **{name: _[name].fill_null(0).sum().over(so_far) for name in TOTALS},
        last_order=_.last_order.max().over(so_far),
        first_order=_.first_order.min().over(so_far),
    )


USER_SNAPSHOT = FeatureTable("user_snapshot", "users at each snapshot", ("user_id",), None, FEATURES, build)
