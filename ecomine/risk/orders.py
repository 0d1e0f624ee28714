"""Orders as rows of numbers, each as it looked at its own moment: for sources that have no payments with labels.

Prices and quantities are held against what the item cost and sold at before, the order against what its customer did
before. Sums are of whole ten-thousandths, so that they are the same in whatever order they are added up.
"""

import duckdb
import pandas as pd

ORDER_COLUMNS = (
    "value", "lines", "most_units", "units_to_usual", "price_to_usual", "price_below_usual", "price_under_lowest",
    "price_level", "discount_share", "discount_weight", "discount_money", "new_items", "value_to_usual",
    "orders_minutes", "orders_day", "repeats_day", "hour_distance", "new_place", "haste_elsewhere",
)  # fmt: skip
"""What an order is judged by: logarithms, shares and counts."""

KEYS = ["order_id", "user_id", "event_timestamp", "amount", "stake"]
"""stake: what the order is worth, at list prices where these are more."""

VIEW = "lines_of_orders"
"""The order lines, while features are computed."""

FEW = 3
"""Sales of an item from which on it has a usual price; below, nothing is said about it."""

_LINES = f"""
SELECT *, count(*) OVER item AS sold, sum(log_price) OVER item AS prices, sum(log_units) OVER item AS sizes,
    sum(log_price * log_price) OVER item AS price_squares, sum(log_units * log_units) OVER item AS size_squares,
    min(log_price) OVER item AS lowest,
    count(*) OVER own AS bought, count(*) OVER shop AS before, sum(log_price) OVER shop AS levels
FROM (
    SELECT order_id, user_id, item_id, coalesce(location_id, '') AS place,
        min(event_timestamp) OVER (PARTITION BY order_id) AS moment, quantity, unit_price,
        CAST(round(ln(greatest(coalesce(list_price, unit_price), unit_price, 0.01)) * 10000) AS BIGINT) AS log_price,
        CAST(round(ln(greatest(quantity, 1)) * 10000) AS BIGINT) AS log_units,
        CAST(round(quantity * unit_price * 10000) AS BIGINT) AS money,
        CAST(round(quantity * greatest(coalesce(list_price, unit_price), unit_price) * 10000) AS BIGINT) AS listed
    FROM {VIEW}
)
WINDOW item AS (PARTITION BY item_id ORDER BY moment
        RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING),
    own AS (PARTITION BY user_id, item_id ORDER BY moment
        RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING),
    shop AS (ORDER BY moment RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING)
"""


def _apart(value: str, total: str, squares: str, spread: float) -> str:
    """SQL: by how many deviations a logarithm lies above its item's mean, mixed with FEW of `spread`."""
    mean = f"({total} / sold)"
    variance = f"(({squares} - {total} * {mean}) / 1e8 + {FEW} * {spread**2}) / (sold + {FEW})"
    return f"CASE WHEN sold >= {FEW} THEN ({value} - {mean}) / 10000.0 / sqrt(greatest({variance}, 1e-6)) END"


_ORDERS = f"""
SELECT order_id, min(user_id) AS user_id, min(place) AS place, min(moment) AS event_timestamp,
    sum(money) / 10000.0 AS amount, greatest(sum(listed), sum(money)) / 10000.0 AS stake,
    ln(1 + sum(money) / 10000.0) AS value,
    CAST(round(ln(1 + sum(money) / 10000.0) * 10000) AS BIGINT) AS log_value,
    ln(1 + count(*)) AS lines, ln(max(greatest(quantity, 1))) AS most_units,
    coalesce(max({_apart("log_units", "sizes", "size_squares", 0.3)}), 0) AS units_to_usual,
    coalesce(max({_apart("log_price", "prices", "price_squares", 0.3)}), 0) AS price_to_usual,
    coalesce(max(-({_apart("log_price", "prices", "price_squares", 0.3)})), 0) AS price_below_usual,
    coalesce(max(CASE WHEN sold >= {FEW} THEN greatest(lowest - log_price, 0) / 10000.0 END), 0) AS price_under_lowest,
    CASE WHEN max(before) > 0 THEN (sum(log_price) - count(*) * max(levels) / max(before)) / 10000.0 / sqrt(count(*))
        ELSE 0 END AS price_level,
    1 - sum(money) / greatest(sum(listed), 1) AS discount_share,
    (1 - sum(money) / greatest(sum(listed), 1)) * ln(1 + count(*)) AS discount_weight,
    (1 - sum(money) / greatest(sum(listed), 1)) * ln(1 + greatest(sum(listed) - sum(money), 0) / 10000.0)
        AS discount_money,
    ln(1 + count(*) FILTER (bought = 0)) AS new_items
FROM ({_LINES}) GROUP BY order_id
"""

