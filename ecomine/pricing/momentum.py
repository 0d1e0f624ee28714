"""Momentum: what the features known when prices were set say about the sales to come, as one number a row.

A ridge regression within items of log units on the logs of all features, with the own price beside them, so that what
the price did is not ascribed to the features. The price takes no part in the number. It is a confounder of the demand
model: prices are often set by how an item sold of late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine.columns import READ, require
from ecomine.domain import LABEL
from ecomine.store import write_frame

SEPARATOR = "__"
"""Between the view and the feature in the name of a feature column."""

PENALTY = 0.02
"""Of the ridge, a share of the number of rows."""

FILE, USUAL_FILE = "momentum.parquet", "momentum_usual.parquet"


@dataclass(frozen=True)
class Momentum:
    """`weight` by feature, and the `usual` value of each feature by item (items × features, in logs)."""

    features: tuple[str, ...]
    weight: np.ndarray
    items: np.ndarray
    usual: np.ndarray

    @classmethod
    def fit(cls, rows: pd.DataFrame) -> "Momentum":
        """From labelled rows with feature columns; without any, momentum is 0."""
        features = tuple(str(name) for name in rows.columns if SEPARATOR in str(name))
        code, items = pd.factorize(rows["item_id"], sort=True)
        values = _logs(rows, features)
        missing = np.isnan(values)
        count = _sums((~missing).astype(float), code, len(items))
        usual = _sums(np.where(missing, 0.0, values), code, len(items)) / np.maximum(count, 1)
        inner = np.where(missing, 0.0, values - usual[code])
        own, target = (np.log(rows[name].to_numpy(float) + extra) for name, extra in (("price", 0.0), (LABEL, 0.5)))
        size = np.maximum(np.bincount(code, minlength=len(items)), 1)
        own, target = (one - (np.bincount(code, one, len(items)) / size)[code] for one in (own, target))
        spread = np.maximum(np.sqrt((inner**2).mean(axis=0)), 1e-9)
        design = np.column_stack([inner / spread, own])
        square = np.einsum("ri,rj->ij", design, design)
        penalty = np.full(len(square), PENALTY * len(rows))
        penalty[-1] = 1e-6
        found = np.linalg.solve(square + np.diag(penalty), np.einsum("ri,r->i", design, target))
        return cls(features, found[:-1] / spread, items, usual)

    def of(self, rows: pd.DataFrame) -> np.ndarray:
        """One number a row; 0 for unknown items. Raises FeatureError where a feature it learned from is missing."""
        require(rows.columns, self.features, "rows to price", READ)
        at = pd.Index(self.items).get_indexer(rows["item_id"])
        values = _logs(rows, self.features)
        inner = np.where(np.isnan(values) | (at < 0)[:, None], 0.0, values - self.usual[np.maximum(at, 0)])
        return (inner * self.weight).sum(axis=1)

    def save(self, folder: Path) -> None:
        write_frame(folder / FILE, pd.DataFrame({"feature": list(self.features), "weight": self.weight}))
        usual = pd.DataFrame(self.usual, columns=[f"{place}" for place in range(len(self.features))])
        usual.insert(0, "item_id", self.items)
        write_frame(folder / USUAL_FILE, usual)

    @classmethod
    def load(cls, folder: Path) -> "Momentum":
        weights, usual = pd.read_parquet(folder / FILE), pd.read_parquet(folder / USUAL_FILE)
        return cls(
            tuple(weights["feature"]), weights["weight"].to_numpy(float), usual["item_id"].to_numpy(object),
            usual.drop(columns="item_id").to_numpy(float),
        )  # fmt: skip


def _logs(rows: pd.DataFrame, features: Sequence[str]) -> np.ndarray:
    """log(1 + feature), rows × features; features are counts, money, days and shares, never below 0."""
    return np.log1p(np.maximum(rows[list(features)].to_numpy(float), 0.0))


def _sums(values: np.ndarray, code: np.ndarray, count: int) -> np.ndarray:
    sums = [np.bincount(code, values[:, j], minlength=count) for j in range(values.shape[1])]
    return np.column_stack(sums) if sums else np.zeros((count, 0))
