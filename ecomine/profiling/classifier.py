"""Yes or no from a table: boosted trees, logistic regression beside them, and a probability that can be believed."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from scipy import optimize, special

from ecomine.profiling.encoding import Columns, flags
from ecomine.profiling.regression import BrokenLineLogistic
from ecomine.profiling.trees import Trees, TreeSettings
from ecomine.store import write_json

_FOLDS = 3
"""Parts of the training rows that are predicted by models which did not see them, to calibrate."""


class TabularClassifier:
    """A blend of trees and logistic regression on any DataFrame of numbers and levels, calibrated (Platt 1999).

    share: of the trees in the blend of log odds; averages: whether levels also get their average label; as_levels:
    numeric columns that hold levels; monotone: column → 1 or -1; knots: of the broken
    lines of the regression, 1 for straight ones. The calibration is learned from predictions for rows
    that the predicting model had not seen. What is not given is as the class has it.
    """

    usual_trees: ClassVar[TreeSettings] = TreeSettings()
    usual_share: ClassVar[float] = 1.0
    usual_averages: ClassVar[bool] = False

    def __init__(
        self,
        trees: TreeSettings | None = None,
        share: float | None = None,
        averages: bool | None = None,
        as_levels: Sequence[str] = (),
        monotone: Mapping[str, int] | None = None,
        seed: int = 42,
        threads: int = 2,
        knots: int = 6,
    ) -> None:
        self.knots = knots
        self.settings, self.as_levels = trees or self.usual_trees, tuple(as_levels)
        self.share = self.usual_share if share is None else share
        self.averages = self.usual_averages if averages is None else averages
        self.monotone, self.seed, self.threads = dict(monotone or {}), seed, threads

    def derive(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Columns that the model sees; an estimator with ideas of its own adds to them here."""
        return frame

    def fit(self, frame: pd.DataFrame, label: pd.Series | np.ndarray) -> Self:
        """Learns; the label is 0 or 1. Raises NotEnoughDataError where it has only one of them."""
        seen, known = self.derive(frame).reset_index(drop=True), flags(label)
        # Dealing by rank within each class keeps the classes' shares the same in every part.
        order = np.random.default_rng(self.seed).permutation(len(known))
        part = np.empty(len(known), np.int64)
        part[order[np.argsort(known[order], kind="stable")]] = np.arange(len(known)) % _FOLDS
        apart = np.empty(len(known))
        for number in range(_FOLDS):
            here = part == number
            self._learn(seen[~here].reset_index(drop=True), known[~here], self.share < 1)
            apart[here] = self._blended(self.columns.matrix(seen[here]))
        self.platt = _platt(apart, known)
        self._learn(seen, known, True)
        return self

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Calibrated probability, a number a row; raises FeatureError where a column is missing."""
        margin = self._blended(self.columns.matrix(self.derive(frame)))
        return np.asarray(special.expit(self.platt[0] + self.platt[1] * margin))

    def predict_plainly(self, frame: pd.DataFrame) -> np.ndarray:
        """The same by logistic regression alone."""
        return np.asarray(special.expit(self.plain.margin(self.columns.matrix(self.derive(frame)))))

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each column adds to the log odds by the trees; flags and averages count for their column."""
        values = self.trees.contributions(self.columns.matrix(self.derive(frame)))
        source = [name.rstrip("~").split("=")[0] for name in self.columns.names]
        parts = pd.DataFrame(values, columns=source)
        return parts.T.groupby(level=0, sort=False).sum().T if parts.columns.has_duplicates else parts

    def _learn(self, seen: pd.DataFrame, label: np.ndarray, plainly: bool) -> None:
        self.columns = Columns(self.averages, self.as_levels).fit(seen, label)
        values, names = self.columns.training_matrix(seen, label, self.seed), self.columns.names
        self.trees = Trees(self.settings, self.monotone).fit(values, label, names, self.threads, self.seed)
        if plainly:
            self.plain = BrokenLineLogistic(self.knots).fit(values, label)

    def _blended(self, values: np.ndarray) -> np.ndarray:
        """Log odds of trees and regression, in their shares; what has no share need not be asked."""
        trees = self.trees.margin(values) if self.share > 0 else 0.0
        plain = self.plain.margin(values) if self.share < 1 else 0.0
        return np.asarray(self.share * trees + (1 - self.share) * plain)

    def _arguments(self) -> dict[str, object]:
        return {
            "trees": dataclasses.asdict(self.settings),
            "share": self.share,
            "averages": self.averages,
            "as_levels": list(self.as_levels),
            "monotone": self.monotone,
            "seed": self.seed,
            "threads": self.threads,
            "knots": self.knots,
        }

    def save(self, folder: Path, name: str = "classifier") -> None:
        """JSON and XGBoost's UBJ."""
        self.trees.save(folder, name)
        state = {
            "arguments": self._arguments(),
            "columns": self.columns.state(),
            "plain": self.plain.state(),
            "platt": list(self.platt),
        }
        write_json(folder / f"{name}.json", state)

    @classmethod
    def load(cls, folder: Path, name: str = "classifier") -> Self:
        """The inverse of `save`."""
        state = json.loads((folder / f"{name}.json").read_text())
        arguments = state["arguments"]
        model = cls(**{**arguments, "trees": TreeSettings(**arguments["trees"])})
        model.columns = Columns.restore(state["columns"])
        model.plain = BrokenLineLogistic.restore(state["plain"])
        model.trees = Trees(model.settings, model.monotone).load(folder, name)
        model.platt = tuple(state["platt"])
        return model


def _platt(margin: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """Intercept and slope of the logistic regression of the label on the margin (slope between 0.05 and 5)."""

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        odds = line[0] + line[1] * margin
        error = special.expit(odds) - label
        value = np.logaddexp(0, odds) - label * odds
        return float(value.mean()), np.array([error.mean(), (error * margin).mean()])

    found = optimize.minimize(loss, np.array([0.0, 1.0]), jac=True, method="L-BFGS-B", bounds=[(None, None), (0.05, 5)])
    return float(found.x[0]), float(found.x[1])
