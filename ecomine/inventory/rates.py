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
from ecomine.inventory.law import LEVELS, QUANTILES, DemandLaw
from ecomine.inventory.situation import KEYS, WEEK
from ecomine.store import write_frame, write_json

RESERVED = (*KEYS, "date", "quantity", "category", "price", "stock")
ROUNDS = 12
PRIOR_UNITS = 4.0
"""Units that weigh as much as what is expected of a series by its category and its past."""

HALF_LIVES = (14.0, 28.0, 56.0, 112.0)
"""Days after which a day counts half in the present level; validation chooses."""

VALIDATION_DAYS = 28
LEAST_RATE = 1e-6


class RateForecaster:
    """Daily demand of series: log-linear in the inputs, its level following the last weeks, negative binomial counts.

    `correct` switches the correction of sold-out days.
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
        self.priced = "price" in rows.columns
        last = np.append(np.flatnonzero(np.diff(code)), len(code) - 1)
        self.latest = rows.loc[last, [*self.inputs, *(["price"] if self.priced else [])]].reset_index(drop=True)
        self.usual_price = (
            np.exp(_mean_by(code, np.log(np.maximum(rows["price"].to_numpy(float), 1e-9)), len(self.series)))
            if self.priced
            else np.ones(len(self.series))
        )
        category = rows["category"].astype(str).to_numpy() if "category" in rows.columns else np.full(len(rows), "")
        self.groups, group = np.unique(category, return_inverse=True)
        self.group = group[last]
        design = self._design(rows, date, code)
        sold = np.maximum(rows["quantity"].to_numpy(float), 0.0)
        out = (rows["stock"].to_numpy(float) <= 0) if "stock" in rows.columns and self.correct else np.zeros(len(sold))
        self._learn(design, sold, out.astype(bool), code, age)
        return self

    def _design(self, rows: pd.DataFrame, date: pd.Series, code: np.ndarray) -> np.ndarray:
        parts = [(date.dt.weekday.to_numpy() == day).astype(float) for day in range(WEEK - 1)]
        parts += [np.nan_to_num(rows[name].to_numpy(float)) for name in self.inputs]
        if self.priced:
            price = np.maximum(rows["price"].to_numpy(float), 1e-9)
            parts.append(np.log(price / self.usual_price[code]))
        return np.column_stack(parts)

    def _learn(self, x: np.ndarray, sold: np.ndarray, out: np.ndarray, code: np.ndarray, age: np.ndarray) -> None:
        count, spread = len(self.series), 1.5
        units, doubt = sold.copy(), np.zeros(len(sold))
        beta, slope = np.zeros(x.shape[1]), np.zeros(count)
        price = x[:, -1] if self.priced else np.zeros(len(sold))
        level = _level(units, np.ones(len(sold)), code, count, self.group)
        for _ in range(ROUNDS):
            factor = np.exp(np.clip(x @ beta + slope[code] * price, -8, 8))
            level = _level(units, factor, code, count, self.group)
            mean = level[code] * factor
            if out.any():
                law = DemandLaw.of(mean[out], np.sqrt(spread * mean[out]))
                units[out], square = law.at_least(np.floor(sold[out]))
                doubt[out] = square - units[out] ** 2
            beta = np.clip(beta + _newton(x, units - mean, mean, code, count), -6, 6)
            if self.priced:
                mean = level[code] * np.exp(np.clip(x @ beta + slope[code] * price, -8, 8))
                slope = _own_slopes(slope, price, units - mean, mean, code, count, spread)
            spread = max(float(((units - mean) ** 2 + doubt).sum() / max(float(mean.sum()), 1e-9)), 1.0)
        factor = np.exp(np.clip(x @ beta + slope[code] * price, -8, 8))
        self.level, self.beta, self.slope = _level(units, factor, code, count, self.group), beta, slope
        mean = self.level[code] * factor
        self.spread = _spreads((units - mean) ** 2 + doubt, mean, code, count)
        self.half_life = _best_half_life(units, mean, code, age, self.group, count)
        self.now = self.level * _present(units, mean, code, age, self.group, count, self.half_life)
        self.drift = _drift(units, mean, code, age, self.group, count, self.half_life, float(self.spread.mean()))
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
        return np.exp(np.clip(x @ self.beta + self.slope[code] * price, -8, 8)).reshape(len(self.series), days)

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
            "drift": self.drift, "groups": self.groups.tolist(),
        }  # fmt: skip
        write_json(folder / "rates.json", state)
        columns = {name: getattr(self, name) for name in ("usual_price", "group", "level", "slope", "spread", "now")}
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
        model.half_life, model.drift, model.groups = state["half_life"], state["drift"], np.array(state["groups"])
        for name in ("usual_price", "group", "level", "slope", "spread", "now"):
            setattr(model, name, rows[name].to_numpy())
        model.latest = rows.filter(regex="^input ").rename(columns=lambda name: str(name).removeprefix("input "))
        return model


def _told(rows: pd.DataFrame, mean: np.ndarray, sd: np.ndarray) -> pd.DataFrame:
    law = DemandLaw.of(mean, sd)
    quantiles = {name: law.quantile(level) for name, level in zip(QUANTILES, LEVELS, strict=True)}
    return rows.assign(mean=law.mean, sd=law.sd, **quantiles)


def _sum_by(code: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(code, values, count)


def _mean_by(code: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    return _sum_by(code, values, count) / np.maximum(np.bincount(code, minlength=count), 1)


def _level(units: np.ndarray, factor: np.ndarray, code: np.ndarray, count: int, group: np.ndarray) -> np.ndarray:
    """Units a day at usual inputs, drawn a little towards the category's: a gamma prior of PRIOR_UNITS / 4 units."""
    sold, days = _sum_by(code, units, count), _sum_by(code, factor, count)
    groups = int(group.max(initial=0)) + 1
    usual = _sum_by(group, sold, groups) / np.maximum(_sum_by(group, days, groups), 1e-9)
    prior = PRIOR_UNITS / 4
    level = (sold + prior) / (days + prior / np.maximum(usual[group], LEAST_RATE))
    return np.maximum(level, LEAST_RATE)


