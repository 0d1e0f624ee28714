"""What is known about an item at each snapshot: who buys it, how much, at which price, and whether it is promoted."""

import ibis
from ibis import _

from ecomine.feature_store.declaration import EVENT_TIMESTAMP, Column, Feature, FeatureTable, Scope, ratio, spans, total
from ecomine.feature_store.lines import age, seconds
from ecomine.feature_store.snapshots import finish, windows

FEATURES = (
    Feature(
        "buyers_{w}d",
        "users",
        "different buyers in the last {w} days",
        lambda t, w: t.lines.sum(where=(t.age < w) & (t.snapshot > t.again)),
    ),
    Feature("orders_{w}d", "orders", "orders with it in the last {w} days", lambda t, w: t.lines.sum(where=t.age < w)),
    Feature("units_{w}d", "units", "units sold in the last {w} days", lambda t, w: total(t.units.sum(where=t.age < w))),
    Feature(
        "revenue_{w}d", "money", "money taken in the last {w} days", lambda t, w: total(t.spend.sum(where=t.age < w))
    ),
    Feature(
        "mean_price_{longest}d",
        "money a unit",
        "mean price paid in the last {longest} days",
        lambda t, w: ratio(t[f"revenue_{w}d"], t[f"units_{w}d"]),
    ),
    Feature(
        "discount_share_{longest}d",
        "share",
        "money taken off ÷ money at list price, in the last {longest} days",
        lambda t, w: ratio(t.off, t.listed),
    ),
    Feature(
        "repeat_buyer_share",
        "share",
        "buyers with two orders or more ÷ buyers, in the last {longest} days",
        lambda t, w: ratio(t.repeat_buyers, t[f"buyers_{w}d"]),
    ),
    Feature("days_since_first_sale", "days", "time since it was first sold", lambda t, w: t.since_first),
    Feature("days_since_last_sale", "days", "time since it was last sold", lambda t, w: t.since_last),
    Feature(
        "trend",
        "ratio",
        "units a day in the last {shortest} days ÷ units a day in the last {longest} days",
        lambda t, w: ratio(t.units_shortest * w, t[f"units_{w}d"] * t.shortest),
    ),
    Feature(
        "on_promotion",
        "0 or 1",
        "a promotion covers the snapshot; null where promotions are not known",
        lambda t, w: t.promoted,
    ),
)


REPEATS = (
    Column(
        "repeat_buyers",
        "users",
        "buyers with two orders or more, in the longest window",
        0,
        lambda t, w: t.lines.sum(where=(t.snapshot <= t.again) & (t.snapshot > t.again_twice)),
        windowed=True,
    ),
)
"""Not features themselves, but counted along with them."""

MEASURES = ("lines", "units", "spend", "listed", "off")


def build(table: FeatureTable, scope: Scope) -> ibis.Table:
    """One row for each item sold in the longest window, at each snapshot."""
    columns, shortest = table.columns(scope.params), spans(scope.params)[0]
    finer = ("again", "again_twice")
    joined = windows(scope.lines, table.keys, MEASURES, finer, [*columns, *REPEATS], scope)
    joined = joined.inner_join(_first_sales(scope), "item_id")
    if "promotions" in scope.tables:
        promoted = _promoted(scope.tables["promotions"], scope)
        joined = joined.left_join(promoted, ["item_id", "snapshot"], rname="{name}_right").drop(
            "item_id_right", "snapshot_right"
        )
        joined = joined.mutate(promoted=joined.promoted.fill_null(0.0))
    else:
        joined = joined.mutate(promoted=ibis.null("float64"))
    joined = joined.mutate(
        shortest=ibis.literal(shortest), units_shortest=joined[f"units_{shortest}d"], first=joined.first_sale
    )
    return finish(joined, table.keys, columns, scope)


def _first_sales(scope: Scope) -> ibis.Table:
    """When each item was first sold, in seconds; the lines of a day's increment do not reach back so far."""
    if scope.newest is None:
        return scope.lines.group_by("item_id").agg(first_sale=_.second.min())
    sold = scope.tables["order_lines"].filter(_[EVENT_TIMESTAMP] <= ibis.literal(scope.as_of))
    first = sold.group_by("item_id").agg(moment=_[EVENT_TIMESTAMP].min())
    return first.select("item_id", first_sale=seconds(first.moment))


def _promoted(promotions: ibis.Table, scope: Scope) -> ibis.Table:
    """Items and the snapshots that a promotion of theirs covers, [start, end); one without an end goes on."""
    step = scope.params.snapshot_days
    periods = promotions.filter(_.start_date.notnull()).select("item_id", "start_date", "end_date").distinct()
    periods = periods.mutate(
        last=age(_.start_date, scope.as_of) // step,
        first=ibis.greatest(age(_.end_date, scope.as_of) // step + 1, 0).fill_null(0),
    )
    if scope.newest is not None:
        periods = periods.mutate(last=ibis.least(_.last, scope.newest - 1))
    periods = periods.filter(_.last >= _.first)
    covered = periods.select("item_id", snapshot=ibis.range(periods.first, periods.last + 1).unnest())
    return covered.distinct().mutate(promoted=ibis.literal(1).cast("float64"))


ITEM_SNAPSHOT = FeatureTable(
    "item_snapshot",
    "items on sale at each snapshot",
    ("item_id",),
    None,
    FEATURES,
    build,
    improves=("promotions",),
    apart="item_id",
)
