"""A shop's own tables as weekly sales by item and place: what demand is learnt from.

Weeks end on Monday 00:00 UTC, the last one at or before `as_of`; a week holds what happened in (begin, end]. The last
week has the number 0, the one before it −1; the coming one is 1.
"""

from datetime import datetime, timedelta

import duckdb
import pandas as pd

from ecomine.domain import Inputs
from ecomine.errors import NotEnoughDataError
from ecomine.pricing.params import PricingParams

WEEK = timedelta(days=7)
HALF = "INTERVAL 84 HOUR"
MONDAY = datetime(1970, 1, 5)
EVERYWHERE = "everywhere"
"""The one place where a shop has so many that an item hardly sells at each."""

PRICE_TEST = "price test"
SPARE = 2
"""Units below which a shelf counts as sold out: who wants several goes without."""

PROMOTIONS = ("promotion", "display", "mailer")


def end_of_weeks(as_of: datetime) -> datetime:
    """The last Monday 00:00 up to `as_of`, or at most a second after it.

    >>> end_of_weeks(datetime(2017, 12, 31, 23, 59, 59)), end_of_weeks(datetime(2018, 1, 3))
    (datetime.datetime(2018, 1, 1, 0, 0), datetime.datetime(2018, 1, 1, 0, 0))
    """
    return MONDAY + (as_of + timedelta(seconds=1) - MONDAY) // WEEK * WEEK


def places(inputs: Inputs) -> str:
    """SQL of the place of a row: its location, or one place for all where there are more than `most_locations`."""
    lines = inputs.tables["order_lines"]
    if "location_id" not in lines.columns:
        return f"'{EVERYWHERE}'"
    count = lines.query("lines", "SELECT count(DISTINCT location_id) FROM lines").fetchall()[0][0]
    return "location_id" if 0 < count <= inputs.params.most_locations else f"'{EVERYWHERE}'"


def weekly(inputs: Inputs, place: str) -> pd.DataFrame:
    """Rows item_id, location_id, period, price, units and, as far as the shop's tables tell them, category, brand,
    promotion, display, mailer and test (shares of the places), competitor_price and stock (0 where it sold out).

    Items are those that sold enough before the test weeks, see `_chosen`. A row is there for every week from an
    item's first sale to its last, and to the end of the weeks where it was sold within the last `test_weeks`; without
    a sale its price is what was last asked. Sorted by item, place and week. Raises NotEnoughDataError for no such item.
    """
    params: PricingParams = inputs.params
    connection, end = inputs.connection, end_of_weeks(inputs.as_of)
    _sold(inputs, place, end)
    chosen = _chosen(connection, params)
    if not chosen:
        raise NotEnoughDataError(
            f"No item sold at least {params.min_units:g} units a week at a place before the last {params.test_weeks} "
            f"weeks up to {end:%Y-%m-%d}; prices need such a history. Bring more order lines or lower "
            "`pricing.min_units`."
        )
    rows = connection.sql(
        f"""WITH spans AS (
            SELECT item_id, location_id, min(period) AS first_week,
                CASE WHEN max(period) > -2 * {params.test_weeks} THEN 0 ELSE max(period) END AS last_week
            FROM pricing_sold SEMI JOIN pricing_chosen USING (item_id) GROUP BY ALL
        ), grid AS (
            SELECT item_id, location_id, unnest(generate_series(first_week, last_week)) AS period FROM spans
        ), filled AS (
            SELECT grid.*, coalesce(units, 0.0) AS units, money / units AS paid,
                last_value(listed / units IGNORE NULLS) OVER (PARTITION BY item_id, location_id ORDER BY period)
                    AS asked
            FROM grid LEFT JOIN pricing_sold USING (item_id, location_id, period)
        )
        SELECT item_id, location_id, CAST(period AS DOUBLE) AS period, greatest(coalesce(paid, asked), 0.01) AS price,
            greatest(asked, 0.01) AS asked, units
        FROM filled ORDER BY item_id, location_id, period"""
    ).df()
    rows = _with_items(rows, inputs)
    rows = _with_promotions(rows, inputs, place, end)
    return _with_stock(_with_rivals(rows, inputs, end), inputs, place, end)


def latest(inputs: Inputs, place: str) -> pd.DataFrame:
    """item_id, location_id, the price `asked` last before discounts, its week, and the rivals' mean price where known.

    Of every item sold within the last `test_weeks`; sorted by item and place.
    """
    end = end_of_weeks(inputs.as_of)
    _sold(inputs, place, end)
    rows = inputs.connection.sql(
        f"""SELECT item_id, location_id, greatest(arg_max(listed / units, period), 0.01) AS asked,
            CAST(max(period) AS DOUBLE) AS sold_in
        FROM pricing_sold GROUP BY ALL HAVING max(period) > -{inputs.params.test_weeks}
        ORDER BY item_id, location_id"""
    ).df()
    inputs.connection.execute(
        "CREATE OR REPLACE TEMP TABLE pricing_chosen AS SELECT DISTINCT item_id FROM pricing_sold"
    )
    return _with_rivals(rows.assign(period=0.0), inputs, end).drop(columns="period")


