"""What somebody's orders come down to: the few numbers from which lifetime is told."""

from datetime import datetime

import duckdb
import pandas as pd

from ecomine.columns import require
from ecomine.errors import NotEnoughDataError

LINE_COLUMNS = ("user_id", "event_timestamp", "quantity", "unit_price")
SUMMARY_COLUMNS = ("user_id", "repeats", "recency_days", "age_days", "log_gaps", "paid_days", "mean_spend")


def order_summary(order_lines: duckdb.DuckDBPyRelation | pd.DataFrame, as_of: datetime | None = None) -> pd.DataFrame:
    """One row a customer, sorted by user_id, from the order lines with event_timestamp <= `as_of` (default: newest).

    Orders of one day count once. repeats: days with an order after the first; recency_days: from the first to the last;
    age_days: from the first to the day of `as_of`; log_gaps: sum of the logarithms of the days between them;
    paid_days: days with spend above 0, and mean_spend: money on such a day (null without one). Raises FeatureError for
    a missing column and NotEnoughDataError where no line is left.
    """
    require(order_lines.columns, LINE_COLUMNS, "order lines", f"Expected {', '.join(LINE_COLUMNS)}.")
    if isinstance(order_lines, pd.DataFrame):
        order_lines = duckdb.connect().from_df(order_lines)
    until = as_of or order_lines.query("lines", "SELECT max(event_timestamp) FROM lines").fetchall()[0][0]
    if until is not None:
        frame = order_lines.query(
            "lines",
            f"""WITH days AS (
                SELECT user_id, CAST(event_timestamp AS DATE) AS day,
                       SUM(CAST(quantity * unit_price AS DECIMAL(18, 4))) AS spend
                FROM lines WHERE event_timestamp <= TIMESTAMP '{until}' GROUP BY ALL),
            gaps AS (SELECT *, day - lag(day) OVER (PARTITION BY user_id ORDER BY day) AS gap FROM days)
            SELECT user_id, CAST(count(*) - 1 AS DOUBLE) AS repeats,
                   CAST(max(day) - min(day) AS DOUBLE) AS recency_days,
                   CAST(DATE '{until:%Y-%m-%d}' - min(day) AS DOUBLE) AS age_days,
                   CAST(coalesce(SUM(CAST(ln(gap) AS DECIMAL(18, 9))), 0) AS DOUBLE) AS log_gaps,
                   CAST(count(*) FILTER (spend > 0) AS DOUBLE) AS paid_days,
                   CAST(SUM(spend) FILTER (spend > 0) AS DOUBLE) / count(*) FILTER (spend > 0) AS mean_spend
            FROM gaps GROUP BY user_id ORDER BY user_id""",
        ).df()
        if len(frame):
            return frame
    raise NotEnoughDataError(f"There is no order line up to {until}; lifetime is told from purchases.")
