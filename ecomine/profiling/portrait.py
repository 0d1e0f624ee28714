"""What a customer's purchases and visits say about them at one moment: a row a customer, made by DuckDB.

Sums of money are of decimals, so that they are the same in any order.
"""

from datetime import datetime

import duckdb
import numpy as np
import pandas as pd

from ecomine.domain import Inputs
from ecomine.tables import CATEGORY_SEPARATOR

UNKNOWN = "unknown"
_RECENT_DAYS = 90
"""The stretch before a moment whose purchases tell a trend, against everything before."""

_SHRINK = 20.0
"""Lines by which a customer's price paid is shrunk towards everybody's."""

TABLE, BLOCK, PRICES = "profiling_lines", "profiling_block", "profiling_prices"
PEOPLE = 200_000
"""Customers in a block: what is usual of somebody, such as the hour, is held for a whole block at a time."""

MONEY = "CAST(quantity * unit_price AS DECIMAL(18, 4))"
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def lines_until(inputs: Inputs, at: datetime) -> duckdb.DuckDBPyRelation:
    """Order lines known at a moment, with every optional column, the item's brand and category (two levels)."""
    given = inputs.tables["order_lines"]
    have = set(given.columns)
    optional = {"list_price": "unit_price", "discount": "0.0", "coupon_id": "NULL", "location_id": "NULL"}
    columns = [name if name in have else f"{default} AS {name}" for name, default in optional.items()]
    lines = given.filter(f"event_timestamp <= TIMESTAMP '{at}'").project(
        f"order_id, user_id, item_id, event_timestamp, quantity, unit_price, {', '.join(columns)}"
    )
    items = inputs.tables.get("items")
    have = set(items.columns) if items is not None else set()
    # A category is taken at its first two levels, once an item and not once a line.
    broad = (
        f"array_to_string(string_split(CAST(category AS VARCHAR), '{CATEGORY_SEPARATOR}')[:2], '{CATEGORY_SEPARATOR}')"
    )
    texts = {"category": broad, "brand": "CAST(brand AS VARCHAR)"}
    columns = [f"{texts[name] if name in have else 'NULL::VARCHAR'} AS {name}" for name in texts]
    if items is None:
        return lines.project(f"*, {', '.join(columns)}")
    goods = items.query("i", f"SELECT DISTINCT ON (item_id) item_id, {', '.join(columns)} FROM i ORDER BY ALL")
    return lines.set_alias("lines").join(goods.set_alias("goods"), "item_id", how="left")


def materialised(inputs: Inputs, at: datetime) -> duckdb.DuckDBPyRelation:
    """The same as a temporary table, with `recent`: whether a line is of the last 90 days."""
    recent = f"event_timestamp > TIMESTAMP '{at}' - INTERVAL {_RECENT_DAYS} DAY"
    lines_until(inputs, at).query(
        "lines", f"CREATE OR REPLACE TEMP TABLE {TABLE} AS SELECT *, {recent} AS recent FROM lines"
    )
    return inputs.connection.table(TABLE)


