"""The distribution of demand over a time as two numbers: negative binomial, the law of counts that vary."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from ecomine.columns import require
from ecomine.errors import FeatureError

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
QUANTILES = tuple(f"q{level:g}" for level in LEVELS)
"""The columns of quantiles in a forecast."""

MOST_STEADY = 1e7
"""Shape from which on a negative binomial is a Poisson, to the last digit that counts."""


@dataclass(frozen=True)
class DemandLaw:
    """Demand of each series over some time: arrays `mean` and `sd`, units; mean 0 is no demand at all.

    Counts are negative binomial with these moments, a Poisson where the variance is not above the mean. Formulas with
    incomplete beta functions, so that a hundred thousand series are one call.
    """

    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def of(cls, mean: np.ndarray | float, sd: np.ndarray | float | None = None) -> "DemandLaw":
        """The law with this mean; Poisson where no `sd` is given."""
        mean = np.atleast_1d(np.asarray(mean, float))
        spread = np.sqrt(mean) if sd is None else np.broadcast_to(np.asarray(sd, float), mean.shape)
        if not (np.isfinite(mean).all() and np.isfinite(spread).all()):
            raise FeatureError("Demand with a mean or spread that is no number; expected finite ones, 0 for no demand.")
        return cls(np.maximum(mean, 0.0), np.maximum(spread, np.sqrt(np.maximum(mean, 0.0))))

    @classmethod
    def of_forecast(cls, forecast: pd.DataFrame) -> "DemandLaw":
        """The law of a forecast: columns mean and the quantiles; `sd`, where it is there, is believed.

        Else the spread is that of the two outermost pairs of quantiles of a normal law, which holds within a few per
        cent for counts too.
        """
        needed = ("mean",) if "sd" in forecast.columns else ("mean", *QUANTILES)
        require(forecast.columns, needed, "forecast", "Ask a forecaster's `totals` for them.")
        mean = forecast["mean"].to_numpy(float)
        if "sd" in forecast.columns:
            return cls.of(mean, forecast["sd"].to_numpy(float))
        outer = (forecast["q0.95"] - forecast["q0.05"]).to_numpy(float) / (2 * float(special.ndtri(0.95)))
        inner = (forecast["q0.9"] - forecast["q0.1"]).to_numpy(float) / (2 * float(special.ndtri(0.9)))
        return cls.of(mean, (outer + inner) / 2)

    def over(self, share: np.ndarray | float) -> "DemandLaw":
        """The law over `share` times as long a time, days being independent and alike."""
        return DemandLaw.of(self.mean * share, self.sd * np.sqrt(share))

    def take(self, rows: np.ndarray) -> "DemandLaw":
        return DemandLaw(self.mean[rows], self.sd[rows])

    def cdf(self, level: np.ndarray | float) -> np.ndarray:
        """P(demand <= level)."""
        return self._up_to(np.asarray(level, float), 0.0)

    def loss(self, level: np.ndarray | float) -> np.ndarray:
        """Units expected to be missing at a stock of `level`: E[(D - level)+]; levels between whole ones by a line."""
        level = np.asarray(level, float)
        low = np.floor(level)
        here = self._loss(low)
        return here + (level - low) * (self._loss(low + 1) - here)

    def at_least(self, level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and mean square of demand that is known to be `level` (whole units) or more.

        Where that is next to impossible, both are the level's own.
        """
        level = np.asarray(level, float)
        chance = 1 - self._up_to(level - 1, 0.0)
        varies = np.maximum(self.sd**2 - self.mean, 0.0) / np.maximum(self.mean, 1e-300) ** 2
        first = self.mean * (1 - self._up_to(level - 2, 1.0))
        pairs = self.mean**2 * (1 + varies) * (1 - self._up_to(level - 3, 2.0))
        seen = chance > 1e-8
        sure = np.where(seen, chance, 1.0)
        mean = np.where(seen, np.maximum(first / sure, level), level)
        return mean, np.where(seen, np.maximum((first + pairs) / sure, mean**2), level**2)

    def quantile(self, level: np.ndarray | float) -> np.ndarray:
        """The least whole number that demand does not exceed with probability `level`."""
        wanted = np.broadcast_to(np.minimum(level, 1 - 1e-12), self.mean.shape)
        z = special.ndtri(np.clip(wanted, 1e-12, 1 - 1e-12))
        return self._least(lambda law, rows, at: law.cdf(at) >= wanted[rows], z)

    def level_for_loss(self, missing: np.ndarray | float) -> np.ndarray:
        """The least whole stock at which no more than `missing` units (above 0) are expected to be missing."""
        wanted = np.broadcast_to(np.maximum(missing, 1e-9), self.mean.shape)
        return self._least(lambda law, rows, at: law._loss(at) <= wanted[rows], np.ones(self.mean.shape))

    def _least(self, enough: Callable[["DemandLaw", np.ndarray, np.ndarray], np.ndarray], z: np.ndarray) -> np.ndarray:
        """The least whole number from 0 on that is enough; `enough` holds from some number on, about mean + z · sd.

        From there in steps that double until it is enclosed, then by halving, only where it is not found yet.
        """
        first = np.maximum(np.floor(self.mean + z * self.sd), 0.0)
        low, high = np.full(self.mean.shape, -1.0), np.full(self.mean.shape, np.inf)
        step = np.ceil(0.25 * self.sd) + 1
        rows, at = np.arange(len(first)), first
        while len(rows):
            found = enough(self.take(rows), rows, at)
            high[rows[found]], low[rows[~found]] = at[found], at[~found]
            rows = rows[high[rows] - low[rows] > 1]
            open_above, open_below = np.isinf(high[rows]), low[rows] < 0
            with np.errstate(invalid="ignore"):
                middle = np.floor((low[rows] + high[rows]) / 2)
            up, down = low[rows] + step[rows], np.maximum(high[rows] - step[rows], 0.0)
            at = np.where(open_above, up, np.where(open_below, down, middle))
            grown = open_above | open_below
            step[rows[grown]] *= 2
        return high

    def _loss(self, level: np.ndarray) -> np.ndarray:
        # E[D; D > x] = mean · P(D' >= x), where D' has one unit more of shape (Poisson: the same law).
        none = self.mean - level
        over = self.mean * (1 - self._up_to(level - 1, 1.0)) - level * (1 - self._up_to(level, 0.0))
        return np.where(level < 0, none, np.maximum(over, 0.0))

    def _up_to(self, level: np.ndarray, more: float) -> np.ndarray:
        extra = np.maximum(self.sd**2 - self.mean, 0.0)
        shape = np.minimum(self.mean**2 / np.maximum(extra, 1e-300), MOST_STEADY)
        whole = np.maximum(np.floor(level), 0.0)
        wide = shape < MOST_STEADY
        chance = np.where(
            wide,
            special.betainc(
                np.where(wide, shape, 1.0) + more,
                whole + 1,
                np.where(wide, self.mean / np.maximum(self.sd**2, 1e-300), 0.5),
            ),
            special.gammaincc(whole + 1, self.mean),
        )
        chance = np.where(self.mean > 0, chance, 1.0)
        return np.where(level < 0, 0.0, chance)
