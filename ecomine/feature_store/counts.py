"""How much and how lately something was bought: the features that every kind of entity shares, and who has them.

An entity is a user and an item, a user and a category, an item and a place, a category: another one is one entry here.
"""

from collections.abc import Sequence
from typing import Any

import ibis
from ibis import _

from ecomine.feature_store.declaration import DAY, Feature, FeatureTable, Scope, ratio, total
from ecomine.feature_store.snapshots import next_of, snapshot_table
from ecomine.tables import CATEGORY_SEPARATOR

COUNTS = (
    Feature("lines_{w}d", "lines", "order lines in the last {w} days", lambda t, w: t.lines.sum(where=t.age < w)),
    Feature("units_{w}d", "units", "units in the last {w} days", lambda t, w: total(t.units.sum(where=t.age < w))),
    Feature("spend_{w}d", "money", "money in the last {w} days", lambda t, w: total(t.spend.sum(where=t.age < w))),
    Feature("days_since_last", "days", "time since the last order line", lambda t, w: t.since_last),
    Feature(
        "mean_gap_days",
        "days",
        "mean time between two order lines of the last {longest} days; null before the second",
        lambda t, w: ratio(t["last"] - t["first"], (t.lines - 1) * DAY),
    ),
    Feature(
        "units_trend_{w}d",
        "ratio",
        "units a day in the last {w} days ÷ units a day in the last {longest} days",
        lambda t, w: ratio(t.units.sum(where=t.age < w) / w, t.units.sum() / t.longest.max()),
        None,
    ),
    Feature("mean_price", "money a unit", "mean price paid, last {longest} days", lambda t, w: ratio(t.spend, t.units)),
    Feature(
        "discount_share",
        "share",
        "money off ÷ money at list price, last {longest} days",
        lambda t, w: ratio(t.off, t.listed),
    ),
)

MEASURES = ("lines", "units", "spend", "listed", "off")


def _different(name: str, things: str, again: str) -> Feature:
    def count(t: Any, w: int) -> Any:
        return t.lines.sum(where=(t.age < w) & (t.snapshot > t[again]))

    return Feature(f"{name}_{{w}}d", things, f"different {things} in the last {{w}} days", count)


def _lines(scope: Scope) -> ibis.Table:
    return scope.lines


def _with_categories(scope: Scope, distinct: Sequence[tuple[str, ...]]) -> ibis.Table:
    """Lines with the category of their item, cut to the levels that the settings ask for, and `again_N` of each N."""
    parts = _.category.split(CATEGORY_SEPARATOR)
    categories = scope.tables["items"].select(
        "item_id", category=parts[: scope.params.category_levels].join(CATEGORY_SEPARATOR)
    )
    lines = scope.lines.inner_join(categories.filter(_.category.notnull()), "item_id")
    for number, what in enumerate(distinct):
        lines = next_of(lines, what, f"again_{number}")
    return lines


def _user_category(scope: Scope) -> ibis.Table:
    return _with_categories(scope, [("user_id", "item_id")])


def _category(scope: Scope) -> ibis.Table:
    return _with_categories(scope, [("category", "user_id"), ("category", "item_id")])


def _item_location(scope: Scope) -> ibis.Table:
    return next_of(scope.lines, ("item_id", "location_id", "user_id"), "again_0")


TABLES: tuple[FeatureTable, ...] = (
    snapshot_table(
        "user_item_snapshot",
        "users and items bought of late, at each snapshot",
        ("user_id", "item_id"),
        COUNTS,
        _lines,
        MEASURES,
        apart="user_id",
    ),
    snapshot_table(
        "user_category",
        "users and categories bought of late, at each snapshot",
        ("user_id", "category"),
        (*COUNTS, _different("items", "items", "again_0")),
        _user_category,
        MEASURES,
        finer=("again_0",),
        sources=("order_lines", "items"),
        apart="user_id",
    ),
    snapshot_table(
        "category_snapshot",
        "categories sold of late, at each snapshot",
        ("category",),
        (*COUNTS, _different("buyers", "users", "again_0"), _different("items", "items", "again_1")),
        _category,
        MEASURES,
        finer=("again_0", "again_1"),
        sources=("order_lines", "items"),
    ),
    snapshot_table(
        "item_location",
        "items sold of late at a place, at each snapshot",
        ("item_id", "location_id"),
        (*COUNTS, _different("buyers", "users", "again_0")),
        _item_location,
        MEASURES,
        finer=("again_0",),
        apart="item_id",
    ),
)
