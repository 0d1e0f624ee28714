"""Canonical tables as what the estimators read: a row an item, place and day with its sales, price and stock.

A source without stock gives sales alone; a source without places has one, `all`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import duckdb
import pandas as pd

from ecomine.errors import NotEnoughDataError

ANYWHERE = "all"
PLACE = f"coalesce(location_id, '{ANYWHERE}')"


def daily_sales(
    tables: Mapping[str, duckdb.DuckDBPyRelation], until: datetime, days: int, least_units: float = 1.0
) -> pd.DataFrame:
    """item_id, location_id, date, quantity, price, category, and stock (in the evening) where the source has it.

    The last `days` whole days up to `until`, days without sales included, of every series that sold `least_units` or
    more in them, from its first sale or stock on. The price is what was paid on average, that of the last sale (of the
    first one before it) on days without. Sorted by item, place and date. Raises NotEnoughDataError where there is none.
    """
    lines, first = tables["order_lines"], until - timedelta(days=days)
    # Days end at the time of day of `until`, so that the last one is whole wherever it is cut.
    day = f"CAST(ceil(epoch(event_timestamp - TIMESTAMP '{first}') / 86400) AS INTEGER)"
    sales = lines.query(
        "lines",
        f"""SELECT item_id, {PLACE} AS location_id, {day} AS day,
            CAST(SUM(CAST(quantity AS DECIMAL(18, 4))) AS DOUBLE) AS quantity,
            CAST(SUM(CAST(quantity * unit_price AS DECIMAL(18, 4))) AS DOUBLE) AS money
        FROM lines
        WHERE event_timestamp > TIMESTAMP '{first}' AND event_timestamp <= TIMESTAMP '{until}' AND quantity > 0
        GROUP BY ALL ORDER BY ALL""",
    ).df()
    if sales.empty:
        raise NotEnoughDataError(
            f"Nothing was sold in the {days} days up to {until:%Y-%m-%d}; orders rest on a history of sales."
        )
    series = sales.groupby(["item_id", "location_id"], sort=True).agg(units=("quantity", "sum"), begins=("day", "min"))
    series = series[series["units"] >= least_units].reset_index()
    if series.empty:
        raise NotEnoughDataError(f"No item sold {least_units:g} units at a place in {days} days; lower the limit.")
    counts = days - series["begins"].to_numpy() + 1
    grid = series.loc[series.index.repeat(counts), ["item_id", "location_id", "begins"]].reset_index(drop=True)
    grid["day"] = grid["begins"] + grid.groupby(["item_id", "location_id"]).cumcount()
    rows = grid.drop(columns="begins").merge(sales, on=["item_id", "location_id", "day"], how="left")
    rows["price"] = (rows["money"] / rows["quantity"]).astype(float)
    rows["price"] = rows.groupby(["item_id", "location_id"])["price"].ffill()
    rows["quantity"] = rows["quantity"].fillna(0.0)
    rows = rows.drop(columns="money").merge(_categories(tables), on="item_id", how="left")
    rows["category"] = rows["category"].fillna("unknown")
    if "stock" in tables:
        levels = tables["stock"].query(
            "levels",
            f"""SELECT item_id, {PLACE} AS location_id, {day} AS day,
                arg_max(on_hand, event_timestamp) AS stock FROM levels
            WHERE event_timestamp > TIMESTAMP '{first}' AND event_timestamp <= TIMESTAMP '{until}'
            GROUP BY ALL ORDER BY ALL""",
        ).df()  # fmt: skip
        rows = rows.merge(levels, on=["item_id", "location_id", "day"], how="left")
        # Counted now and then: a level holds until the next count.
        rows["stock"] = rows.groupby(["item_id", "location_id"])["stock"].ffill().fillna(1.0)
    # A day is named by its middle, whether it was cut at midnight or a second before.
    middle = (pd.Timestamp(first) + pd.Timedelta(hours=12)).normalize()
    rows.insert(2, "date", middle + pd.to_timedelta(rows.pop("day") - 1, unit="D"))
    return rows.sort_values(["item_id", "location_id", "date"], ignore_index=True)


def stock_now(tables: Mapping[str, duckdb.DuckDBPyRelation], until: datetime) -> pd.DataFrame | None:
    """item_id, location_id, on_hand, on_order, lead_days of the last count up to `until`; null without such a table."""
    if "stock" not in tables:
        return None
    return (
        tables["stock"]
        .query(
            "levels",
            f"""SELECT item_id, {PLACE} AS location_id, arg_max(on_hand, event_timestamp) AS on_hand,
                coalesce(arg_max(on_order, event_timestamp), 0) AS on_order,
                CAST(arg_max(lead_time_days, event_timestamp) AS DOUBLE) AS lead_days
            FROM levels WHERE event_timestamp <= TIMESTAMP '{until}' GROUP BY ALL ORDER BY ALL""",
        )
        .df()
    )


def _categories(tables: Mapping[str, duckdb.DuckDBPyRelation]) -> pd.DataFrame:
    if "items" not in tables:
        return pd.DataFrame({"item_id": pd.Series([], dtype=object), "category": pd.Series([], dtype=object)})
    return tables["items"].query("goods", "SELECT item_id, min(category) AS category FROM goods GROUP BY item_id").df()
