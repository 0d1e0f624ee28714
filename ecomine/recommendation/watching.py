"""What can be seen of lists each day: the share of purchases that were on them."""

from datetime import datetime

import pandas as pd

from ecomine.domain import Inputs, Watch


def measure(lists: pd.DataFrame, inputs: Inputs, after: datetime, until: datetime, days: int) -> pd.DataFrame:
    """By window of `days`: share of the products bought, by customers who have a list, that were on it.

    A product that a customer buys twice in a window counts once. Columns window, value, rows.
    """
    inputs.tables["order_lines"].create_view("watched_lines", replace=True)
    inputs.connection.register("watched_lists", lists[["user_id", "item_id"]])
    found: pd.DataFrame = inputs.connection.sql(
        f"""WITH listed AS (SELECT DISTINCT user_id, item_id FROM watched_lists),
        bought AS (
            SELECT DISTINCT user_id, item_id,
            CAST(
                floor(epoch(event_timestamp - TIMESTAMP '{after}' - INTERVAL 1 MICROSECOND) / {days * 86400}) AS BIGINT
            ) AS number
            FROM watched_lines JOIN (SELECT DISTINCT user_id FROM listed) USING (user_id)
            WHERE event_timestamp > TIMESTAMP '{after}' AND event_timestamp <= TIMESTAMP '{until}'
        )
        SELECT number AS "window", count(listed.item_id) / count(*) AS value, count(*) AS rows
        FROM bought LEFT JOIN listed USING (user_id, item_id) GROUP BY ALL ORDER BY 1"""
    ).df()
    inputs.connection.unregister("watched_lists")
    return found


WATCH = Watch("purchases on the list", measure)