def portrait(inputs: Inputs, at: datetime, *, whole: bool = True) -> pd.DataFrame:
    """Habits and interests of everybody who bought something up to `at`, sorted by user_id; no nulls.

    Not `whole`, it lacks brands and visits, and is made sooner.
    """
    table, connection = TABLE, inputs.connection
    materialised(inputs, at)
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {PRICES} AS
        SELECT item_id, exp(CAST(SUM(CAST(ln(unit_price) AS DECIMAL(18, 9))) AS DOUBLE) / count(*)) AS avg_price
        FROM {table} WHERE unit_price > 0 GROUP BY item_id"""
    )
    people = int(connection.sql(f"SELECT count(DISTINCT user_id) FROM {table}").fetchall()[0][0])
    blocks = max(-(-people // PEOPLE), 1)
    frame = pd.concat([_buying(connection, number, blocks) for number in range(blocks)], ignore_index=True)
    if blocks > 1:
        frame = frame.sort_values("user_id", ignore_index=True)
    for name in ("category", "brand") if whole else ("category",):
        frame = frame.merge(interests(connection, table, name), on="user_id", how="left")
        frame[name] = frame[name].fillna(UNKNOWN)
        frame[[f"{name}_strength", f"{name}_trend"]] = frame[[f"{name}_strength", f"{name}_trend"]].fillna(0.0)
    if whole:
        frame = frame.merge(visits(inputs, at), on="user_id", how="left")
        frame[["device", "referrer"]] = frame[["device", "referrer"]].fillna(UNKNOWN)
        frame["sessions"] = frame["sessions"].fillna(0.0)
    gap = (frame.last_order - frame.first_order).dt.total_seconds() / 86_400 / (frame.days - 1).clip(lower=1)
    usual = float(gap[frame.days > 1].median()) if (frame.days > 1).any() else 30.0
    # A gap known from few orders is pulled towards what is usual in the shop.
    frame["gap_days"] = (gap * (frame.days - 1) + usual) / frame.days
    frame["weekday"] = np.array(DAYS, object)[frame.weekday.to_numpy(int) - 1]
    return frame


def _buying(connection: duckdb.DuckDBPyConnection, number: int, blocks: int) -> pd.DataFrame:
    """When, how much at a time and at what price the customers of one block bought, sorted by user_id."""
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {BLOCK} AS SELECT * FROM {TABLE} WHERE hash(user_id) % {blocks} = {number}"
    )
    return connection.sql(
        f"""WITH known AS (
            SELECT *, ln(unit_price / avg_price) AS relative FROM {BLOCK} JOIN {PRICES} USING (item_id)
            WHERE unit_price > 0),
        paid AS (SELECT user_id, CAST(SUM(CAST(relative AS DECIMAL(18, 9))) AS DOUBLE) / (count(*) + {_SHRINK}) AS paid
                 FROM known GROUP BY user_id),
        orders AS (SELECT user_id, order_id, min(event_timestamp) AS begun, count(*) AS lines,
                          CAST(SUM({MONEY}) AS DOUBLE) AS money FROM {BLOCK} GROUP BY ALL),
        rhythm AS (SELECT user_id, count(*) AS orders, avg(lines) AS basket_lines,
                          CAST(SUM(CAST(money AS DECIMAL(18, 4))) AS DOUBLE) / count(*) AS basket_value,
                          CAST(SUM(CAST(money AS DECIMAL(18, 4))) AS DOUBLE) AS money,
                          max(begun) AS last_order, min(begun) AS first_order,
                          count(DISTINCT CAST(begun AS DATE)) AS days,
                          mode(hour(begun) ORDER BY hour(begun)) AS hour,
                          mode(isodow(begun) ORDER BY isodow(begun)) AS weekday
                   FROM orders GROUP BY user_id),
        habits AS (SELECT user_id, count(DISTINCT item_id) / count(*) AS variety,
                          coalesce(CAST(SUM(CAST(discount AS DECIMAL(18, 4))) AS DOUBLE), 0) AS off,
                          coalesce(CAST(SUM(CAST(quantity * list_price AS DECIMAL(18, 4))) AS DOUBLE), 0) AS listed,
                          count(*) FILTER (discount > 0 OR list_price > unit_price) / count(*) AS discounted_share,
                          count(coupon_id) / count(*) AS coupon_share,
                          coalesce(mode(CAST(location_id AS VARCHAR) ORDER BY location_id), '{UNKNOWN}') AS location
                   FROM {BLOCK} GROUP BY user_id)
        SELECT rhythm.*, variety, discounted_share,
               CASE WHEN listed > 0 THEN greatest(least(off / listed, 1), 0) ELSE 0 END AS discount_share,
               coupon_share, location, -coalesce(paid, 0) AS price_sensitivity
        FROM rhythm JOIN habits USING (user_id) LEFT JOIN paid USING (user_id) ORDER BY user_id"""
    ).df()


def interests(connection: duckdb.DuckDBPyConnection, table: str, name: str) -> pd.DataFrame:
    """The favourite category or brand: its share of the money, and how that share changed of late.

    Strength is the share over everything; trend is the share of the last
    90 days less the share before (0 where either is empty).
    """
    return connection.sql(
        f"""WITH kinds AS (SELECT user_id, {name},
                SUM({MONEY}) AS money, SUM({MONEY}) FILTER (recent) AS late, SUM({MONEY}) FILTER (NOT recent) AS early
            FROM {table} WHERE {name} IS NOT NULL AND {name} <> '' GROUP BY ALL),
        shares AS (SELECT *, CAST(money AS DOUBLE) / nullif(CAST(SUM(money) OVER mine AS DOUBLE), 0) AS share,
                CAST(coalesce(late, 0) AS DOUBLE) / nullif(CAST(SUM(late) OVER mine AS DOUBLE), 0) AS now,
                CAST(coalesce(early, 0) AS DOUBLE) / nullif(CAST(SUM(early) OVER mine AS DOUBLE), 0) AS past
            FROM kinds WINDOW mine AS (PARTITION BY user_id))
        SELECT user_id, {name}, coalesce(share, 0) AS {name}_strength, coalesce(now - past, 0) AS {name}_trend
        FROM shares QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY money DESC, {name}) = 1"""
    ).df()


def visits(inputs: Inputs, at: datetime) -> pd.DataFrame:
    """Usual device and way to the shop, and number of sessions; no row where there are no events."""
    events = inputs.tables.get("events")
    if events is None:
        empty = pd.Series([], dtype=object)
        return pd.DataFrame(
            {"user_id": empty, "device": empty, "referrer": empty, "sessions": pd.Series([], dtype=float)}
        )
    have = set(events.columns)
    device, referrer, session = (
        f"CAST({name} AS VARCHAR)" if name in have else "NULL::VARCHAR" for name in ("device", "referrer", "session_id")
    )
    return events.query(
        "logged",
        f"""SELECT user_id, mode({device} ORDER BY {device}) AS device,
            mode({referrer} ORDER BY {referrer}) AS referrer,
            CAST(count(DISTINCT {session}) AS DOUBLE) AS sessions FROM logged
        WHERE event_timestamp <= TIMESTAMP '{at}' AND user_id IS NOT NULL GROUP BY user_id ORDER BY user_id""",
    ).df()


def neighbours(inputs: Inputs, at: datetime) -> pd.DataFrame | None:
    """Of the people tied to each customer: how many, mean orders and money of the last 90 days; None without ties."""
    ties = inputs.tables.get("social_edges")
    if ties is None:
        return None
    edges, lines = ties, inputs.tables["order_lines"]
    edges.query("e", "CREATE OR REPLACE TEMP TABLE profiling_ties AS SELECT DISTINCT user_id, other_user_id FROM e")
    lines.query(
        "lines",
        f"""CREATE OR REPLACE TEMP TABLE profiling_late AS
        SELECT user_id AS other_user_id, count(DISTINCT order_id) AS orders, SUM({MONEY}) AS money FROM lines
        WHERE event_timestamp <= TIMESTAMP '{at}' AND event_timestamp > TIMESTAMP '{at}' - INTERVAL {_RECENT_DAYS} DAY
        GROUP BY ALL""",
    )
    return inputs.connection.sql(
        """SELECT user_id, CAST(count(*) AS DOUBLE) AS ties,
            CAST(coalesce(SUM(orders), 0) AS DOUBLE) / count(*) AS tie_orders,
            CAST(coalesce(SUM(money), 0) AS DOUBLE) / count(*) AS tie_money
        FROM profiling_ties LEFT JOIN profiling_late USING (other_user_id) GROUP BY user_id ORDER BY user_id"""
    ).df()
