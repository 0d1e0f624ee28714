"""How wide forecasts are: dispersion row by row, learnt from validation, and what totals add to it by dependence."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecomine.inventory.forecasting import distribution as law
from ecomine.inventory.forecasting.design import Seen

ROUNDS, DEPTH = 80, 3
USUAL_BETWEEN, ROUNDS_OF_WEIGHTS = 0.01, 4

LEAST_ROWS = 2000
"""Validation rows below which every row has the same dispersion."""


@dataclass(frozen=True)
class Spread:
    """Dispersion of forecasts; `booster` is null where there is one for all."""

    booster: Any
    constant: float

    def of(self, seen: Seen, middle: np.ndarray) -> np.ndarray:
        if self.booster is None:
            return np.full(len(middle), self.constant)
        import xgboost

        told = self.booster.predict(xgboost.DMatrix(_columns(seen, middle))).astype(float)
        return np.maximum(told * self.constant, 1e-4)


def fit(kind: str, seen: Seen, middle: np.ndarray, units: np.ndarray, seed: int, threads: int) -> Spread:
    """A model of squared residuals (gamma deviance), from forecasts that did not know the units."""
    residual = law.scatter(kind, units, middle)
    residual = np.clip(residual, 1e-4, np.quantile(residual, 0.9995))
    constant = float(residual.mean())
    if len(units) < LEAST_ROWS:
        return Spread(None, constant)
    import xgboost

    data = xgboost.QuantileDMatrix(_columns(seen, middle), residual / constant, max_bin=64, nthread=threads)
    shape = {
        "objective": "reg:gamma", "max_depth": DEPTH, "eta": 0.1, "min_child_weight": 100, "subsample": 0.8,
        "colsample_bytree": 0.6, "base_score": 1.0, "max_bin": 64, "nthread": threads, "seed": seed,
    }  # fmt: skip
    booster = xgboost.train(shape, data, ROUNDS)
    return Spread(booster, constant)


def _columns(seen: Seen, middle: np.ndarray) -> np.ndarray:
    return np.column_stack([seen.values, np.log(np.maximum(middle, 1e-6)).astype(np.float32)])


@dataclass(frozen=True)
class Totals:
    """Dependence of periods: the variance of a total of `sizes` periods is within × Σ variance + between × mean².

    `between` is the share by which all periods of a series are off together.
    """

    sizes: np.ndarray
    within: np.ndarray
    between: np.ndarray
    corrections: tuple[law.Correction, ...]

    def variance(self, size: np.ndarray, total: np.ndarray, spread: np.ndarray) -> np.ndarray:
        log, known = np.log(np.maximum(size, 1)), np.log(self.sizes)
        return np.interp(log, known, self.within) * spread + np.interp(log, known, self.between) * total**2

    def level(self, level: float, size: np.ndarray, total: np.ndarray) -> np.ndarray:
        nearest = np.abs(np.log(np.maximum(size, 1))[:, None] - np.log(self.sizes)[None]).argmin(axis=1)
        told = np.array([one.of(level, total) for one in self.corrections])
        return told[nearest, np.arange(len(total))]

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        named = {"sizes": self.sizes, "within": self.within, "between": self.between}
        corrections = [one.plain() for one in self.corrections]
        return {name: values.tolist() for name, values in named.items()} | {"corrections": corrections}

    @classmethod
    def read(cls, told: dict[str, Any]) -> "Totals":
        """The inverse of `plain`."""
        sizes, within, between = (np.array(told[name]) for name in ("sizes", "within", "between"))
        return cls(sizes, within, between, tuple(law.Correction.read(one) for one in told["corrections"]))


def dependence(kind: str, mean: np.ndarray, variance: np.ndarray, units: np.ndarray, seed: int) -> Totals:
    """What sums over the first periods say; all are series × periods, null where nothing could be sold."""
    horizon = mean.shape[1]
    sizes = np.unique(np.round(np.geomspace(1, horizon, 7)).astype(int))
    seen = np.isfinite(units)
    sums = [np.where(seen, values, 0.0).cumsum(axis=1) for values in (mean, variance, units)]
    within, between, corrections = [], [], []
    for size in sizes:
        total, spread, truth = (one[:, size - 1] for one in sums)
        there = total > 0
        total, spread, truth = total[there], spread[there], truth[there]
        ratio, lever = (_trimmed(one / spread) for one in (np.square(truth - total), np.square(total)))
        a, b = _line(lever, ratio)
        within.append(a)
        between.append(b)
        middle, dispersion = law.from_moments(kind, total, a * spread + b * total**2)
        if kind == law.COUNTS:
            dispersion = np.maximum(dispersion, law.LEAST_DISPERSION)
        place = law.probability(kind, truth, middle, dispersion, None, seed + int(size))
        corrections.append(law.correct(place, total, bands=3))
    return Totals(sizes, np.array(within), np.array(between), tuple(corrections))


def _trimmed(values: np.ndarray) -> np.ndarray:
    return np.minimum(values, np.quantile(values, 0.995)) if len(values) else values


def _line(lever: np.ndarray, ratio: np.ndarray) -> tuple[float, float]:
    """Least squares of ratio = a + b × lever with neither below zero.

    Rows weigh by the inverse of their own spread, which goes with a + b × lever: what large series say of b counts.
    """
    from scipy import optimize

    if len(ratio) < 10:
        return max(float(ratio.mean()), 0.1) if len(ratio) else 1.0, 0.0
    a, b = 1.0, USUAL_BETWEEN
    table = np.column_stack([np.ones(len(lever)), lever])
    for _ in range(ROUNDS_OF_WEIGHTS):
        weight = 1 / (a + b * lever)
        (a, b), _ = optimize.nnls(table * weight[:, None], ratio * weight)
        a, b = max(float(a), 0.1), float(b)
    return a, b
