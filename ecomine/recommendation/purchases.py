"""The order lines up to a moment, with users and items as whole numbers, so that retrievers can work on matrices."""

import weakref
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import FeatureError, NotEnoughDataError

COLUMNS = ("order_id", "user_id", "item_id", "event_timestamp")
ATTRIBUTES = ("category", "brand", "title")
DAY_US = 86_400_000_000
_TABLE = "recommendation_purchases"
_CODES = "recommendation_codes"
_SHOWN = "recommendation_impressions"


def day_number(moment: datetime | pd.Timestamp) -> float:
    """Days since 1970-01-01, with the time of day as the fraction."""
    return pd.Timestamp(moment).value / (DAY_US * 1000)


@dataclass(frozen=True)
class Purchases:
    """Order lines with event_timestamp <= `at`.

    `users` and `items` are sorted ids; a code is a place in them. `lines` is a DuckDB relation of one row a line with
    the columns user, item (codes), order_id and day (days since 1970). It lives as long as its connection.
    `attributes` says what is known of products, sold or not: item_id, category, brand, title and launch (day since
    1970); None where nothing is. Products launched up to `at` have a code even if nobody has bought them yet.
    `shown` is a relation of impressions with user and item codes, position, propensity (1 where none was logged),
    clicked (0 or 1: the visit opened the product) and day; None where the shop records none.
    """

    users: np.ndarray
    items: np.ndarray
    lines: duckdb.DuckDBPyRelation
    at: datetime
    attributes: pd.DataFrame | None = None
    shown: duckdb.DuckDBPyRelation | None = None

    @classmethod
    def of(
        cls,
        order_lines: duckdb.DuckDBPyRelation | pd.DataFrame,
        at: datetime | None = None,
        items: duckdb.DuckDBPyRelation | pd.DataFrame | None = None,
        events: duckdb.DuckDBPyRelation | pd.DataFrame | None = None,
    ) -> "Purchases":
        """Codes the lines of a relation or a DataFrame up to `at` (default: its newest line); `items` adds attributes,
        `events` impressions: a DataFrame beside a DataFrame, or a relation of the same connection.

        Raises FeatureError for a missing column, and for events of the other kind; NotEnoughDataError where no line is
        left.
        """
        require(order_lines.columns, COLUMNS, "order lines", f"Expected {', '.join(COLUMNS)}.")
        if events is not None and isinstance(events, pd.DataFrame) != isinstance(order_lines, pd.DataFrame):
            raise FeatureError("Bring order lines and events both as DataFrames, or both as relations of a connection.")
        if isinstance(order_lines, pd.DataFrame):
            connection = duckdb.connect()
            order_lines = connection.from_df(order_lines)
            events = None if events is None else connection.from_df(events)
        if at is None:
            (newest,) = order_lines.query("lines", "SELECT max(event_timestamp) FROM lines").fetchall()[0]
            at = newest
        seen = None if at is None else order_lines.filter(f"event_timestamp <= TIMESTAMP '{at}'")
        users = [] if seen is None else seen.project("user_id").distinct().order("user_id").fetchnumpy()["user_id"]
        if at is None or seen is None or len(users) == 0:
            raise NotEnoughDataError(
                f"There is no order line up to {at}; recommendation needs a history of purchases to learn from."
            )
        attributes = _attributes(items)
        new = _launched(attributes, at)
        for name, more in (("user", ""), ("item", f"UNION SELECT unnest({_sql_list(new)})")):
            seen.query(
                "lines",
                f"""CREATE OR REPLACE TEMP TABLE {_CODES}_{name}s AS
                SELECT {name}_id, row_number() OVER (ORDER BY {name}_id) - 1 AS code
                FROM (SELECT DISTINCT {name}_id FROM lines {more})""",
            )
        seen.query(
            "lines",
            f"""CREATE OR REPLACE TEMP TABLE {_TABLE} AS
            SELECT users.code::INTEGER AS user, items.code::INTEGER AS item, order_id,
                   epoch_us(event_timestamp) / {DAY_US} AS day
            FROM lines JOIN {_CODES}_users AS users USING (user_id) JOIN {_CODES}_items AS items USING (item_id)""",
        )
        sold = seen.project("item_id").distinct().fetchnumpy()["item_id"]
        known = np.unique(np.concatenate([np.asarray(sold, object), np.array(new, object)]))
        lines = seen.query("lines", f"SELECT * FROM {_TABLE}")
        shown = None if events is None else _impressions(events, at)
        return cls(np.asarray(users, object), known, lines, at, attributes, shown)

    def until(self, at: datetime) -> "Purchases":
        """The part known at an earlier moment, with the same codes."""
        shown = None if self.shown is None else self.shown.filter(f"day <= {day_number(at)!r}")
        return replace(self, lines=self.lines.filter(f"day <= {day_number(at)!r}"), at=at, shown=shown)

    def earliest(self) -> datetime:
        """The moment of the first line."""
        day = float(self.query("SELECT min(day) AS day FROM lines")["day"][0])
        return datetime(1970, 1, 1) + timedelta(days=day)

    def query(self, sql: str) -> dict[str, np.ndarray]:
        """Columns of a query over the table `lines`."""
        return {name: np.asarray(column) for name, column in self.lines.query("lines", sql).fetchnumpy().items()}