def _newton(x: np.ndarray, left: np.ndarray, mean: np.ndarray, code: np.ndarray, count: int) -> np.ndarray:
    """A Newton step of Poisson regression with a level a series, which is taken out of the inputs; a weak ridge."""
    weight = np.maximum(_sum_by(code, mean, count), 1e-12)
    inner = np.column_stack(
        [x[:, j] - (_sum_by(code, mean * x[:, j], count) / weight)[code] for j in range(x.shape[1])]
    )
    hessian = inner.T @ (inner * mean[:, None]) + np.eye(x.shape[1])
    return np.asarray(np.clip(np.linalg.solve(hessian, inner.T @ left), -1, 1))


def _own_slopes(
    slope: np.ndarray,
    price: np.ndarray,
    left: np.ndarray,
    mean: np.ndarray,
    code: np.ndarray,
    count: int,
    spread: float,
) -> np.ndarray:
    """Each series' own deviation of price response, as far as its data tell it (empirical Bayes, normal prior)."""
    weight = np.maximum(_sum_by(code, mean, count), 1e-12)
    inner = price - (_sum_by(code, mean * price, count) / weight)[code]
    score, known = _sum_by(code, inner * left, count), _sum_by(code, mean * inner**2, count)
    whole = score + known * slope
    variance = max(float((whole**2 - spread * known).sum() / max(float((known**2).sum()), 1e-9)), 1e-4)
    return np.asarray(whole / (known + spread / variance))


def _spreads(square: np.ndarray, mean: np.ndarray, code: np.ndarray, count: int) -> np.ndarray:
    """Variance ÷ mean of each series, drawn to that of all as far as it has few units; at least 1."""
    squares, expected = _sum_by(code, square, count), _sum_by(code, mean, count)
    usual = max(float(squares.sum() / max(float(expected.sum()), 1e-9)), 1.0)
    prior = 20 * PRIOR_UNITS
    return np.maximum((squares + prior * usual) / (expected + prior), 1.0)


def _present(
    units: np.ndarray, mean: np.ndarray, code: np.ndarray, age: np.ndarray, group: np.ndarray, count: int, half: float
) -> np.ndarray:
    """Present level of each series against its long one: the category's of late, and its own as far as told."""
    weight = 0.5 ** (age / half)
    sold, told = _sum_by(code, weight * units, count), _sum_by(code, weight * mean, count)
    groups = int(group.max(initial=0)) + 1
    both = _sum_by(group, sold, groups), _sum_by(group, told, groups)
    category = ((both[0] + 10 * PRIOR_UNITS) / (both[1] + 10 * PRIOR_UNITS))[group]
    return np.asarray((sold + 5 * PRIOR_UNITS * category) / (told + 5 * PRIOR_UNITS))


def _best_half_life(
    units: np.ndarray, mean: np.ndarray, code: np.ndarray, age: np.ndarray, group: np.ndarray, count: int
) -> float:
    """The half-life that foretells the last VALIDATION_DAYS best from the days before (Poisson deviance)."""
    late = age < VALIDATION_DAYS
    if not late.any() or late.all():
        return HALF_LIVES[-1]
    then = ~late
    losses = []
    for half in HALF_LIVES:
        at = _present(units[then], mean[then], code[then], age[then] - VALIDATION_DAYS, group, count, half)
        told = np.maximum(mean[late] * at[code[late]], 1e-9)
        losses.append(float((told - units[late] * np.log(told)).sum()))
    return HALF_LIVES[int(np.argmin(losses))]


def _drift(
    units: np.ndarray, mean: np.ndarray, code: np.ndarray, age: np.ndarray, group: np.ndarray, count: int,
    half: float, spread: float,
) -> float:  # fmt: skip
    """Relative standard deviation of the level over two weeks, beyond what counts explain, from the last fortnight."""
    late = age < 2 * WEEK
    if not late.any() or late.all():
        return 0.0
    then = ~late
    at = _present(units[then], mean[then], code[then], age[then] - 2 * WEEK, group, count, half)
    told = _sum_by(code[late], mean[late] * at[code[late]], count)
    extra = (_sum_by(code[late], units[late], count) - told) ** 2 - spread * told
    return float(np.sqrt(np.clip(extra.sum() / max(float((told**2).sum()), 1e-9), 0.0, 0.25)))
