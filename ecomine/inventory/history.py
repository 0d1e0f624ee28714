"""Canonical tables as what the estimators read: a row an item, place and period with its sales, price and stock.

Periods are days, or weeks where a shop books its sales once a week. They end at the time of day of `until`, so that the
last one is whole wherever it is cut. A source without stock gives sales alone; one without places has one, `all`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import duckdb
import pandas as pd

from ecomine.errors import NotEnoughDataError

ANYWHERE = "all"
PLACE = f"coalesce(location_id, '{ANYWHERE}')"
KEYS = ["item_id", "location_id"]

Tables = Mapping[str, duckdb.DuckDBPyRelation]


def place_of(tables: Tables, most_locations: int) -> str:
    """SQL of the place of a row: its location, or one for all where the shop has more than `most_locations`."""
    lines = tables["order_lines"]
    if "location_id" not in lines.columns:
        return f"'{ANYWHERE}'"
    count = lines.query("lines", "SELECT count(DISTINCT location_id) FROM lines").fetchall()[0][0]
    return PLACE if count <= most_locations else f"'{ANYWHERE}'"


def period_days(tables: Tables) -> int:
    """7 where all sales are booked on the same day of the week, in several weeks; else 1."""
    found = tables["order_lines"].query(
        "lines",
        "SELECT count(DISTINCT day % 7), count(DISTINCT day) FROM (SELECT CAST(floor(epoch(event_timestamp) / 86400) AS"
        " BIGINT) AS day FROM lines)",
    )
    weekdays, days = found.fetchall()[0]
    return 7 if weekdays == 1 and days > 1 else 1


def chosen(
    tables: Tables, until: datetime, days: int, least_units: float = 1.0, most_items: int = 10**9, place: str = PLACE
) -> pd.DataFrame:
    """item_id, location_id of series that sold `least_units` or more in the `days` up to `until`, sorted.

    Of the `most_items` items that brought most money in them. Raises NotEnoughDataError where there is none.
    """
    first = until - timedelta(days=days)
    found = (
        tables["order_lines"]
        .query(
            "lines",
            f"""WITH series AS (
            SELECT item_id, {place} AS location_id, SUM(CAST(quantity AS DECIMAL(18, 4))) AS units,
                SUM(CAST(quantity * unit_price AS DECIMAL(18, 4))) AS money
            FROM lines
            WHERE event_timestamp > TIMESTAMP '{first}' AND event_timestamp <= TIMESTAMP '{until}' AND quantity > 0
            GROUP BY ALL
        ), best AS (
            SELECT item_id FROM series GROUP BY item_id ORDER BY sum(money) DESC, item_id LIMIT {most_items}
        )
        SELECT item_id, location_id, units >= {least_units} AS enough FROM series SEMI JOIN best USING (item_id)
        ORDER BY item_id, location_id""",
        )
        .df()
    )
    if found.empty:
        raise NotEnoughDataError(
            f"Nothing was sold in the {days} days up to {until:%Y-%m-%d}; orders rest on a history of sales."
        )
    found = found[found.pop("enough").to_numpy(bool)]
    if found.empty:
        raise NotEnoughDataError(f"No item sold {least_units:g} units at a place in {days} days; lower the limit.")
    return found.reset_index(drop=True)


def daily_sales(
    tables: Tables,
    until: datetime,
    days: int,
    least_units: float = 1.0,
    series: pd.DataFrame | None = None,
    place: str = PLACE,
    step: int = 1,
) -> pd.DataFrame:
    """item_id, location_id, date, quantity, price, category, and stock (in the evening) where the source has it.

    The last `days` whole days up to `until`, days without sales included, of every series that sold `least_units` or
    more in them (of `series`, where that is given), from its first sale on; periods of `step` days. The price is what
    was asked on average before discounts, that of the last sale (of the first one before it) on days without. Sorted by
    item, place and date. Raises NotEnoughDataError where there is none.
    """
    wanted = chosen(tables, until, days, least_units, place=place) if series is None else series
    lines = tables["order_lines"]
    count = days // step
    first = until - timedelta(days=count * step)
    # Periods end at the time of day of `until`, so that the last one is whole wherever it is cut.
    period = f"CAST(ceil(epoch(event_timestamp - TIMESTAMP '{first}') / {86400 * step}) AS INTEGER)"
    listed = "list_price" in lines.columns
    asked = "greatest(coalesce(list_price, unit_price), unit_price)" if listed else "unit_price"
    within = f"event_timestamp > TIMESTAMP '{first}' AND event_timestamp <= TIMESTAMP '{until}'"
    sales = lines.query(
        "lines",
        f"""SELECT item_id, {place} AS location_id, {period} AS period,
            CAST(SUM(CAST(quantity AS DECIMAL(18, 4))) AS DOUBLE) AS quantity,
            CAST(SUM(CAST(quantity * {asked} AS DECIMAL(18, 4))) AS DOUBLE) AS money
        FROM lines WHERE {within} AND quantity > 0 GROUP BY ALL ORDER BY ALL""",
    ).df()
    sales = sales.merge(wanted[KEYS], on=KEYS, how="inner")
    if sales.empty:
        raise NotEnoughDataError(f"None of the {len(wanted):,} series sold anything in {days} days; bring more sales.")
    begins = sales.groupby(KEYS, sort=True, as_index=False)["period"].min()
    lengths = count - begins["period"].to_numpy() + 1
    rows = begins.loc[begins.index.repeat(lengths)].reset_index(drop=True)
    rows["period"] += rows.groupby(KEYS).cumcount()
    rows = rows.merge(sales, on=[*KEYS, "period"], how="left")
    rows["price"] = (rows["money"] / rows["quantity"]).astype(float)
    rows["price"] = rows.groupby(KEYS)["price"].ffill()
    rows["quantity"] = rows["quantity"].fillna(0.0)
    rows = rows.drop(columns="money").merge(_categories(tables), on="item_id", how="left")
    rows["category"] = rows["category"].fillna("unknown")
    if "stock" in tables:
        levels = tables["stock"].query(
            "levels",
            f"""SELECT item_id, {_place(tables, place)} AS location_id, period, SUM(on_hand) AS stock FROM (
                SELECT *, {period} AS period FROM levels WHERE {within}
                QUALIFY row_number() OVER (
                    PARTITION BY item_id, {_where(tables)}, period ORDER BY event_timestamp DESC) = 1)
            GROUP BY ALL ORDER BY ALL""",
        ).df()  # fmt: skip
        rows = rows.merge(levels, on=[*KEYS, "period"], how="left")
        # Counted now and then: a level holds until the next count.
        rows["stock"] = rows.groupby(KEYS)["stock"].ffill().fillna(1.0)
    # A day is named by its middle, whether it was cut at midnight or a second before.
    middle = (pd.Timestamp(first) + pd.Timedelta(hours=12)).normalize()
    rows.insert(2, "date", middle + pd.to_timedelta((rows.pop("period") - 1) * step, unit="D"))
    return rows.sort_values([*KEYS, "date"], ignore_index=True)


def stock_now(tables: Tables, until: datetime, place: str = PLACE) -> pd.DataFrame | None:
    """item_id, location_id, on_hand, on_order, lead_days of the last counts up to `until`; null without such a table.

    Where one place stands for several, the units of all and their mean lead time.
    """
    if "stock" not in tables:
        return None
    known = tables["stock"].columns
    order = "coalesce(on_order, 0)" if "on_order" in known else "0"
    lead = "lead_time_days" if "lead_time_days" in known else "NULL"
    return (
        tables["stock"]
        .query(
            "levels",
            f"""SELECT item_id, {_place(tables, place)} AS location_id,
                CAST(SUM(CAST(on_hand AS DECIMAL(18, 4))) AS DOUBLE) AS on_hand,
                CAST(SUM(CAST({order} AS DECIMAL(18, 4))) AS DOUBLE) AS on_order,
                CAST(SUM(CAST({lead} AS DECIMAL(18, 4))) AS DOUBLE) / count({lead}) AS lead_days
            FROM (SELECT * FROM levels WHERE event_timestamp <= TIMESTAMP '{until}'
                QUALIFY row_number() OVER (
                    PARTITION BY item_id, {_where(tables)} ORDER BY event_timestamp DESC) = 1)
            GROUP BY ALL ORDER BY ALL""",
        )
        .df()
    )


def _where(tables: Tables) -> str:
    return "location_id" if "location_id" in tables["stock"].columns else "''"


def _place(tables: Tables, place: str) -> str:
    """SQL of the place of a count of stock."""
    return place if "location_id" in tables["stock"].columns else f"'{ANYWHERE}'"


def _categories(tables: Tables) -> pd.DataFrame:
    if "items" not in tables or "category" not in tables["items"].columns:
        return pd.DataFrame({"item_id": pd.Series([], dtype=object), "category": pd.Series([], dtype=object)})
    return tables["items"].query("goods", "SELECT item_id, min(category) AS category FROM goods GROUP BY item_id").df()