def _sold(inputs: Inputs, place: str, end: datetime) -> None:
    """The table `pricing_sold`: units and money, paid and asked, by item, place and week."""
    for name, table in inputs.tables.items():
        table.create_view(f"pricing_{name}", replace=True)
    first = -(inputs.params.train_weeks + inputs.params.test_weeks) + 1
    week = _week("event_timestamp", end)
    inputs.connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE pricing_sold AS
        SELECT item_id, {place} AS location_id, {week} AS period,
            CAST(SUM(CAST(quantity AS DECIMAL(18, 4))) AS DOUBLE) AS units,
            CAST(SUM(CAST(quantity * unit_price AS DECIMAL(18, 4))) AS DOUBLE) AS money,
            CAST(SUM(CAST(quantity * {_asked(inputs)} AS DECIMAL(18, 4))) AS DOUBLE) AS listed
        FROM pricing_order_lines
        WHERE quantity > 0 AND unit_price > 0 AND event_timestamp <= TIMESTAMP '{end}' AND {place} IS NOT NULL
            AND {week} >= {first}
        GROUP BY ALL"""
    )


def _week(moment: str, end: datetime) -> str:
    """SQL of the number of the week in which a moment lies."""
    microseconds = WEEK // timedelta(microseconds=1)
    return f"CAST(-floor((epoch_us(TIMESTAMP '{end}') - epoch_us({moment})) / {microseconds}) AS INTEGER)"


def _asked(inputs: Inputs) -> str:
    """SQL of the price before discounts."""
    known = "list_price" in inputs.tables["order_lines"].columns
    return "greatest(coalesce(list_price, unit_price), unit_price)" if known else "unit_price"


def _chosen(connection: duckdb.DuckDBPyConnection, params: PricingParams) -> int:
    """How many items are priced: those that sold `min_units` a week at some place in the weeks before the test weeks
    in which they were on sale, and lately; the `most_items` that brought most money. They are `pricing_chosen`.
    """
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE pricing_chosen AS
        WITH series AS (
            SELECT item_id, location_id, SUM(CAST(units AS DECIMAL(18, 4))) AS units,
                SUM(CAST(money AS DECIMAL(18, 4))) AS money, min(period) AS first_week, max(period) AS last_week,
                count(*) AS weeks
            FROM pricing_sold WHERE period <= -{params.test_weeks} GROUP BY ALL
        )
        SELECT item_id FROM series GROUP BY item_id
        HAVING max(units / (1 - {params.test_weeks} - first_week)) >= {params.min_units}
            AND max(last_week) > -2 * {params.test_weeks} AND max(weeks) >= {params.min_weeks}
        ORDER BY sum(money) DESC, item_id LIMIT {params.most_items}"""
    )
    return int(connection.execute("SELECT count(*) FROM pricing_chosen").fetchall()[0][0])


def _with_items(rows: pd.DataFrame, inputs: Inputs) -> pd.DataFrame:
    """category (its first `category_levels`), brand, and unit_cost, null where it is not known."""
    table = inputs.tables.get("items")
    known = set() if table is None else set(table.columns)
    level = f"list_slice(string_split(category, ' > '), 1, {inputs.params.category_levels})"
    wanted = {
        "category": f"coalesce(array_to_string({level}, ' > '), 'unknown')",
        "brand": "coalesce(brand, 'unknown')",
        "unit_cost": "CAST(unit_cost AS DOUBLE)",
    }
    there = {name: text for name, text in wanted.items() if name in known}
    if there:
        named = ", ".join(f"any_value({text} ORDER BY {name}) AS {name}" for name, text in there.items())
        items = inputs.connection.sql(
            f"SELECT item_id, {named} FROM pricing_items SEMI JOIN pricing_chosen USING (item_id) GROUP BY item_id"
        ).df()
        rows = rows.merge(items, on="item_id", how="left")
    for name in ("category", "brand"):
        rows[name] = rows[name].fillna("unknown").astype(object) if name in rows else "unknown"
    rows["unit_cost"] = rows["unit_cost"].astype(float) if "unit_cost" in rows else float("nan")
    return rows


