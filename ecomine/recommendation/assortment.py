"""What the shop knows about its products when it decides whether to show them: stock, margin, category, repetition."""

from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import duckdb
import numpy as np
import pandas as pd

from ecomine.recommendation.purchases import Purchases
from ecomine.store import write_frame

Table: TypeAlias = duckdb.DuckDBPyRelation | pd.DataFrame

COLUMNS = ("title", "category", "margin", "available", "repeat_rate", "popularity")
MARGIN_DAYS = 90
"""Prices of so many days make up the present margin."""

PRIOR_BUYERS = 20.0
"""A category's repeat rate counts like so many buyers of a product, against those it has."""


class Assortment:
    """Facts about each of the items sold up to a moment, one row an item, in the order of their codes.

    title (the id where there is none); category (path, empty where unknown); margin (money a unit, null where cost or
    price is unknown); available (some location has it in stock, or nobody counts); repeat_rate (share of its buyers who
    bought it in more than one order, shrunk towards the category's); popularity (share of all order lines).
    """

    def __init__(self) -> None:
        self.facts = pd.DataFrame(columns=list(COLUMNS))

    def fit(
        self, purchases: Purchases, order_lines: Table, items: Table | None = None, stock: Table | None = None
    ) -> "Assortment":
        ids, at = purchases.items, purchases.at
        listed = pd.DataFrame(index=pd.Index(ids, name="item_id"))
        known = _known_items(items).reindex(listed.index)
        title, category = known["title"].to_numpy(object), known["category"].to_numpy(object)
        price = _by_item(
            order_lines,
            ("item_id", "unit_price", "quantity"),
            f"""SELECT item_id, CAST(SUM(CAST(unit_price * quantity AS DECIMAL(18, 4))) AS DOUBLE)
                / CAST(SUM(CAST(quantity AS DECIMAL(18, 4))) AS DOUBLE) AS price FROM given
            WHERE event_timestamp <= TIMESTAMP '{at}'
                AND event_timestamp > TIMESTAMP '{at}' - INTERVAL {MARGIN_DAYS} DAY
            GROUP BY item_id HAVING SUM(quantity) > 0""",
            "price",
        ).reindex(listed.index)
        held = purchases.query(
            """SELECT item, count(*) AS buyers, count(*) FILTER (orders > 1) AS again, SUM(orders) AS orders FROM (
            SELECT user, item, count(DISTINCT order_id) AS orders FROM lines GROUP BY user, item)
            GROUP BY item ORDER BY item"""
        )
        # What has just come has no buyers yet.
        buyers, again, orders = (
            np.bincount(held["item"], held[name].astype(float), len(ids)) for name in ("buyers", "again", "orders")
        )
        group = np.where(pd.isna(category), "", category)
        self.facts = pd.DataFrame(
            {
                "title": np.where(pd.isna(title), ids, title),
                "category": group,
                "margin": price.to_numpy(float) - known["unit_cost"].to_numpy(float),
                "available": ~np.isin(ids, _sold_out(stock, at)),
                "repeat_rate": _shrunk(again, buyers, group),
                "popularity": orders / max(orders.sum(), 1.0),
            }
        )
        return self

    @property
    def titles(self) -> np.ndarray:
        return self.facts["title"].to_numpy(object)

    def save(self, folder: Path) -> None:
        write_frame(folder / "assortment.parquet", self.facts)

    def load(self, folder: Path) -> "Assortment":
        self.facts = pd.read_parquet(folder / "assortment.parquet")
        return self


def _known_items(items: Table | None) -> pd.DataFrame:
    wanted = ["item_id", "title", "category", "unit_cost"]
    if items is None:
        frame = pd.DataFrame({name: [] for name in wanted})
    else:
        there = [name for name in wanted if name in items.columns]
        frame = items[there] if isinstance(items, pd.DataFrame) else items.project(", ".join(there)).df()
    return frame.drop_duplicates("item_id").set_index("item_id").reindex(columns=wanted[1:])


def _by_item(given: Table, needs: tuple[str, ...], sql: str, value: str) -> pd.Series:
    """A number an item from a query over `given`; nothing where a column it needs is not there."""
    if any(name not in given.columns for name in needs):
        return pd.Series([], index=pd.Index([], name="item_id"), dtype=float, name=value)
    relation = duckdb.connect().from_df(given) if isinstance(given, pd.DataFrame) else given
    return relation.query("given", sql).df().set_index("item_id")[value]


def _sold_out(stock: Table | None, at: datetime) -> np.ndarray:
    """Items that no location had at its last count."""
    if stock is None:
        return np.array([], object)
    found = _by_item(
        stock,
        ("item_id", "on_hand", "event_timestamp"),
        f"""SELECT item_id, max(on_hand) AS most FROM (
            SELECT item_id, arg_max(on_hand, event_timestamp) AS on_hand FROM given
            WHERE event_timestamp <= TIMESTAMP '{at}' GROUP BY item_id, location_id)
        GROUP BY item_id HAVING max(on_hand) <= 0 ORDER BY item_id""",
        "most",
    )
    return np.asarray(found.index, object)


def _shrunk(again: np.ndarray, buyers: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Share `again / buyers` of each item, drawn towards its group's and that towards everybody's."""
    number, names = pd.factorize(group, sort=True)
    overall = again.sum() / max(buyers.sum(), 1.0)
    of_group = np.bincount(number, again, len(names)) + PRIOR_BUYERS * overall
    of_group /= np.bincount(number, buyers, len(names)) + PRIOR_BUYERS
    return np.asarray((again + PRIOR_BUYERS * of_group[number]) / (buyers + PRIOR_BUYERS))
