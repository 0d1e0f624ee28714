"""How people behave in the shop: funnels, cohorts, paths, searches, baskets, repeat purchase, weekdays, promotions.

Each function takes DuckDB relations of clean tables and gives a small DataFrame to read or draw, sorted by what it
tells. Everything is computed in DuckDB by columns; sums of money are exact.
"""

import duckdb
import pandas as pd

from ecomine.domain import Inputs
from ecomine.profiling.portrait import MONEY, UNKNOWN, materialised

Relation = duckdb.DuckDBPyRelation

STEPS = ("session", "view", "cart", "purchase")
_PATH_PAIRS, _BASKET_PAIRS = 50, 50
_LEAST_TOGETHER = 10
"""Orders in which two categories must be together before their tie is told."""


def tables(inputs: Inputs, people: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Everything that the tables of `inputs` allow, up to as_of; `people` gives each user_id a segment."""
    until = f"event_timestamp <= TIMESTAMP '{inputs.as_of}'"
    lines = materialised(inputs, inputs.as_of)
    made = {
        "retention": retention(lines),
        "repeat_purchase": repeat_purchase(lines),
        "weekdays": weekdays(lines),
        "baskets": baskets(lines),
        "discounts": discounts(lines),
    }
    if "promotions" in inputs.tables:
        made["promotions"] = promotions(lines, inputs.tables["promotions"])
    events = inputs.tables.get("events")
    if events is not None and {"session_id", "event_type"} <= set(events.columns):
        events = events.filter(f"{until} AND session_id IS NOT NULL")
        kinds = inputs.connection.from_df(people.astype(object))
        made |= {"sessions": sessions(events), "funnel": funnel(events, kinds), "paths": paths(events)}
        if "query" in events.columns:
            made["failed_searches"] = failed_searches(events)
    return {name: frame for name, frame in made.items() if len(frame)}


def sessions(events: Relation) -> pd.DataFrame:
    """By day: sessions, those with a purchase, mean events and minutes a session."""
    return events.query(
        "logged",
        """WITH visits AS (SELECT session_id, CAST(min(event_timestamp) AS DATE) AS day, count(*) AS events,
                date_diff('second', min(event_timestamp), max(event_timestamp)) AS seconds,
                max(CAST(event_type = 'purchase' AS INTEGER)) AS bought FROM logged GROUP BY session_id)
        SELECT CAST(day AS VARCHAR) AS day, count(*) AS sessions, CAST(sum(bought) AS BIGINT) AS with_purchase,
            sum(events) / count(*) AS events, sum(seconds) / 60 / count(*) AS minutes
        FROM visits GROUP BY day ORDER BY day""",
    ).df()


def funnel(events: Relation, people: Relation | None = None) -> pd.DataFrame:
    """How many sessions get to each step, for everybody, by device and by segment of `people`.

    A session is at a step when it did it after the step before. Columns group, value, step, sessions, reached (share of
    the sessions) and dropped (share of the step before that went no further).
    """
    device = "device" if "device" in events.columns else "NULL"
    people = people if people is not None else events.project("user_id, NULL AS segment").limit(0)
    first = events.set_alias("e").join(
        people.project("user_id AS person, segment").set_alias("p"), "e.user_id = p.person", how="left"
    )
    return first.query(
        "seen",
        f"""WITH marked AS (SELECT session_id,
                coalesce(any_value(CAST({device} AS VARCHAR) ORDER BY {device}), '{UNKNOWN}') AS device,
                coalesce(any_value(CAST(segment AS VARCHAR) ORDER BY segment), 'no customer yet') AS segment,
                min(event_timestamp) FILTER (event_type = 'view') AS viewed,
                max(event_timestamp) FILTER (event_type = 'cart') AS carted,
                max(event_timestamp) FILTER (event_type = 'purchase') AS bought FROM seen GROUP BY session_id),
        steps AS (SELECT device, segment, 1 AS s1, CAST(viewed IS NOT NULL AS INTEGER) AS s2,
                CAST(coalesce(carted >= viewed, false) AS INTEGER) AS s3,
                CAST(coalesce(carted >= viewed AND bought >= carted, false) AS INTEGER) AS s4 FROM marked),
        grouped AS (SELECT CASE WHEN grouping(device) = 0 THEN 'device' WHEN grouping(segment) = 0 THEN 'segment'
                    ELSE 'all' END AS grouped_by, coalesce(device, segment, 'all') AS value,
                sum(s1) AS n1, sum(s2) AS n2, sum(s3) AS n3, sum(s4) AS n4
            FROM steps GROUP BY GROUPING SETS ((), (device), (segment))),
        long AS (SELECT grouped_by, value, unnest([1, 2, 3, 4]) AS place, unnest({list(STEPS)}) AS step,
                unnest([n1, n2, n3, n4]) AS sessions, unnest([n1, n1, n2, n3]) AS earlier, n1 FROM grouped)
        SELECT grouped_by AS "group", value, step, CAST(sessions AS BIGINT) AS sessions,
            CAST(sessions AS DOUBLE) / nullif(n1, 0) AS reached,
            coalesce(1 - CAST(sessions AS DOUBLE) / nullif(earlier, 0), 0) AS dropped
        FROM long ORDER BY grouped_by, value, place""",
    ).df()


def retention(lines: Relation) -> pd.DataFrame:
    """Cohorts by month of the first order: customers, and how many of them bought in each month after, with money."""
    return lines.query(
        "lines",
        f"""WITH months AS (SELECT user_id, date_trunc('month', event_timestamp) AS month, SUM({MONEY}) AS money
                FROM lines GROUP BY ALL),
        cohorts AS (SELECT *, min(month) OVER (PARTITION BY user_id) AS cohort FROM months),
        sizes AS (SELECT cohort, count(DISTINCT user_id) AS customers FROM cohorts GROUP BY cohort)
        SELECT strftime(cohort, '%Y-%m') AS cohort, date_diff('month', cohort, month) AS month, any_value(customers)
                AS customers, count(*) AS active, count(*) / any_value(customers) AS retained,
            CAST(SUM(money) AS DOUBLE) AS money
        FROM cohorts JOIN sizes USING (cohort) GROUP BY cohort, month ORDER BY ALL""",
    ).df()


def repeat_purchase(lines: Relation) -> pd.DataFrame:
    """By number of the order (1 … 20): customers who got there, share who ordered again, median days until then."""
    return lines.query(
        "lines",
        """WITH orders AS (SELECT user_id, order_id, min(event_timestamp) AS begun FROM lines GROUP BY ALL),
        numbered AS (SELECT begun, row_number() OVER mine AS number, lead(begun) OVER mine AS next
            FROM orders WINDOW mine AS (PARTITION BY user_id ORDER BY begun, order_id))
        SELECT number, count(*) AS customers, count(next) / count(*) AS again,
            median(date_diff('second', begun, next) / 86400.0) AS days_until
        FROM numbered WHERE number <= 20 GROUP BY number ORDER BY number""",
    ).df()


def weekdays(lines: Relation) -> pd.DataFrame:
    """By weekday: orders and money a day, and how many times an average day's money that is."""
    return lines.query(
        "lines",
        f"""WITH days AS (SELECT CAST(event_timestamp AS DATE) AS day, count(DISTINCT order_id) AS orders, SUM({MONEY})
                AS money FROM lines GROUP BY ALL),
        whole AS (SELECT CAST(SUM(money) AS DOUBLE) / count(*) AS usual FROM days)
        SELECT isodow(day) AS weekday, count(*) AS days, sum(orders) / count(*) AS orders,
            CAST(SUM(money) AS DOUBLE) / count(*) AS money,
            CAST(SUM(money) AS DOUBLE) / count(*) / nullif(any_value(usual), 0) AS times_usual
        FROM days, whole GROUP BY weekday ORDER BY weekday""",
    ).df()


def discounts(lines: Relation) -> pd.DataFrame:
    """By depth of discount (steps of a tenth of the list price): lines, units a line and money."""
    return lines.query(
        "lines",
        f"""WITH depths AS (SELECT *, CAST(floor(greatest(least(1 - unit_price / nullif(list_price, 0), 1), 0)
                * 10 + 1e-9) AS INTEGER) AS tenth FROM lines)
        SELECT coalesce(tenth, 0) / 10 AS discount_from, count(*) AS lines,
            CAST(SUM(CAST(quantity AS DECIMAL(18, 4))) AS DOUBLE) / count(*) AS units_a_line,
            CAST(SUM({MONEY}) AS DOUBLE) AS money FROM depths GROUP BY ALL ORDER BY ALL""",
    ).df()


def promotions(lines: Relation, offers: Relation) -> pd.DataFrame:
    """What promotions do to sales: units of an item on a day with a sale, in promotion ÷ out of it (geometric mean).

    By whether the promotion came with a display, a mailer, both or a price alone; an item counts where it was sold
    both in and out of promotion. An item is in promotion on a day where it is so at any location.
    """
    have = set(offers.columns)
    shown = [
        f"bool_or({name} IS NOT NULL AND {name} <> '')" if name in have else "false" for name in ("display", "mailer")
    ]
    # The same offer holds at many locations; to bring these together first is what keeps this fast.
    kinds = offers.query(
        "offers",
        f"""WITH whole AS (SELECT item_id, start_date, end_date, {shown[0]} AS displayed, {shown[1]} AS mailed
                FROM offers GROUP BY item_id, start_date, end_date),
        daily AS (SELECT item_id, displayed, mailed, unnest(generate_series(CAST(start_date AS DATE),
                CAST(least(end_date, start_date + INTERVAL 366 DAY) AS DATE) - 1, INTERVAL 1 DAY)) AS day FROM whole)
        SELECT item_id, CAST(day AS DATE) AS day, bool_or(displayed) AS displayed, bool_or(mailed) AS mailed
        FROM daily GROUP BY ALL""",
    )
    sold = lines.query(
        "lines",
        """SELECT item_id AS item, CAST(event_timestamp AS DATE) AS sold_on,
            SUM(CAST(quantity AS DECIMAL(18, 4))) AS units FROM lines GROUP BY ALL""",
    )
    return (
        sold.set_alias("s")
        .join(kinds.set_alias("k"), "s.item = k.item_id AND s.sold_on = k.day", how="left")
        .query(
            "days",
            """WITH items AS (SELECT item, CASE WHEN day IS NULL THEN 'none'
                    WHEN displayed AND mailed THEN 'display, mailer' WHEN displayed THEN 'display'
                    WHEN mailed THEN 'mailer' ELSE 'price' END AS promotion,
                CAST(SUM(units) AS DOUBLE) / count(*) AS units, count(*) AS days FROM days GROUP BY ALL),
            plain AS (SELECT item, units AS plain FROM items WHERE promotion = 'none' AND units > 0)
            SELECT promotion, count(*) AS items, CAST(SUM(days) AS BIGINT) AS item_days,
                exp(CAST(SUM(CAST(ln(units / plain) AS DECIMAL(18, 9))) AS DOUBLE) / count(*)) AS times_units
            FROM items JOIN plain USING (item) WHERE promotion <> 'none' AND units > 0
            GROUP BY promotion ORDER BY promotion""",
        )
        .df()
    )


def baskets(lines: Relation) -> pd.DataFrame:
    """Categories that are bought together: support, confidence and lift of the pairs with the highest lift.

    Items stand for themselves where they have no category; association as of Agrawal and others
    (1993) for pairs, on orders of at most 50 categories.
    """
    return lines.query(
        "lines",
        f"""WITH kinds AS (SELECT DISTINCT order_id, coalesce(category, CAST(item_id AS VARCHAR)) AS kind FROM lines),
        small AS (SELECT * FROM kinds QUALIFY count(*) OVER (PARTITION BY order_id) <= 50),
        frequent AS (SELECT kind, count(*) AS orders FROM small GROUP BY kind ORDER BY orders DESC, kind LIMIT 300),
        kept AS (SELECT order_id, kind FROM small SEMI JOIN frequent USING (kind)),
        pairs AS (SELECT a.kind AS kind, b.kind AS other, count(*) AS together FROM kept a JOIN kept b
            ON a.order_id = b.order_id AND a.kind < b.kind GROUP BY ALL HAVING count(*) >= {_LEAST_TOGETHER}),
        whole AS (SELECT count(DISTINCT order_id) AS n FROM small)
        SELECT pairs.kind AS category, other AS goes_with, together AS orders, together / n AS support,
            together / one.orders AS confidence, together * n / one.orders / two.orders AS lift
        FROM pairs JOIN frequent one ON one.kind = pairs.kind JOIN frequent two ON two.kind = other, whole
        ORDER BY lift DESC, category, goes_with LIMIT {_BASKET_PAIRS}""",
    ).df()


def paths(events: Relation) -> pd.DataFrame:
    """What follows what in a session: the most frequent steps from one kind of event to the next, or to the end."""
    return events.query(
        "logged",
        f"""WITH moves AS (SELECT event_type AS step, coalesce(lead(event_type) OVER (PARTITION BY session_id
                ORDER BY event_timestamp, event_id), 'end') AS next FROM logged),
        steps AS (SELECT step, next, count(*) AS times FROM moves WHERE step <> next GROUP BY ALL)
        SELECT step, next, times, times / sum(times) OVER (PARTITION BY step) AS share FROM steps
        ORDER BY times DESC, step, next LIMIT {_PATH_PAIRS}""",
    ).df()


def failed_searches(events: Relation) -> pd.DataFrame:
    """Searches after which nothing was looked at before the next search or the end: the 50 queries that fail most."""
    return events.query(
        "logged",
        """WITH seen AS (SELECT session_id, event_type, query, event_timestamp, event_id FROM logged
                WHERE event_type IN ('search', 'view', 'cart', 'purchase')),
        after AS (SELECT event_type, lower(trim(query)) AS query, lead(event_type) OVER (PARTITION BY session_id
                ORDER BY event_timestamp, event_id) AS next FROM seen)
        SELECT query, count(*) AS searches, count(*) FILTER (next IS NULL OR next = 'search') AS failed,
            count(*) FILTER (next IS NULL OR next = 'search') / count(*) AS failed_share
        FROM after WHERE event_type = 'search' AND query IS NOT NULL GROUP BY query
        ORDER BY failed DESC, query LIMIT 50""",
    ).df()
