"""What is known about a user and an item from the moment of each purchase: how often, how much, how regularly."""

import ibis
from ibis import _

from ecomine.feature_store.declaration import DAY, EVENT_TIMESTAMP, Feature, FeatureTable, Scope, ratio, total
from ecomine.feature_store.lines import after_kept, measured, of_the_touched

FEATURES = (
    Feature("orders_total", "orders", "orders of the item by the user so far", lambda t, w: t.orders),
    Feature("units_total", "units", "units bought so far", lambda t, w: total(t.units)),
    Feature("spend_total", "money", "money spent on it so far", lambda t, w: total(t.spend)),
    Feature(
        "last_order_day",
        "days since 1970-01-01",
        "when it was last bought; the row's own time less this is the recency",
        lambda t, w: t.second.cast("float64") / DAY,
    ),
    Feature(
        "mean_gap_days",
        "days",
        "mean time between two purchases; null before the second",
        lambda t, w: ratio(t.second - t.first_second, (t.orders - 1) * DAY),
    ),
    Feature("last_quantity", "units", "units at the last purchase", lambda t, w: total(t.last_units)),
)


def build(table: FeatureTable, scope: Scope) -> ibis.Table:
    """One row for each purchase of an item by a user, holding the totals from then on."""
    lines, pair = scope.lines, ["user_id", "item_id"]
    if scope.newest is not None:
        lines = of_the_touched(measured(scope.tables["order_lines"], scope.as_of, scope.params), pair, scope)
    moments = lines.group_by(*pair, EVENT_TIMESTAMP).agg(
        second=_.second.min(), orders=_.lines.sum(), units=_.units.sum(), spend=_.spend.sum()
    )
    so_far = ibis.window(group_by=["user_id", "item_id"], order_by=EVENT_TIMESTAMP, preceding=None, following=0)
    totals = moments.select(
        "user_id",
        "item_id",
        EVENT_TIMESTAMP,
        "second",
        orders=_.orders.sum().over(so_far),
        units=_.units.sum().over(so_far),
        spend=_.spend.sum().over(so_far),
        first_second=_.second.min().over(so_far),
        last_units=_.units,
    )
    totals = after_kept(totals, scope)
    return totals.select(
        "user_id",
        "item_id",
        EVENT_TIMESTAMP,
        **{column.name: column.of(totals).cast(column.dtype) for column in table.columns(scope.params)},
    )


USER_ITEM = FeatureTable(
    "user_item", "users and items from each purchase on", ("user_id", "item_id"), 365, FEATURES, build, apart="user_id"
)
