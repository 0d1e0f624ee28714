"""Labelled rows: sales by item, place and period, each with the moment at which everything must have been known.

Which features a row gets beyond its own history is the business of the feature service `inventory`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from ecomine.domain import EVENT_TIMESTAMP, LABEL, Inputs, Rows
from ecomine.errors import NotEnoughDataError
from ecomine.inventory import history
from ecomine.inventory.params import InventoryParams
from ecomine.inventory.rates import RateForecaster
from ecomine.inventory.situation import KEYS

SERVICE = "inventory"
COST = "unit_cost"
UNITS, WANTED = "quantity", "wanted"
MADE_OF = (*KEYS, "date", UNITS, "price", "category", "stock")
"""What a forecaster reads of rows, as far as it is there."""


@dataclass(frozen=True)
class Calendar:
    """Periods of `step` days up to `as_of`, the last `test` of which are kept for the test."""

    as_of: datetime
    step: int
    train: int
    test: int
    horizon: int

    @classmethod
    def of(cls, inputs: Inputs) -> "Calendar":
        params: InventoryParams = inputs.params
        step = history.period_days(inputs.tables)
        train, test = (max(days // step, 1) for days in (params.train_days, params.test_days))
        return cls(inputs.as_of, step, train, test, params.forecast.horizon)

    @property
    def begin_of_test(self) -> datetime:
        return self.as_of - timedelta(days=self.test * self.step)

    def moments(self, ago: np.ndarray) -> np.ndarray:
        """When forecasts of periods were made: stretches of the horizon, before and after the begin of the test.

        `ago` are periods before as_of, 0 the last one.
        """
        since = self.test - 1 - ago
        stretch = np.floor_divide(since, self.horizon)
        days = (self.test - stretch * self.horizon) * self.step
        return np.datetime64(self.as_of, "us") - days.astype("timedelta64[D]").astype("timedelta64[us]")


def label(inputs: Inputs) -> Rows:
    """Rows item_id, location_id, date, event_timestamp, price, category, stock where it is counted, label: the units.

    A row's moment is the one at which its stretch of the forecast's horizon began. The truth tells of each row of the
    test days what was wanted (above what was sold where the shelf was empty) and price and cost of a unit. Raises
    NotEnoughDataError where no series has a history, or nothing was sold in the test days.
    """
    params: InventoryParams = inputs.params
    calendar = Calendar.of(inputs)
    place = history.place_of(inputs.tables, params.most_locations)
    days = calendar.train * calendar.step
    series = history.chosen(inputs.tables, calendar.begin_of_test, days, params.least_units, params.most_items, place)
    whole = days + calendar.test * calendar.step
    rows = history.daily_sales(inputs.tables, inputs.as_of, whole, series=series, place=place, step=calendar.step)
    rows = with_categories(rows)
    ago = (rows["date"].max() - rows["date"]).dt.days.to_numpy() // calendar.step
    rows[EVENT_TIMESTAMP] = calendar.moments(ago)
    test = ago < calendar.test
    if (~test).sum() < 2 or rows.loc[test, UNITS].sum() <= 0:
        raise NotEnoughDataError(
            f"{(~test).sum():,} periods of series to learn from and {rows.loc[test, UNITS].sum():,.0f} units sold in "
            f"the last {params.test_days} days; some of both are needed. Bring a longer history."
        )
    wanted = RateForecaster(seed=inputs.seed).fit(rows).units if "stock" in rows else rows[UNITS].to_numpy(float)
    rows[WANTED] = np.round(wanted)
    train_rows, test_rows = rows[~test].reset_index(drop=True), rows[test].reset_index(drop=True)
    truth = with_costs(test_rows[[*KEYS, "date", "price", UNITS, WANTED]], inputs, params)
    notes: tuple[str, ...] = (
        f"{len(series):,} series of {series['item_id'].nunique():,} items, periods of {calendar.step} days",
    )
    if place == f"'{history.ANYWHERE}'" and "location_id" in inputs.tables["order_lines"].columns:
        notes += (f"more than {params.most_locations} locations: the sales of each item are added up",)
    if "stock" not in rows:
        notes += ("no stock in this source: levels and quantities are told, not what to order today",)
    named = {UNITS: LABEL}
    return Rows(
        train_rows.drop(columns=WANTED).rename(columns=named),
        test_rows.drop(columns=WANTED).rename(columns=named),
        truth.rename(columns=named),
        notes,
    )


def with_categories(rows: pd.DataFrame, levels: int = 2) -> pd.DataFrame:
    """Categories cut to their first levels, which series share what they know in."""
    names = rows["category"].astype(str).unique()
    cut = {name: " > ".join(str(name).split(" > ")[:levels]) for name in names}
    return rows.assign(category=rows["category"].astype(str).map(cut).astype(object))


def with_costs(rows: pd.DataFrame, inputs: Inputs, params: InventoryParams) -> pd.DataFrame:
    """Adds unit_cost, by the usual margin where the shop does not tell it, and `costed`, 1 where it does."""
    table = inputs.tables.get("items")
    known = pd.DataFrame({"item_id": pd.Series([], dtype=object), COST: pd.Series([], dtype=float)})
    if table is not None and COST in table.columns:
        known = table.query(
            "goods", f"SELECT item_id, CAST(max({COST}) AS DOUBLE) AS {COST} FROM goods GROUP BY item_id"
        ).df()
    rows = rows.merge(known.astype({COST: float}), on="item_id", how="left")
    costed = rows[COST].notna()
    return rows.assign(
        **{COST: rows[COST].where(costed, rows["price"] * (1 - params.margin))}, costed=costed.astype(float)
    )


def sales(rows: pd.DataFrame) -> pd.DataFrame:
    """Labelled rows, or rows of a history, as a forecaster takes them."""
    known = rows.rename(columns={LABEL: UNITS})
    return known[[name for name in MADE_OF if name in known.columns]]
