"""ReplenishmentPolicy: from sales and stock to orders, on plain DataFrames."""

from datetime import datetime
from typing import Any, Protocol

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.inventory import constraints
from ecomine.inventory.law import QUANTILES, DemandLaw
from ecomine.inventory.params import InventoryParams
from ecomine.inventory.policies import policy
from ecomine.inventory.rates import RateForecaster
from ecomine.inventory.situation import KEYS, WEEK, Situation

USUAL_DAYS = 28
NEVER_OUT = "not expected"
DECIDED = (
    *KEYS, "order_now", "units", "stock_out_date", "reorder_point", "order_up_to", "position", "cover_days",
    "mean", *QUANTILES, "cost", "reason",
)  # fmt: skip
"""Columns of a decision."""


class Forecaster(Protocol):
    """What orders rest on: predict(horizon, known) by day, totals(periods, known) of the time, a row a series."""

    def fit(self, rows: pd.DataFrame) -> Any: ...

    def predict(self, horizon: int, known: pd.DataFrame | None = None) -> pd.DataFrame: ...

    def totals(self, periods: int | pd.DataFrame, known: pd.DataFrame | None = None) -> pd.DataFrame: ...


class ReplenishmentPolicy:
    """What to order now, by one of the five ways of `params.policy`, within the constraints.

    >>> days = pd.date_range("2024-01-01", periods=60)
    >>> sales = pd.DataFrame({"item_id": "tea", "location_id": "north", "date": days, "quantity": 3.0})
    >>> stock = pd.DataFrame({"item_id": ["tea"], "location_id": ["north"], "on_hand": [10.0], "on_order": [0.0],
    ...                       "lead_days": [5.0], "price": [4.0], "unit_cost": [2.5]})
    >>> ReplenishmentPolicy().fit(sales).decide(stock)[["item_id", "order_now", "stock_out_date"]].values.tolist()
    [['tea', True, '2024-03-04']]
    """

    def __init__(
        self,
        params: InventoryParams | None = None,
        forecaster: Forecaster | None = None,
        seed: int = 42,
        threads: int = 2,
    ) -> None:
        self.params = params or InventoryParams()
        self.forecaster: Forecaster = forecaster or RateForecaster(seed=seed, threads=threads)

    def fit(self, rows: pd.DataFrame) -> "ReplenishmentPolicy":
        """Fits the forecaster on item_id, location_id, date, quantity and what else it reads; keeps usual sales."""
        self.forecaster.fit(rows)
        self.usage = usual_sales(rows)
        return self

    def situation(self, stock: pd.DataFrame, known: pd.DataFrame | None = None) -> Situation:
        """The series of `stock` with what is expected of them; those without a forecast are left out.

        `stock` has item_id, location_id, on_hand, on_order, and of lead_days, lead_sd, unit_cost, price, minimum_order,
        pack_size and shelf_life_days what there is.
        """
        require(stock.columns, (*KEYS, "on_hand", "on_order"), "stock")
        if stock.duplicated(list(KEYS)).any():
            raise FeatureError("A series is in the stock twice; expected one row an item_id and location_id.")
        usage = self.usage.astype(dict.fromkeys(KEYS, str))
        rows = stock.astype(dict.fromkeys(KEYS, str)).merge(usage, on=list(KEYS), how="inner")
        rows = rows.sort_values(list(KEYS), ignore_index=True)
        if rows.empty:
            raise NotEnoughDataError(
                f"None of the {len(stock):,} series in stock has a history; bring sales of the same item_id and "
                "location_id."
            )
        empty = Situation(rows, DemandLaw.of(np.zeros(len(rows))), self.params)
        return outlook(self.forecaster, empty, known)

    def decide(self, stock: pd.DataFrame, known: pd.DataFrame | None = None) -> pd.DataFrame:
        """A row a series, columns DECIDED, sorted by item and place: whether and how much to order this evening.

        `known` are inputs of coming days that the forecaster learned from (prices, promotions).
        """
        situation = self.situation(stock, known)
        return decisions(situation, pd.Timestamp(self.usage["last"].max()).to_pydatetime())