_JUDGED = f"""
SELECT * EXCLUDE (log_value, place, spent, east, north, orders, visits, angle, before_minutes, before_day, same,
        elsewhere),
    CASE WHEN orders > 0 THEN value - spent / orders / 10000.0 ELSE 0 END AS value_to_usual,
    ln(1 + before_minutes) AS orders_minutes, ln(1 + before_day) AS orders_day, ln(1 + same) AS repeats_day,
    CASE WHEN orders > 0
        THEN (sqrt(east * east + north * north) - east * cos(angle) - north * sin(angle)) / orders / 10000.0
        ELSE 0 END AS hour_distance,
    CASE WHEN visits = 0 THEN ln(1 + orders) ELSE 0 END AS new_place,
    CASE WHEN elsewhere IS NULL THEN 0 ELSE
        greatest(ln(86400.0 / greatest(epoch(event_timestamp) - epoch(elsewhere), 60)), 0) END AS haste_elsewhere
FROM (
    SELECT *, count(*) OVER before AS orders, sum(log_value) OVER before AS spent,
        sum(CAST(round(cos(angle) * 10000) AS BIGINT)) OVER before AS east,
        sum(CAST(round(sin(angle) * 10000) AS BIGINT)) OVER before AS north,
        count(*) OVER (PARTITION BY user_id ORDER BY event_timestamp
            RANGE BETWEEN INTERVAL 10 MINUTE PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING) AS before_minutes,
        count(*) OVER (PARTITION BY user_id ORDER BY event_timestamp
            RANGE BETWEEN INTERVAL 1 DAY PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING) AS before_day,
        count(*) OVER (PARTITION BY user_id, amount ORDER BY event_timestamp
            RANGE BETWEEN INTERVAL 1 DAY PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING) AS same,
        count(*) OVER (PARTITION BY user_id, place ORDER BY event_timestamp
            RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING) AS visits,
        CASE WHEN lag(place) OVER one <> place THEN lag(event_timestamp) OVER one END AS elsewhere
    FROM (SELECT *, 2 * pi() * (epoch(event_timestamp) % 86400) / 86400 AS angle FROM ({_ORDERS}))
    WINDOW before AS (PARTITION BY user_id ORDER BY event_timestamp
            RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING),
        one AS (PARTITION BY user_id ORDER BY event_timestamp, order_id)
)
"""


def order_features(
    connection: duckdb.DuckDBPyConnection, lines: duckdb.DuckDBPyRelation, since: pd.Timestamp, until: pd.Timestamp
) -> pd.DataFrame:
    """KEYS and ORDER_COLUMNS of the orders with since < event_timestamp <= until, in order of time and order_id.

    lines: `order_lines`; all of them until then count as what was before.
    """
    known = lines.filter(f"event_timestamp <= TIMESTAMP '{until}'")
    columns = {
        name: name if name in lines.columns else f"NULL AS {name}"
        for name in ("order_id", "user_id", "item_id", "location_id", "event_timestamp", "quantity", "unit_price",
                     "list_price")
    }  # fmt: skip
    known.project(", ".join(columns.values())).create_view(VIEW, replace=True)
    wanted = ", ".join([*KEYS, *ORDER_COLUMNS])
    try:
        return connection.sql(
            f"SELECT {wanted} FROM ({_JUDGED}) WHERE event_timestamp > TIMESTAMP '{since}' "
            "ORDER BY event_timestamp, order_id"
        ).df()
    finally:
        connection.execute(f"DROP VIEW {VIEW}")
