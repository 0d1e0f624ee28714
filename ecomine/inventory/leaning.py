"""Leaning: what the features known at an origin say of how far forecasts from there will be off, as a factor a series.

A ridge regression of the log of units sold over units forecast on the logs of the features, learnt from the
forecaster's own validation, in which it did not know the units. How much is believed (the ridge, or nothing at all) is
chosen by learning from the older origins and judging by the newest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine.columns import READ, require
from ecomine.domain import EVENT_TIMESTAMP
from ecomine.inventory.situation import KEYS
from ecomine.store import write_frame

SEPARATOR = "__"
"""Between the view and the feature in the name of a feature column."""

RIDGES = (0.1, 1.0, 10.0)
"""Penalties on offer, as shares of the weight of all rows."""

SURE = 2.5
"""Standard errors of the gain on the newest origin by which leaning must pay to be heard."""

LEAST_ROWS = 100
MOST = 0.7
"""Greatest absolute log of the factor."""

FILE = "leaning.parquet"


@dataclass(frozen=True)
class Leaning:
    """By feature its `centre` and `spread` (in logs) and its `weight`; all weights are 0 where leaning did not pay."""

    features: tuple[str, ...]
    centre: np.ndarray
    spread: np.ndarray
    weight: np.ndarray

    @classmethod
    def fit(cls, validated: pd.DataFrame, rows: pd.DataFrame) -> "Leaning":
        """From the forecasts of validation (the keys, date, quantity, mean) and labelled rows with features."""
        features = tuple(str(name) for name in rows.columns if SEPARATOR in str(name))
        told = validated.merge(rows[[*KEYS, "date", EVENT_TIMESTAMP]], on=[*KEYS, "date"], how="inner")
        sums = told.groupby([*KEYS, EVENT_TIMESTAMP], sort=True, as_index=False)[["quantity", "mean"]].sum()
        first = rows.drop_duplicates([*KEYS, EVENT_TIMESTAMP])[[*KEYS, EVENT_TIMESTAMP, *features]]
        sums = sums.merge(first, on=[*KEYS, EVENT_TIMESTAMP], how="left")
        values = _logs(sums, features)
        known = np.isfinite(values)
        size = np.maximum(known.sum(axis=0), 1)
        centre = np.where(known, values, 0.0).sum(axis=0) / size
        inner = np.where(known, values - centre, 0.0)
        spread = np.sqrt((inner**2).sum(axis=0) / size)
        spread = np.where(spread > 1e-9, spread, 1.0)
        silent = cls(features, centre, spread, np.zeros(len(features)))
        moment = sums[EVENT_TIMESTAMP]
        late = (moment == moment.max()).to_numpy() if len(sums) else np.zeros(0, bool)
        if not features or late.sum() < LEAST_ROWS or (~late).sum() < LEAST_ROWS:
            return silent
        x, units, mean = inner / spread, sums["quantity"].to_numpy(float), sums["mean"].to_numpy(float)
        plain = [_losses(units[late], mean[late])]
        plain += [
            _losses(units[late], mean[late] * _factor(x[late], _ridge(x, units, mean, ~late, one))) for one in RIDGES
        ]
        best = int(np.argmin([losses.sum() for losses in plain]))
        gain = plain[0] - plain[best]
        if best == 0 or gain.mean() < SURE * gain.std() / np.sqrt(len(gain)):
            return silent
        everything = np.ones(len(sums), bool)
        return cls(features, centre, spread, _ridge(x, units, mean, everything, RIDGES[best - 1]))

    def of(self, rows: pd.DataFrame) -> np.ndarray:
        """The factor of each row; raises FeatureError where a feature it learned from is missing."""
        require(rows.columns, self.features, "rows to restock", READ)
        values = _logs(rows, self.features)
        inner = np.where(np.isfinite(values), (values - self.centre) / self.spread, 0.0)
        return _factor(inner, self.weight)

    def save(self, folder: Path) -> None:
        columns = {"feature": list(self.features), "centre": self.centre, "spread": self.spread, "weight": self.weight}
        write_frame(folder / FILE, pd.DataFrame(columns))

    @classmethod
    def load(cls, folder: Path) -> "Leaning":
        told = pd.read_parquet(folder / FILE)
        return cls(tuple(told["feature"]), *(told[name].to_numpy(float) for name in ("centre", "spread", "weight")))


def _logs(rows: pd.DataFrame, features: Sequence[str]) -> np.ndarray:
    """log(1 + feature), rows × features; features are counts, money, days and shares, never below 0."""
    return np.log1p(np.maximum(rows[list(features)].to_numpy(float), 0.0))


def _factor(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    # Row by row in one order of adding, so that a row alone gets what it gets among many.
    total = np.add.reduce(np.ascontiguousarray(np.clip(x, -4, 4) * weight), axis=1)
    return np.asarray(np.exp(np.clip(total, -MOST, MOST)))


def _ridge(x: np.ndarray, units: np.ndarray, mean: np.ndarray, rows: np.ndarray, penalty: float) -> np.ndarray:
    """Weights from the rows chosen; rows weigh by the units expected, up to a hundred."""
    x, units, mean = np.clip(x[rows], -4, 4), units[rows], mean[rows]
    off = np.log((units + 2.0) / (mean + 2.0))
    weight = np.minimum(mean, 100.0) + 0.1
    centred = x - (weight[:, None] * x).sum(axis=0) / weight.sum()
    off = off - (weight * off).sum() / weight.sum()
    square = np.einsum("ri,rj->ij", centred * weight[:, None], centred)
    right = np.einsum("ri,r->i", centred * weight[:, None], off)
    return np.asarray(np.linalg.solve(square + penalty * weight.sum() * np.eye(x.shape[1]), right))


def _losses(units: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Half the Poisson deviance of each forecast, their sum being made that of the units.

    A common surplus of a stretch says nothing of the next one.
    """
    told = np.maximum(mean * (units.sum() / max(mean.sum(), 1e-9)), 1e-6)
    return np.asarray(told - units + np.where(units > 0, units * np.log(np.maximum(units, 1e-9) / told), 0.0))
