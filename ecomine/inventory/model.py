"""The replenisher: what is expected of every series, learnt before the test days and told as of now."""

import dataclasses
import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine import params as settings
from ecomine.domain import EVENT_TIMESTAMP, LABEL, Inputs
from ecomine.inventory import history
from ecomine.inventory.features import Calendar, sales, with_categories, with_costs
from ecomine.inventory.following import Following
from ecomine.inventory.forecasting import DemandForecaster
from ecomine.inventory.forecasting.moving import until
from ecomine.inventory.law import DemandLaw
from ecomine.inventory.leaning import Leaning
from ecomine.inventory.params import InventoryParams
from ecomine.inventory.replenishment import usual_sales
from ecomine.inventory.situation import KEYS, WEEK, Situation, protection
from ecomine.store import write_frame, write_json

ON_HAND, ON_ORDER, LEAD = "on_hand", "on_order", "lead_days"
COURSE = tuple(f"day_{number}" for number in range(1, WEEK + 1))
MEAN, SD, DAYS = "mean", "sd", "days"


class Replenisher:
    """What sells where, how sure that is, and what is in stock.

    `fit(rows, inputs)` learns from labelled rows, as `features.label` makes them, with any number of feature columns
    `view__feature` beside; sales since, stock, prices and costs are taken from the tables of `inputs` up to `as_of`.
    After it `series` has a row an item and place: price, cost, lead time, stock (null where it is not recorded), and
    the law of demand until the next order can be there.
    """

    def __init__(self, params: InventoryParams | None = None, seed: int = 42, threads: int = 2) -> None:
        self.params, self.seed, self.threads = params or InventoryParams(), seed, threads

    def fit(self, rows: pd.DataFrame, inputs: Inputs) -> "Replenisher":
        """Raises NotEnoughDataError where there is too little history."""
        calendar = Calendar.of(inputs)
        self.as_of, self.step, self.test = inputs.as_of, calendar.step, calendar.test
        forecast = dataclasses.replace(self.params.forecast, horizon=calendar.horizon, period_days=calendar.step)
        learnt = DemandForecaster(forecast, self.seed, self.threads).fit(sales(rows))
        self.leaning = Leaning.fit(learnt.validated, rows.rename(columns={LABEL: "quantity"}))
        place = history.place_of(inputs.tables, self.params.most_locations)
        days = calendar.train * calendar.step
        series = history.chosen(
            inputs.tables, inputs.as_of, days, self.params.least_units, self.params.most_items, place
        )
        learnt_from = rows[list(KEYS)].drop_duplicates()
        series = pd.concat([series, learnt_from]).drop_duplicates().sort_values(list(KEYS), ignore_index=True)
        whole = days + calendar.test * calendar.step
        now = history.daily_sales(inputs.tables, inputs.as_of, whole, series=series, place=place, step=calendar.step)
        now = with_categories(now)
        self.forecaster = learnt.following(sales(now))
        self.series = self._told(now, history.stock_now(inputs.tables, inputs.as_of, place), inputs)
        return self

    @property
    def last_day(self) -> datetime:
        """The day whose evening is `as_of`, though that be the midnight after it."""
        return self.as_of - timedelta(seconds=1)

    def before_test(self) -> DemandForecaster:
        """The forecaster as it was before the test days."""
        panel = self.forecaster.panel
        return self.forecaster.following(until(panel, panel.periods - self.test))

    def _told(self, rows: pd.DataFrame, stock: pd.DataFrame | None, inputs: Inputs) -> pd.DataFrame:
        last = rows.drop_duplicates(list(KEYS), keep="last")[[*KEYS, "price", "category"]]
        told = with_costs(last, inputs, self.params).merge(
            usual_sales(rows)[[*KEYS, "usage"]], on=list(KEYS), how="left"
        )
        if stock is None:
            told[[ON_HAND, ON_ORDER, LEAD]] = np.nan
        else:
            # What lies in stock of these items but was not sold lately at that place is there too, without demand.
            lying = stock[stock["item_id"].isin(told["item_id"]) & (stock[ON_HAND] > 0)]
            told = told.merge(stock, on=list(KEYS), how="left")
            told = pd.concat([told, self._idle(told, lying)], ignore_index=True)
        told[LEAD] = told[LEAD].fillna(self.params.lead_days)
        told = told.sort_values(list(KEYS), ignore_index=True)
        return told.assign(**self._expected(told))

    @staticmethod
    def _idle(told: pd.DataFrame, lying: pd.DataFrame) -> pd.DataFrame:
        known = pd.MultiIndex.from_frame(told[list(KEYS)])
        idle = lying[~pd.MultiIndex.from_frame(lying[list(KEYS)]).isin(known)]
        of_item = told.drop_duplicates("item_id")[["item_id", "price", "category", "unit_cost", "costed"]]
        return idle.merge(of_item, on="item_id", how="inner").assign(usage=0.0)

    def _expected(self, told: pd.DataFrame) -> dict[str, np.ndarray]:
        """Mean and standard deviation of demand over the days that an order of now must last, and its course."""
        days = protection(self.periods(told[LEAD].to_numpy(float)), in_periods(self.params, self.step))
        ahead = Following(self.forecaster)
        at = pd.MultiIndex.from_frame(told[list(KEYS)])
        there = at.isin(self.forecaster.panel.keys)
        whole = np.maximum(np.ceil(days - 1e-9), 1.0)
        asked = told.loc[there, list(KEYS)].assign(periods=whole[there].astype(np.int64))
        total = ahead.totals(asked).set_index(list(KEYS)).reindex(at).fillna(0.0)
        law = DemandLaw.of(total[MEAN].to_numpy(), total[SD].to_numpy()).over(days / whole)
        course = ahead.predict(WEEK).groupby(list(KEYS), sort=True)[MEAN].apply(np.asarray)
        grid = np.zeros((len(told), WEEK))
        grid[there] = np.stack(course.reindex(at[there]).to_numpy())
        return {MEAN: law.mean, SD: law.sd, DAYS: days} | dict(zip(COURSE, grid.T, strict=True))

    def periods(self, days: np.ndarray) -> np.ndarray:
        """Days of lead time in periods, at least one."""
        return np.maximum(np.asarray(days, float) / self.step, 1.0)

    def requests(self, keys: pd.DataFrame | None = None) -> pd.DataFrame:
        """Rows item_id, location_id, event_timestamp of the known ones among `keys` (items, or series), or of all."""
        rows = self.series[list(KEYS)]
        if keys is not None:
            named = [name for name in KEYS if name in keys.columns]
            rows = rows.merge(keys[named].astype(str).drop_duplicates(), on=named, how="inner")
            rows = rows.sort_values(list(KEYS))
        return rows.reset_index(drop=True).assign(**{EVENT_TIMESTAMP: pd.Timestamp(self.as_of).as_unit("us")})

    def situation(self, frame: pd.DataFrame, params: InventoryParams, stock: pd.DataFrame | None = None) -> Situation:
        """The series of `frame` (keys and features), sorted; `stock` tells on_hand, on_order or lead_days better.

        Times are in periods, as `in_periods` has the settings. Units on hand are null where they are not known.
        """
        factor = frame[list(KEYS)].assign(_factor=self.leaning.of(frame))
        rows = self.series.merge(factor, on=list(KEYS), how="inner").sort_values(list(KEYS), ignore_index=True)
        if stock is not None:
            better = rows[list(KEYS)].merge(stock, on=list(KEYS), how="left", validate="1:1")
            for name in (ON_HAND, ON_ORDER, LEAD):
                if name in better.columns:
                    rows[name] = better[name].astype(float).where(better[name].notna(), rows[name])
        scaled = in_periods(params, self.step)
        lead = self.periods(rows[LEAD].to_numpy(float))
        factor_of = rows.pop("_factor").to_numpy(float)
        law = DemandLaw.of(rows[MEAN].to_numpy(float) * factor_of, rows[SD].to_numpy(float) * np.sqrt(factor_of))
        law = law.over(protection(lead, scaled) / rows[DAYS].to_numpy(float))
        week = rows[list(COURSE)].to_numpy(float) * factor_of[:, None] if self.step == 1 else None
        named = [*KEYS, ON_HAND, ON_ORDER, "unit_cost", "price", "usage"]
        usage = rows["usage"] * self.step
        series = rows[named].assign(**{LEAD: lead, ON_ORDER: rows[ON_ORDER].fillna(0.0), "usage": usage})
        return Situation(series, law, scaled, week)

    def save(self, folder: Path) -> None:
        """JSON, Parquet, npz, and XGBoost's UBJ."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "params": dataclasses.asdict(self.params), "seed": self.seed, "threads": self.threads,
            "as_of": self.as_of.isoformat(), "step": self.step, "test": self.test,
        }  # fmt: skip
        write_json(folder / "replenisher.json", state)
        write_frame(folder / "series.parquet", self.series)
        self.leaning.save(folder)
        self.forecaster.save(folder / "forecaster")

    @classmethod
    def load(cls, folder: Path) -> "Replenisher":
        """The inverse of `save`."""
        state = json.loads((folder / "replenisher.json").read_text())
        model = cls(settings.build(InventoryParams, state["params"], "inventory"), state["seed"], state["threads"])
        model.as_of = datetime.fromisoformat(state["as_of"])
        model.step, model.test = state["step"], state["test"]
        model.series, model.leaning = pd.read_parquet(folder / "series.parquet"), Leaning.load(folder)
        model.forecaster = DemandForecaster.load(folder / "forecaster")
        return model


def in_periods(params: InventoryParams, step: int) -> InventoryParams:
    """The settings with their times in periods of `step` days.

    >>> in_periods(InventoryParams(review_days=1, lead_days=14.0), 7).lead_days
    2.0
    """
    if step == 1:
        return params
    return dataclasses.replace(
        params,
        review_days=max(round(params.review_days / step), 1),
        lead_days=max(params.lead_days / step, 1.0),
        lead_sd=params.lead_sd / step,
        holding_share=params.holding_share * step,
        safety_days=params.safety_days / step,
        shelf_life_days=None if params.shelf_life_days is None else max(params.shelf_life_days / step, 1.0),
    )
