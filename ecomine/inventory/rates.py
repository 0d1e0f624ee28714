"""A plain forecaster of demand: a rate a series, factors for prices, promotions and weekdays, and counts around them.

It has the shape of any forecaster here (fit, predict, totals, save, load), learns in a second, and is what orders rest
on where nothing better has been fitted. Sales on days that sold out are a lower bound; their expected demand takes
their place (expectation maximisation; Nahmias, Demand estimation in lost sales inventory systems, 1994).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.inventory import rating
from ecomine.inventory.law import LEVELS, QUANTILES, DemandLaw
from ecomine.inventory.situation import KEYS, WEEK
from ecomine.store import write_frame, write_json

RESERVED = (*KEYS, "date", "quantity", "category", "price", "stock")
ROUNDS = 9
YEARS = 1.9
WIDEST = 4.0
"""Greatest variance ÷ mean by which sold-out days are corrected."""


class RateForecaster:
    """Daily demand of series: log-linear in the inputs, its level following the last weeks, negative binomial counts.

    `correct` switches the correction of sold-out days. All rows are in memory at once with a number an input and
    weekday each; for tens of millions of rows take DemandForecaster, which works in blocks.
    """

    def __init__(self, correct: bool = True, seed: int = 42, threads: int = 1) -> None:
        self.correct, self.seed, self.threads = correct, seed, threads

    def fit(self, rows: pd.DataFrame) -> "RateForecaster":
        """Learns from a row a series and day: item_id, location_id, date, quantity; category, price, stock and other
        numeric columns (inputs that are known for coming days too) where they are there. Days without sales are rows
        of 0. Raises FeatureError for a missing column or a day that is there twice, NotEnoughDataError for no row.
        """
        require(rows.columns, (*KEYS, "date", "quantity"), "sales")
        if rows.empty:
            raise NotEnoughDataError("There is no row of sales; demand is forecast from a history.")
        rows = rows.sort_values([*KEYS, "date"], kind="stable", ignore_index=True)
        if rows.duplicated([*KEYS, "date"]).any():
            raise FeatureError("A series has two rows for a date; expected one, with the sum of its sales.")
        code = rows.groupby(list(KEYS), sort=True).ngroup().to_numpy()
        self.series = rows.loc[np.flatnonzero(np.diff(code, prepend=-1)), list(KEYS)].reset_index(drop=True)
        date = pd.to_datetime(rows["date"])
        self.last = date.max()
        age = (self.last - date).dt.days.to_numpy(float)
        self.inputs = [
            str(name) for name in rows.columns if name not in RESERVED and pd.api.types.is_numeric_dtype(rows[name])
        ]
        self.usual = {
            name: rating.mean_by(code, np.nan_to_num(rows[name].to_numpy(float)), len(self.series))
            for name in self.inputs
        }
        self.priced = "price" in rows.columns
        last = np.append(np.flatnonzero(np.diff(code)), len(code) - 1)
        self.latest = rows.loc[last, [*self.inputs, *(["price"] if self.priced else [])]].reset_index(drop=True)
        self.usual_price = (
            np.exp(rating.mean_by(code, np.log(np.maximum(rows["price"].to_numpy(float), 1e-9)), len(self.series)))
            if self.priced
            else np.ones(len(self.series))
        )
        category = rows["category"].astype(str).to_numpy() if "category" in rows.columns else np.full(len(rows), "")
        self.groups, group = np.unique(category, return_inverse=True)
        self.group = group[last]
        design = self._design(rows, date, code)
        sold = np.maximum(rows["quantity"].to_numpy(float), 0.0)
        out = (rows["stock"].to_numpy(float) <= 0) if "stock" in rows.columns and self.correct else np.zeros(len(sold))
        self._learn(design, sold, out.astype(bool), code, age, rating.weeks(date.dt.dayofyear.to_numpy()))
        return self

    def _design(self, rows: pd.DataFrame, date: pd.Series, code: np.ndarray) -> np.ndarray:
        parts = [(date.dt.weekday.to_numpy() == day).astype(float) for day in range(WEEK - 1)]
        parts += [np.nan_to_num(rows[name].to_numpy(float) - self.usual[name][code]) for name in self.inputs]
        if self.priced:
            price = np.maximum(rows["price"].to_numpy(float), 1e-9)
            parts.append(np.log(price / self.usual_price[code]))
        return np.column_stack(parts)

    def _learn(
        self, x: np.ndarray, sold: np.ndarray, out: np.ndarray, code: np.ndarray, age: np.ndarray, week: np.ndarray
    ) -> None:
        count, cell = len(self.series), (self.group[code], week)
        spread = np.ones(count)
        units, doubt = sold.copy(), np.zeros(len(sold))
        beta, slope = np.zeros(x.shape[1]), np.zeros(count)
        season = np.ones((len(self.groups), rating.WEEKS))
        price = x[:, -1] if self.priced else np.zeros(len(sold))
        # A season cannot be told from growth before it has been there twice.
        yearly = age.max(initial=0.0) >= YEARS * rating.WEEKS * WEEK - 1
        for _ in range(ROUNDS):
            plain = np.exp(np.clip(x @ beta + slope[code] * price, -8, 8))
            level = rating.level(units, plain * season[cell], code, count, self.group)
            if yearly:
                season = rating.season(units, level[code] * plain, *cell, len(self.groups))
            mean = level[code] * plain * season[cell]
            if out.any():
                # A poor fit in the first rounds must not pass for demand that varies: it would feed on itself.
                law = DemandLaw.of(mean[out], np.sqrt(np.minimum(spread, WIDEST)[code[out]] * mean[out]))
                units[out], square = law.at_least(np.floor(sold[out]))
                doubt[out] = square - units[out] ** 2
            beta = np.clip(beta + rating.newton(x, units - mean, mean, code, count), -6, 6)
            if self.priced:
                mean = level[code] * season[cell] * np.exp(np.clip(x @ beta + slope[code] * price, -8, 8))
                slope = rating.own_slopes(slope, price, units - mean, mean, code, count, float(spread.mean()))
            spread = rating.spreads((units - mean) ** 2 + doubt, mean, code, count)
        factor = season[cell] * np.exp(np.clip(x @ beta + slope[code] * price, -8, 8))
        self.level, self.beta, self.slope = rating.level(units, factor, code, count, self.group), beta, slope
        self.season, mean = season, self.level[code] * factor
        self.spread = rating.spreads((units - mean) ** 2 + doubt, mean, code, count)
        self.half_life = rating.best_half_life(units, mean, code, age, self.group, count)
        self.now = self.level * rating.present(units, mean, code, age, self.group, count, self.half_life)
        self.drift = rating.drift(units, mean, code, age, self.group, count, self.half_life, self.spread)
        self.units = units

    def _factors(self, days: int, known: pd.DataFrame | None) -> np.ndarray:
        """Factors of demand, series × days."""
        dates = pd.Series(self.last + pd.to_timedelta(np.arange(1, days + 1), unit="D"))
        grid = self.series.merge(dates.rename("date").to_frame(), how="cross")
        code = np.repeat(np.arange(len(self.series)), days)
        given = self.latest.loc[code].reset_index(drop=True)
        names = list(given.columns)
        if known is not None and names:
            told = [name for name in names if name in known.columns]
            coming = known.assign(date=pd.to_datetime(known["date"]))[[*KEYS, "date", *told]]
            merged = grid.merge(coming, on=[*KEYS, "date"], how="left", validate="1:1")
            for name in told:
                given[name] = merged[name].where(merged[name].notna(), given[name])
        rows = pd.concat([grid, given], axis=1)
        x = self._design(rows, rows["date"], code)
        price = x[:, -1] if self.priced else 0.0
        season = self.season[self.group[code], rating.weeks(rows["date"].dt.dayofyear.to_numpy())]
        factor = season * np.exp(np.clip(x @ self.beta + self.slope[code] * price, -8, 8))
        return np.asarray(factor.reshape(len(self.series), days))

    def predict(self, horizon: int, known: pd.DataFrame | None = None) -> pd.DataFrame:
        """item_id, location_id, date, mean, sd and quantiles of each of the next `horizon` days.

        `known` are inputs of coming days by item_id, location_id, date; what is not known stays as it was last.
        """
        mean = (self.now[:, None] * self._factors(horizon, known)).ravel()
        rows = self.series.loc[np.repeat(np.arange(len(self.series)), horizon)].reset_index(drop=True)
        rows["date"] = np.tile(
            (self.last + pd.to_timedelta(np.arange(1, horizon + 1), unit="D")).to_numpy(), len(self.series)
        )
        return _told(rows, mean, np.sqrt(np.repeat(self.spread, horizon) * mean + (self.drift * mean) ** 2))

    def totals(self, periods: int | pd.DataFrame, known: pd.DataFrame | None = None) -> pd.DataFrame:
        """The same of the sum of the next `periods` days, a row a series; a frame item_id, location_id, periods names
        the series and tells how many days of each.
        """
        days = np.full(len(self.series), 0.0)
        if isinstance(periods, pd.DataFrame):
            days = self.series.merge(periods, on=list(KEYS), how="left", validate="1:1")["periods"].to_numpy(float)
        else:
            days = days + periods
        asked = ~np.isnan(days)
        days = np.where(asked, days, 0.0)
        longest = max(int(np.ceil(days.max(initial=1.0))), 1)
        factors = self._factors(longest, known)
        share = np.clip(days[:, None] - np.arange(longest), 0.0, 1.0)
        mean = self.now * (factors * share).sum(axis=1)
        told = _told(self.series.copy(), mean, np.sqrt(self.spread * mean + (self.drift * mean) ** 2))
        return told[asked].reset_index(drop=True)

    def save(self, folder: Path) -> None:
        """Files that hold no code: JSON and Parquet."""
        state: dict[str, Any] = {
            "correct": self.correct, "seed": self.seed, "threads": self.threads, "last": str(self.last),
            "inputs": self.inputs, "priced": self.priced, "beta": self.beta.tolist(), "half_life": self.half_life,
            "drift": self.drift, "groups": self.groups.tolist(), "season": self.season.tolist(),
        }  # fmt: skip
        write_json(folder / "rates.json", state)
        columns = {name: getattr(self, name) for name in ("usual_price", "group", "level", "slope", "spread", "now")}
        columns |= {f"usual {name}": values for name, values in self.usual.items()}
        latest = self.latest.add_prefix("input ")
        write_frame(folder / "rates.parquet", pd.concat([self.series.assign(**columns), latest], axis=1))

    @classmethod
    def load(cls, folder: Path) -> "RateForecaster":
        """The inverse of `save`."""
        state = json.loads((folder / "rates.json").read_text())
        model = cls(state["correct"], state["seed"], state["threads"])
        rows = pd.read_parquet(folder / "rates.parquet")
        model.series, model.last = rows[list(KEYS)], pd.Timestamp(state["last"])
        model.inputs, model.priced, model.beta = state["inputs"], state["priced"], np.array(state["beta"])
        model.season = np.array(state["season"])
        model.usual = {name: rows[f"usual {name}"].to_numpy() for name in model.inputs}
        model.half_life, model.drift, model.groups = state["half_life"], state["drift"], np.array(state["groups"])
        for name in ("usual_price", "group", "level", "slope", "spread", "now"):
            setattr(model, name, rows[name].to_numpy())
        model.latest = rows.filter(regex="^input ").rename(columns=lambda name: str(name).removeprefix("input "))
        return model


def _told(rows: pd.DataFrame, mean: np.ndarray, sd: np.ndarray) -> pd.DataFrame:
    law = DemandLaw.of(mean, sd)
    quantiles = {name: law.quantile(level) for name, level in zip(QUANTILES, LEVELS, strict=True)}
    return rows.assign(mean=law.mean, sd=law.sd, **quantiles)
