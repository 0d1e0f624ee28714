"""Boosted trees that agree: XGBoost grown a few times from different seeds, their margins averaged."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xgboost

_FEW = 20_000
"""Rows below which one thread is faster than several, which wait for each other at every tree."""


@dataclass(frozen=True)
class TreeSettings:
    """How trees are grown.

    objective: one of XGBoost's; rounds: trees a seed; seeds: how many times; monotone: column name → 1 (the prediction
    may only rise with it) or -1 (only fall).
    """

    objective: str = "binary:logistic"
    depth: int = 3
    rounds: int = 200
    learning_rate: float = 0.05
    min_child_weight: float = 5.0
    subsample: float = 0.7
    colsample: float = 0.5
    reg_lambda: float = 3.0
    seeds: int = 1


class Trees:
    """XGBoost on a matrix with named columns; nulls are allowed."""

    def __init__(self, settings: TreeSettings, monotone: Mapping[str, int] | None = None) -> None:
        self.settings, self.monotone, self.threads = settings, dict(monotone or {}), 2
        self._settled: dict[int, tuple[list[xgboost.Booster], list[xgboost.Booster]]] = {}

    def fit(
        self,
        values: np.ndarray,
        label: np.ndarray,
        names: list[str],
        threads: int,
        seed: int,
        offset: np.ndarray | None = None,
    ) -> "Trees":
        """Grows the trees; `offset` is the margin that each row starts from."""
        import xgboost

        self.threads = threads
        settings = self.settings
        options = {
            "objective": settings.objective,
            "tree_method": "hist",
            "max_bin": 128,
            "max_depth": settings.depth,
            "learning_rate": settings.learning_rate,
            "min_child_weight": settings.min_child_weight,
            "subsample": settings.subsample,
            "colsample_bynode": settings.colsample,
            "lambda": settings.reg_lambda,
            "nthread": self._threads(len(values)),
        }
        if self.monotone:
            options["monotone_constraints"] = tuple(self.monotone.get(name, 0) for name in names)
        data = xgboost.QuantileDMatrix(
            values.astype(np.float32), label, base_margin=offset, max_bin=128, nthread=self._threads(len(values))
        )
        self.boosters = [
            xgboost.train({**options, "seed": seed + number}, data, settings.rounds) for number in range(settings.seeds)
        ]
        return self

    def margin(self, values: np.ndarray, offset: np.ndarray | None = None) -> np.ndarray:
        """Average margin, a number a row: log odds of a binary objective, logarithm of a count or an amount.

        `offset` must be given where the trees were grown on one.
        """
        rows = values.astype(np.float32)
        predicted = [
            booster.inplace_predict(rows, predict_type="margin", validate_features=False, base_margin=offset)
            for booster in self._ready(len(rows))
        ]
        return np.asarray(np.mean(predicted, axis=0), np.float64)

    def contributions(self, values: np.ndarray) -> np.ndarray:
        """What each column adds to the margin of each row (Lundberg and Lee 2017), averaged over the seeds."""
        import xgboost

        data = xgboost.DMatrix(values.astype(np.float32), nthread=self._threads(len(values)))
        parts = [booster.predict(data, pred_contribs=True)[:, :-1] for booster in self._ready(len(values))]
        return np.asarray(np.mean(parts, axis=0), np.float64)

    def _threads(self, rows: int) -> int:
        return 1 if rows < _FEW else self.threads

    def _ready(self, rows: int) -> "list[xgboost.Booster]":
        """The boosters for the threads that suit so many rows.

        XGBoost configures a booster at its first prediction after a setting was changed, which must not happen while
        another thread predicts; so each number of threads has boosters of its own, settled before they are shown.
        """
        threads = self._threads(rows)
        known = self._settled.get(threads)
        if known is None or known[0] is not self.boosters:
            copies = [booster.copy() for booster in self.boosters]
            for booster in copies:
                booster.set_param({"nthread": threads})
                booster.inplace_predict(np.zeros((1, booster.num_features()), np.float32), validate_features=False)
            self._settled[threads] = known = self.boosters, copies
        return known[1]

    def save(self, folder: Path, name: str) -> None:
        """XGBoost's UBJ, a file a seed."""
        for number, booster in enumerate(self.boosters):
            booster.save_model(folder / f"{name}-{number}.ubj")

    def load(self, folder: Path, name: str) -> "Trees":
        """The inverse of `save`."""
        import xgboost

        files = [folder / f"{name}-{number}.ubj" for number in range(self.settings.seeds)]
        self.boosters = [xgboost.Booster(model_file=file) for file in files]
        return self
