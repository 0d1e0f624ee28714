"""How full an item's shelf was at a place, at each snapshot: counts of stock, empty shelves, orders under way."""

import ibis
from ibis import _

from ecomine.feature_store.declaration import Feature, Scope, exact, ratio, total
from ecomine.feature_store.snapshots import snapshot_table, timed

MEASURES = ("n", "empty", "units", "ordered", "lead")

FEATURES = (
    Feature("counts_{w}d", "counts", "counts of its stock in the last {w} days", lambda t, w: t.n.sum(where=t.age < w)),
    Feature(
        "empty_share_{w}d",
        "share",
        "counts that found nothing left ÷ counts, in the last {w} days",
        lambda t, w: ratio(t.empty.sum(where=t.age < w), t.n.sum(where=t.age < w)),
        None,
    ),
    Feature(
        "mean_on_hand_{w}d",
        "units",
        "mean units on hand, in the last {w} days",
        lambda t, w: ratio(total(t.units.sum(where=t.age < w)), t.n.sum(where=t.age < w)),
        None,
    ),
    Feature(
        "on_order_share",
        "share",
        "counts with a delivery on its way ÷ counts, in the last {longest} days",
        lambda t, w: ratio(t.ordered, t.n),
    ),
    Feature(
        "mean_lead_days",
        "days",
        "mean days from order to delivery, in the last {longest} days",
        lambda t, w: ratio(total(t.lead), t.n),
    ),
    Feature("days_since_count", "days", "time since its stock was last counted", lambda t, w: t.since_last),
)


def _counts(scope: Scope) -> ibis.Table:
    """Counts of stock as rows for snapshots; none where the shop counts none."""
    if "stock" not in scope.tables:
        absent = {name: ibis.null("float64") for name in MEASURES}
        return scope.lines.filter(ibis.literal(False)).mutate(**absent)
    stock = scope.tables["stock"]
    for name, kind in (("location_id", "string"), ("on_order", "float64"), ("lead_time_days", "float64")):
        if name not in stock.columns:
            stock = stock.mutate(**{name: ibis.null(kind)})
    rows = timed(stock, scope.as_of, scope)
    return rows.mutate(
        empty=(_.on_hand <= 0).cast("float64"),
        units=exact(_.on_hand),
        ordered=(_.on_order.fill_null(0.0) > 0).cast("float64"),
        lead=exact(_.lead_time_days.fill_null(0.0)),
    )


TABLES = (
    snapshot_table(
        "stock_snapshot",
        "stock of items at places at each snapshot; empty where the shop counts none",
        ("item_id", "location_id"),
        FEATURES,
        _counts,
        MEASURES,
        improves=("stock",),
    ),
)