def _with_promotions(rows: pd.DataFrame, inputs: Inputs, place: str, end: datetime) -> pd.DataFrame:
    """promotion, display, mailer and test: shares of the places that had one in the middle of the week."""
    table = inputs.tables.get("promotions")
    if table is None:
        return rows
    known = set(table.columns)
    local = "location_id" in known
    if place == "location_id" and not local:
        place = "NULL"
    flags = {
        "promotion": f"kind IS DISTINCT FROM '{PRICE_TEST}'" if "kind" in known else "true",
        "display": "display IS NOT NULL" if "display" in known else "false",
        "mailer": "mailer IS NOT NULL" if "mailer" in known else "false",
        "test": f"kind IS NOT DISTINCT FROM '{PRICE_TEST}'" if "kind" in known else "false",
    }
    where = "location_id" if local else "'all'"
    told = ", ".join(f"count(DISTINCT {where}) FILTER (WHERE {text}) AS {name}" for name, text in flags.items())
    found = inputs.connection.sql(
        f"""WITH those AS (
            SELECT *, {_week(f"start_date + {HALF}", end)} AS begins,
                least({_week(f"coalesce(end_date, start_date + INTERVAL 7 DAY) + {HALF}", end)} - 1, 0) AS ends
            FROM pricing_promotions SEMI JOIN pricing_chosen USING (item_id)
            WHERE start_date <= TIMESTAMP '{end}'
        ), weeks AS (
            SELECT * EXCLUDE (begins, ends), unnest(generate_series(begins, ends)) AS period FROM those
            WHERE begins <= ends AND ends >= {-(inputs.params.train_weeks + inputs.params.test_weeks)}
        )
        SELECT item_id, {place} AS location_id, CAST(period AS DOUBLE) AS period, {told} FROM weeks GROUP BY ALL"""
    ).df()
    keys = ["item_id", "period"] if place == "NULL" else ["item_id", "location_id", "period"]
    if place == "NULL":
        found = found.drop(columns="location_id")
    many = 1
    if place not in ("location_id", "NULL") and local:
        many = max(
            1, inputs.connection.sql("SELECT count(DISTINCT location_id) FROM pricing_promotions").fetchall()[0][0]
        )
    rows = rows.merge(found, on=keys, how="left")
    for name in flags:
        rows[name] = rows[name].fillna(0).astype(float) / many
    return rows


def _with_rivals(rows: pd.DataFrame, inputs: Inputs, end: datetime) -> pd.DataFrame:
    """competitor_price: mean of what each rival was last seen to ask, up to the end of the week."""
    if "competitor_prices" not in inputs.tables:
        return rows
    inputs.connection.register("pricing_rows", rows[["item_id", "period"]].drop_duplicates())
    found = inputs.connection.sql(
        f"""WITH seen AS (
            SELECT item_id, competitor, CAST({_week("event_timestamp", end)} AS DOUBLE) AS period,
                arg_max(price, event_timestamp) AS price
            FROM pricing_competitor_prices SEMI JOIN pricing_chosen USING (item_id)
            WHERE event_timestamp <= TIMESTAMP '{end}' AND price > 0 GROUP BY ALL
        ), wanted AS (
            SELECT pricing_rows.item_id, pricing_rows.period, competitor FROM pricing_rows
            JOIN (SELECT DISTINCT item_id, competitor FROM seen) USING (item_id)
        )
        SELECT wanted.item_id, wanted.period,
            CAST(SUM(CAST(price AS DECIMAL(18, 4))) AS DOUBLE) / count(price) AS competitor_price
        FROM wanted ASOF LEFT JOIN seen ON wanted.item_id = seen.item_id AND wanted.competitor = seen.competitor
            AND wanted.period >= seen.period
        GROUP BY ALL"""
    ).df()
    inputs.connection.unregister("pricing_rows")
    return rows.merge(found, on=["item_id", "period"], how="left")


def _with_stock(rows: pd.DataFrame, inputs: Inputs, place: str, end: datetime) -> pd.DataFrame:
    """stock: 0 where the shelf was all but empty on some day of the week; only by location, where stock is counted."""
    table = inputs.tables.get("stock")
    if table is None or place != "location_id" or "location_id" not in table.columns:
        return rows
    found = inputs.connection.sql(
        f"""SELECT item_id, location_id, CAST({_week("event_timestamp", end)} AS DOUBLE) AS period,
            CASE WHEN min(on_hand) <= {SPARE} THEN 0.0 ELSE CAST(min(on_hand) AS DOUBLE) END AS stock
        FROM pricing_stock SEMI JOIN pricing_chosen USING (item_id)
        WHERE event_timestamp <= TIMESTAMP '{end}' GROUP BY ALL"""
    ).df()
    return rows.merge(found, on=["item_id", "location_id", "period"], how="left")
