"""What uplift learners are put together from: regressions of a probability or an amount, by lines or by trees."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from scipy import special

from ecomine.store import write_json

LINEAR, XGBOOST = "linear", "xgboost"


class Base(Protocol):
    """A regression: rows × columns and a target in, a number a row out."""

    def fit(self, values: np.ndarray, target: np.ndarray, weight: np.ndarray | None = None) -> "Base": ...

    def predict(self, values: np.ndarray) -> np.ndarray: ...

    def save(self, folder: Path, name: str) -> None: ...

    def load(self, folder: Path, name: str) -> "Base": ...


class Lines:
    """Logistic regression of a probability, or ridge regression of an amount; columns are standardised already.

    `penalty` is the weight of the squared coefficients, for a probability against the sum of all losses, for an amount
    against the mean.
    """

    def __init__(self, probability: bool, penalty: float) -> None:
        self.probability, self.penalty = probability, penalty

    def fit(self, values: np.ndarray, target: np.ndarray, weight: np.ndarray | None = None) -> "Lines":
        from threadpoolctl import threadpool_limits

        # Sums over several threads come in changing order; one thread keeps the bytes the same.
        with threadpool_limits(1):
            if self.probability and len(np.unique(target)) > 1:
                self._logistic(values, target, weight)
            else:
                self._ridge(values, target, weight)
        return self

    def _logistic(self, values: np.ndarray, target: np.ndarray, weight: np.ndarray | None) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        with warnings.catch_warnings():
            # Overlapping pieces of lines make for slow last steps that no prediction feels.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=1 / self.penalty, max_iter=300).fit(values, target, weight)
        self.slope, self.level, self.curved = model.coef_[0], float(model.intercept_[0]), True

    def _ridge(self, values: np.ndarray, target: np.ndarray, weight: np.ndarray | None) -> None:
        share = np.full(len(target), 1 / len(target)) if weight is None else weight / weight.sum()
        centre, mean = share @ values, float(share @ target)
        apart = values - centre
        gram = (apart * share[:, None]).T @ apart + self.penalty * np.eye(values.shape[1])
        self.slope = np.linalg.solve(gram, (apart * share[:, None]).T @ (target - mean))
        self.level, self.curved = mean - float(centre @ self.slope), False

    def predict(self, values: np.ndarray) -> np.ndarray:
        # A sum by columns, not a matrix product: its rounding is the same for one row and for many.
        margin = (values * self.slope).sum(axis=1) + self.level
        return np.asarray(special.expit(margin) if self.curved else margin)

    def save(self, folder: Path, name: str) -> None:
        state = {"slope": self.slope.tolist(), "level": self.level, "curved": self.curved}
        write_json(folder / f"{name}.json", state)

    def load(self, folder: Path, name: str) -> "Lines":
        state = json.loads((folder / f"{name}.json").read_text())
        self.slope, self.level, self.curved = np.array(state["slope"]), state["level"], state["curved"]
        return self


class Boosted:
    """XGBoost of a probability or an amount; nulls are allowed."""

    def __init__(
        self, probability: bool, depth: int, rounds: int, learning_rate: float, leaf: float, seed: int
    ) -> None:
        self.probability, self.rounds = probability, rounds
        self.options = {
            "objective": "binary:logistic" if probability else "reg:squarederror",
            "max_depth": depth,
            "learning_rate": learning_rate,
            # In a logistic leaf each row weighs p(1 - p): what is asked for in rows is asked for in that.
            "min_child_weight": leaf * (0.1 if probability else 1.0),
            "subsample": 0.7,
            "colsample_bynode": 0.7,
            "lambda": 5.0,
            "tree_method": "hist",
            "max_bin": 128,
            "nthread": 1,
            "seed": seed,
        }

    def fit(self, values: np.ndarray, target: np.ndarray, weight: np.ndarray | None = None) -> "Boosted":
        import xgboost

        data = xgboost.QuantileDMatrix(values.astype(np.float32), target, weight=weight, max_bin=128, nthread=1)
        self.booster = xgboost.train(self.options, data, self.rounds)
        return self

    def predict(self, values: np.ndarray) -> np.ndarray:
        rows = values.astype(np.float32)
        return np.asarray(self.booster.inplace_predict(rows, validate_features=False), np.float64)

    def save(self, folder: Path, name: str) -> None:
        self.booster.save_model(folder / f"{name}.ubj")

    def load(self, folder: Path, name: str) -> "Boosted":
        import xgboost

        self.booster = xgboost.Booster(model_file=folder / f"{name}.ubj")
        self.booster.set_param({"nthread": 1})
        return self


Make = Callable[[bool], Base]
"""Makes an unfitted regression: of a probability (True) or of an amount."""
