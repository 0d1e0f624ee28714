"""How well a customer's past tells what they look at and buy today: the sign of a change of tastes.

Shares of categories over all customers stay as they are when tastes move among customers. So each look or purchase of
a window is weighed by log(p(category | customer) / p(category)), both from before, the customer's share smoothed with
the shop's as if by 5 rows (a Dirichlet prior, Zhai and Lafferty 2004). The mean over a window is what the past tells,
in nats; it falls at once when customers turn to other things. A customer counts in it by what they did.
"""

from collections.abc import Mapping
from datetime import datetime

import duckdb
import pandas as pd

PRIOR = 5.0
"""Rows of the shop's shares that each customer's are smoothed with."""

LEAST = 10
"""Rows from which on a customer's past is one."""

SOURCES = {"views": ("events", "event_type IN ('view', 'cart')"), "orders": ("order_lines", "TRUE")}

COLUMNS = ["source", "user_id", "category", "rows"]


def history(
    connection: duckdb.DuckDBPyConnection, tables: Mapping[str, duckdb.DuckDBPyRelation], until: datetime
) -> pd.DataFrame:
    """What each customer looked at and bought up to `until`: source, user_id, category, rows; sorted."""
    parts = [
        connection.sql(
            f"""SELECT '{source}' AS source, user_id, category, count(*) AS rows FROM ({acts})
            WHERE moment <= TIMESTAMP '{until}' GROUP BY ALL ORDER BY ALL"""
        ).df()
        for source, acts in _acts(connection, tables).items()
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def told(
    connection: duckdb.DuckDBPyConnection,
    tables: Mapping[str, duckdb.DuckDBPyRelation],
    past: pd.DataFrame,
    after: datetime,
    until: datetime,
    days: int,
) -> pd.DataFrame:
    """By source and window of `days` in (after, until]: what the past tells, and of how many rows.

    Columns signal, window (its number from 0), value, rows. Rows of customers without a past do not count.
    """
    parts = []
    for source, acts in _acts(connection, tables).items():
        known = past[past["source"] == source]
        if known.empty:
            continue
        connection.register("habits_past", known)
        found = connection.sql(
            f"""WITH shop AS (SELECT category, sum(rows) / sum(sum(rows)) OVER () AS share FROM habits_past GROUP BY 1),
            person AS (SELECT user_id, sum(rows) AS rows FROM habits_past GROUP BY 1 HAVING sum(rows) >= {LEAST}),
            acts AS (
                SELECT user_id, category,
                CAST(floor(epoch(moment - TIMESTAMP '{after}' - INTERVAL 1 MICROSECOND) / {days * 86400}) AS BIGINT)
                    AS number
                FROM ({acts}) WHERE moment > TIMESTAMP '{after}' AND moment <= TIMESTAMP '{until}'
            )
            SELECT 'habits in {source}' AS signal, number AS "window",
            CAST(sum(CAST(
                ln((coalesce(past.rows, 0) + {PRIOR} * share) / (person.rows + {PRIOR}) / share) AS DECIMAL(18, 9)
            )) AS DOUBLE) / count(*) AS value, count(*) AS rows
            FROM acts JOIN person USING (user_id) JOIN shop USING (category)
            LEFT JOIN habits_past AS past ON past.user_id = acts.user_id AND past.category = acts.category
            GROUP BY ALL ORDER BY 2"""
        ).df()
        connection.unregister("habits_past")
        parts.append(found)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["signal", "window", "value", "rows"])


def _acts(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, duckdb.DuckDBPyRelation]) -> dict[str, str]:
    """SQL of user_id, category, moment by source; of what the shop has."""
    items = tables.get("items")
    if items is None or "category" not in items.columns:
        return {}
    items.create_view("habits_items", replace=True)
    found = {}
    for source, (table, kept) in SOURCES.items():
        if table in tables:
            tables[table].create_view(f"habits_{table}", replace=True)
            found[source] = (
                f"SELECT user_id, category, event_timestamp AS moment FROM habits_{table} "
                f"JOIN (SELECT item_id, any_value(category) AS category FROM habits_items GROUP BY 1) USING (item_id) "
                f"WHERE {kept} AND category IS NOT NULL"
            )
    return found
