"""What is known about an item at each snapshot: who buys it, how much, at which price, and whether it is promoted."""

from collections.abc import Mapping
from datetime import datetime

import ibis
from ibis import _

from ecomine.feature_store.declaration import EVENT_TIMESTAMP, Feature, FeatureTable, ratio, spans, total
from ecomine.feature_store.lines import age, at_snapshots, days_since, snapshot_time
from ecomine.params import FeatureParams

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


def build(
    lines: ibis.Table, table: FeatureTable, as_of: datetime, params: FeatureParams, tables: Mapping[str, ibis.Table]
) -> ibis.Table:
    """One row for each item sold in the longest window, at each snapshot."""
    columns, shortest, longest = table.columns(params), spans(params)[0], spans(params)[-1]
    daily = lines.group_by("item_id", "age", "snapshot", "again", "again_twice").agg(
        lines=_.lines.sum(),
        units=_.units.sum(),
        spend=_.spend.sum(),
        listed=_.listed.sum(),
        off=_.off.sum(),
        last_sale=_.second.max(),
    )
    recent = at_snapshots(daily, longest, params)
    second_newest = (recent.snapshot <= recent.again) & (recent.snapshot > recent.again_twice)
    windows = recent.group_by("item_id", "snapshot").agg(
        **{column.name: column.of(recent).fill_null(0) for column in columns if column.windowed},
        listed=recent.listed.sum(),
        off=recent.off.sum(),
        repeat_buyers=recent.lines.sum(where=second_newest).fill_null(0),
        last_sale=recent.last_sale.max(),
    )
    first = lines.group_by("item_id").agg(first_sale=_.second.min())
    joined = windows.inner_join(first, "item_id")
    if "promotions" in tables:
        promoted = _promoted(tables["promotions"], as_of, params)
        joined = joined.left_join(promoted, ["item_id", "snapshot"], rname="{name}_right").drop(
            "item_id_right", "snapshot_right"
        )
        joined = joined.mutate(promoted=joined.promoted.fill_null(0.0))
    else:
        joined = joined.mutate(promoted=ibis.null("float64"))
    joined = joined.mutate(
        shortest=ibis.literal(shortest),
        units_shortest=joined[f"units_{shortest}d"],
        since_first=days_since(joined.first_sale, joined.snapshot, as_of, params),
        since_last=days_since(joined.last_sale, joined.snapshot, as_of, params),
    )
    return joined.select(
        "item_id",
        snapshot_time(joined.snapshot, as_of, params).name(EVENT_TIMESTAMP),
        **{
            column.name: (joined[column.name] if column.windowed else column.of(joined)).cast(column.dtype)
            for column in columns
        },
    )


def _promoted(promotions: ibis.Table, as_of: datetime, params: FeatureParams) -> ibis.Table:
    """Items and the snapshots that a promotion of theirs covers, [start, end); one without an end goes on."""
    step = params.snapshot_days
    periods = promotions.filter(_.start_date.notnull()).select("item_id", "start_date", "end_date").distinct()
    periods = periods.mutate(
        last=age(_.start_date, as_of) // step,
        first=ibis.greatest(age(_.end_date, as_of) // step + 1, 0).fill_null(0),
    ).filter(_.last >= _.first)
    covered = periods.select("item_id", snapshot=ibis.range(periods.first, periods.last + 1).unnest())
    return covered.distinct().mutate(promoted=ibis.literal(1).cast("float64"))


ITEM_SNAPSHOT = FeatureTable("item_snapshot", "items on sale at each snapshot", ("item_id",), None, FEATURES, build)