def usual_sales(rows: pd.DataFrame) -> pd.DataFrame:
    """item_id, location_id, usage (units a day of the last USUAL_DAYS, stock-outs as they were) and the last day."""
    date = pd.to_datetime(rows["date"])
    last = date.max()
    recent = rows.assign(_recent=np.where(date > last - pd.Timedelta(days=USUAL_DAYS), rows["quantity"], 0.0))
    days = min((last - date.min()).days + 1, USUAL_DAYS)
    sums = recent.groupby(list(KEYS), sort=True)["_recent"].sum()
    return (sums / days).rename("usage").reset_index().assign(last=last)


def outlook(forecaster: Forecaster, situation: Situation, known: pd.DataFrame | None = None) -> Situation:
    """The situation with the law of demand until the next order can be there, and the coming week's demand by day."""
    from dataclasses import replace

    days = situation.days
    series = situation.series[list(KEYS)]
    whole = series.assign(periods=np.maximum(np.ceil(days - 1e-9), 1.0).astype(np.int64))
    told = series.merge(_text(forecaster.totals(whole, known)), on=list(KEYS), how="left", validate="1:1")
    if told["mean"].isna().any():
        raise FeatureError(f"{int(told['mean'].isna().sum()):,} series have no forecast; fit the forecaster on them.")
    law = DemandLaw.of_forecast(told).over(days / whole["periods"].to_numpy(float))
    daily = _text(forecaster.predict(WEEK, known)).sort_values([*KEYS, "date"])
    grid = daily.assign(step=daily.groupby(list(KEYS)).cumcount()).pivot(
        index=list(KEYS), columns="step", values="mean"
    )
    week = grid.reindex(pd.MultiIndex.from_frame(series)).to_numpy(float)
    return replace(situation, law=law, week=week)


def decisions(situation: Situation, now: datetime) -> pd.DataFrame:
    """The decisions of a situation in the evening of `now`; columns DECIDED."""
    levels = policy(situation.params.policy)(situation)
    units, why = constraints.order(situation, levels)
    quantiles = {name: situation.law.quantile(float(name[1:])) for name in QUANTILES}
    cover = days_until_out(situation)
    rows = situation.series[list(KEYS)].assign(
        order_now=units > 0,
        units=units,
        stock_out_date=out_dates(cover, now),
        reorder_point=np.maximum(levels.reorder_point, 0.0),
        order_up_to=levels.order_up_to,
        position=situation.position,
        cover_days=np.minimum(cover, LONGEST_COVER),
        mean=situation.law.mean,
        **quantiles,
        cost=units * np.nan_to_num(situation.unit_cost),
        reason=constraints.reasons(why, situation.position, levels),
    )
    return rows[list(DECIDED)]


LONGEST_COVER = 3650.0


def days_until_out(situation: Situation) -> np.ndarray:
    """Days that what is on hand is expected to last, if nothing arrived; the coming week's course repeats."""
    on_hand = np.maximum(situation.series["on_hand"].to_numpy(float), 0.0)
    rate = np.maximum(situation.rate, 1e-9)
    week = np.tile(rate[:, None], (1, WEEK)) if situation.week is None else np.maximum(situation.week, 0.0)
    whole = np.maximum(week.sum(axis=1), 1e-9)
    weeks = np.floor(on_hand / whole)
    left = on_hand - weeks * whole
    sums = np.cumsum(week, axis=1)
    step = (sums < left[:, None] - 1e-9).sum(axis=1)
    row = np.arange(len(on_hand))
    inside = np.minimum(step, WEEK - 1)
    before = np.where(inside > 0, sums[row, np.maximum(inside - 1, 0)], 0.0)
    part = np.clip((left - before) / np.maximum(week[row, inside], 1e-9), 0.0, 1.0)
    return np.asarray(weeks * WEEK + inside + part)


def out_dates(cover: np.ndarray, now: datetime) -> np.ndarray:
    """The day on which stock runs out as ISO text; a day beyond LONGEST_COVER is not expected."""
    day = pd.Timestamp(now).normalize() + pd.to_timedelta(np.minimum(np.floor(cover), LONGEST_COVER) + 1, unit="D")
    return np.where(cover >= LONGEST_COVER, NEVER_OUT, day.strftime("%Y-%m-%d")).astype(object)


def _text(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(dict.fromkeys(KEYS, str))
