"""Which items are bought together, from each step on in which they were: for "goes with it" and for substitutes."""

import ibis
from ibis import _

from ecomine.feature_store.declaration import EVENT_TIMESTAMP, Feature, FeatureTable, Scope, ratio
from ecomine.feature_store.lines import measured, snapshot_time

LARGEST_ORDER = 50
"""Items; larger orders tell nothing about what goes together, and have a thousand pairs and more."""

FEWEST = 3
"""Orders with both, so far, from which on a pair is worth a row."""

FEATURES = (
    Feature("orders_together", "orders", "orders with both so far", lambda t, w: t.together),
    Feature(
        "share_of_item", "share", "orders with both ÷ orders with the first", lambda t, w: ratio(t.together, t.orders)
    ),
    Feature(
        "share_of_other",
        "share",
        "orders with both ÷ orders with the other",
        lambda t, w: ratio(t.together, t.other_orders),
    ),
    Feature(
        "jaccard",
        "share",
        "orders with both ÷ orders with either",
        lambda t, w: ratio(t.together, t.orders + t.other_orders - t.together),
    ),
)


def build(table: FeatureTable, scope: Scope) -> ibis.Table:
    """One row for each ordered pair of items at each snapshot that knows of more orders with both."""
    lines = scope.lines
    if scope.newest is not None:
        lines = measured(scope.tables["order_lines"], scope.as_of, scope.params)
    order = ["user_id", "order_id"]
    bought = lines.group_by(*order, "item_id").agg(snapshot=_.snapshot.max())
    bought = bought.mutate(size=_.count().over(ibis.window(group_by=order))).filter(_.size <= LARGEST_ORDER)
    if scope.newest is not None:
        late = bought.filter(_.snapshot < scope.newest)
        bought_late = bought.semi_join(late.select("item_id").distinct(), "item_id")
    else:
        bought_late = bought
    left = bought_late.select(*order, "item_id", "snapshot")
    right = bought_late.select(*order, other_item_id="item_id", other_snapshot="snapshot")
    pairs = left.inner_join(right, order).filter(_.item_id != _.other_item_id)
    pairs = pairs.group_by("item_id", "other_item_id", snapshot=ibis.least(_.snapshot, _.other_snapshot)).agg(
        together=_.count()
    )
    so_far = _window(["item_id", "other_item_id"])
    pairs = pairs.mutate(together=_.together.sum().over(so_far)).filter(_.together >= FEWEST)
    if scope.newest is not None:
        pairs = pairs.filter(_.snapshot < scope.newest)
    return _with_totals(pairs, bought_late, table, scope)


def _with_totals(pairs: ibis.Table, bought: ibis.Table, table: FeatureTable, scope: Scope) -> ibis.Table:
    """Pairs with the orders of each of the two so far."""
    steps = bought.group_by("item_id", "snapshot").agg(orders=_.count())
    first = steps.group_by("item_id").agg(oldest=_.snapshot.max())
    grid = first.select("item_id", snapshot=ibis.range(0, first.oldest + 1).unnest())
    orders = grid.left_join(steps, ["item_id", "snapshot"]).select(
        "item_id", "snapshot", orders=_.orders.fill_null(0).sum().over(_window(["item_id"]))
    )
    others = orders.select(other_item_id="item_id", snapshot="snapshot", other_orders="orders")
    joined = pairs.inner_join(orders, ["item_id", "snapshot"]).inner_join(others, ["other_item_id", "snapshot"])
    return joined.select(
        "item_id",
        "other_item_id",
        snapshot_time(joined.snapshot, scope.as_of, scope.params).name(EVENT_TIMESTAMP),
        **{column.name: column.of(joined).cast(column.dtype) for column in table.columns(scope.params)},
    )


def _window(keys: list[str]) -> ibis.expr.builders.WindowBuilder:
    return ibis.window(group_by=keys, order_by=ibis.desc("snapshot"), preceding=None, following=0)


ITEM_PAIR = FeatureTable("item_pair", "items bought together", ("item_id", "other_item_id"), 365, FEATURES, build)