def _impressions(events: duckdb.DuckDBPyRelation, at: datetime) -> duckdb.DuckDBPyRelation | None:
    """Impressions up to `at` of known users and items; what became of one is known from the moment of the view on."""
    if {"session_id", "item_id", "event_type", "event_timestamp", "position"} - set(events.columns):
        return None
    propensity = "coalesce(propensity, 1)" if "propensity" in events.columns else "1"
    events.query(
        "events",
        f"""CREATE OR REPLACE TEMP TABLE {_SHOWN} AS
        WITH seen AS (SELECT * FROM events WHERE event_timestamp <= TIMESTAMP '{at}'),
        views AS (SELECT session_id, item_id, min(event_timestamp) AS opened FROM seen
            WHERE event_type = 'view' GROUP BY session_id, item_id)
        SELECT users.code::INTEGER AS "user", items.code::INTEGER AS item, position::INTEGER AS position,
            ({propensity})::DOUBLE AS propensity, (opened IS NOT NULL)::INTEGER AS clicked,
            epoch_us(coalesce(opened, event_timestamp)) / {DAY_US} AS day
        FROM seen JOIN {_CODES}_users AS users USING (user_id) JOIN {_CODES}_items AS items USING (item_id)
        LEFT JOIN views USING (session_id, item_id)
        WHERE event_type = 'impression' AND position > 0 AND ({propensity}) > 0""",
    )
    return events.query("events", f"SELECT * FROM {_SHOWN}")


def _attributes(items: duckdb.DuckDBPyRelation | pd.DataFrame | None) -> pd.DataFrame | None:
    """What is known of products, one row each; the columns that are not there are null."""
    if items is None:
        return None
    wanted = ["item_id", *ATTRIBUTES, "launch_date"]
    there = [name for name in wanted if name in items.columns]
    frame = items[there] if isinstance(items, pd.DataFrame) else items.project(", ".join(there)).df()
    frame = frame.drop_duplicates("item_id").sort_values("item_id", ignore_index=True).reindex(columns=wanted)
    launch = pd.to_datetime(frame.pop("launch_date"))
    days = launch.to_numpy("datetime64[us]").astype(np.int64) / DAY_US
    return frame.assign(launch=np.where(launch.isna(), np.nan, days))


def _launched(attributes: pd.DataFrame | None, at: datetime) -> list[str]:
    """Products that came on sale in the year up to `at`; what nobody bought in a year after its launch is not new."""
    if attributes is None:
        return []
    age = day_number(at) - attributes["launch"].to_numpy(float)
    return [str(item) for item in attributes["item_id"][(age >= 0) & (age < 365)]]


def _sql_list(texts: list[str]) -> str:
    quoted = ", ".join("'" + text.replace("'", "''") + "'" for text in texts)
    return f"[{quoted}]::VARCHAR[]"


def codes(ids: np.ndarray, wanted: pd.Series | np.ndarray) -> np.ndarray:
    """Places of the `wanted` ids in the sorted `ids`, which nobody may change; -1 for an id that is not there."""
    return np.asarray(_index(ids).get_indexer(pd.Index(wanted)))


_indexes: dict[int, tuple["weakref.ref[np.ndarray]", pd.Index]] = {}


def _index(ids: np.ndarray) -> pd.Index:
    """The index over an array, made once as long as that lives: for one answer it would cost more than the rest."""
    key = id(ids)
    kept = _indexes.get(key)
    if kept is None or kept[0]() is not ids:
        # Of a copy, since an index that held the array itself would keep it alive.
        kept = weakref.ref(ids, lambda _: _indexes.pop(key, None)), pd.Index(ids.copy())
        _indexes[key] = kept
    return kept[1]


def decay(half_life_days: float, at: datetime) -> str:
    """SQL of a line's weight: 1 at the moment `at`, half after each half-life; a decimal, so that sums are exact."""
    return f"CAST(pow(0.5, ({day_number(at)!r} - day) / {half_life_days!r}) AS DECIMAL(18, 9))"
