"""What orders the candidates: gradient-boosted trees, or logistic regression as the plain comparison.

A ranker sees a frame of numbers (nulls allowed), one row a candidate, sorted by `group`, the number of the list that
the row is on: one customer at one moment. `score(rows)` gives numbers whose order within a list is what counts. Both
are kept in files that hold no code.
"""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from ecomine.recommendation.params import RecommendationParams
from ecomine.store import write_json

if TYPE_CHECKING:
    import xgboost


@dataclass(frozen=True)
class Lists:
    """What is known about training rows beside their numbers.

    label: 1 where bought; group: number of the list, rising; validation: true for the rows that tell when to stop.
    """

    label: np.ndarray
    group: np.ndarray
    validation: np.ndarray


_BINS = 128
"""Steps into which XGBoost divides a column."""


_FEW = 4000
"""Rows that one thread scores as fast as several."""


class Ranker(Protocol):
    """What every ranker can do."""

    def fit(self, rows: pd.DataFrame, lists: "Lists", threads: int, seed: int) -> "Ranker": ...
    def score(self, rows: pd.DataFrame) -> np.ndarray: ...
    def contributions(self, rows: pd.DataFrame) -> np.ndarray: ...
    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> "Ranker": ...


class XGBoostRanker:
    """Boosted trees that learn which of two products on the same list is bought (pairwise LambdaMART, Burges 2010).

    Lists on which nothing, or everything, was bought hold no such pair and are left out. The number of trees is found
    on the validation rows, then all rows are learned from with that number.
    """

    file = "ranker.ubj"

    def __init__(self, params: RecommendationParams, objective: str = "rank:pairwise") -> None:
        self.params, self.objective = params, objective
        self._single: tuple[xgboost.Booster, xgboost.Booster] | None = None

    def fit(self, rows: pd.DataFrame, lists: Lists, threads: int, seed: int) -> "XGBoostRanker":
        import xgboost

        size, bought = np.bincount(lists.group), np.bincount(lists.group, lists.label)
        telling = ((bought > 0) & (bought < size))[lists.group]
        settings = {
            "objective": self.objective,
            "lambdarank_pair_method": "mean",
            "lambdarank_num_pair_per_sample": self.params.pairs,
            "eval_metric": f"ndcg@{self.params.list_length}",
            "tree_method": "hist",
            "max_bin": _BINS,
            "learning_rate": self.params.learning_rate,
            "max_depth": self.params.max_depth,
            "min_child_weight": self.params.min_child_weight,
            "subsample": self.params.subsample,
            "colsample_bytree": self.params.colsample,
            "nthread": threads,
            "seed": seed,
        }

        def matrix(chosen: np.ndarray, like: "xgboost.DMatrix | None" = None) -> "xgboost.DMatrix":
            return xgboost.QuantileDMatrix(
                rows[chosen], lists.label[chosen], qid=lists.group[chosen], ref=like, max_bin=_BINS, nthread=threads
            )

        rounds = self.params.max_rounds
        earlier, later = telling & ~lists.validation, telling & lists.validation
        if earlier.any() and later.any():
            seen = matrix(earlier)
            trial = xgboost.train(
                settings,
                seen,
                rounds,
                evals=[(matrix(later, seen), "later")],
                early_stopping_rounds=self.params.patience,
                verbose_eval=False,
            )
            rounds = trial.best_iteration + 1
        # A tiny shop may have lists of one product only; then there is nothing to tell apart and the trees stay empty.
        self.booster = xgboost.train(settings, matrix(telling if telling.any() else np.ones(len(rows), bool)), rounds)
        return self

    def score(self, rows: pd.DataFrame) -> np.ndarray:
        # One score must not depend on how many rows are scored together, so there is one way of asking for it.
        booster = self._alone() if len(rows) <= _FEW else self.booster
        return np.asarray(booster.inplace_predict(rows.to_numpy(np.float32), validate_features=False))

    def contributions(self, rows: pd.DataFrame) -> np.ndarray:
        """What each column adds to the score of each row (Lundberg and Lee 2017): an array like `rows`."""
        import xgboost

        data = xgboost.DMatrix(rows.to_numpy(np.float32), nthread=1)
        # Asked for of one thread, so that sums come in one order.
        booster = self.booster.copy()
        booster.set_param({"nthread": 1})
        return np.asarray(booster.predict(data, pred_contribs=True, validate_features=False)[:, :-1], np.float64)

    def _alone(self) -> "xgboost.Booster":
        """The same trees for one thread: to wake others for a few rows takes longer than to score them."""
        if self._single is None or self._single[0] is not self.booster:
            single = self.booster.copy()
            single.set_param({"nthread": 1})
            # XGBoost configures itself at the first prediction, which must not be made by several threads at once.
            single.inplace_predict(np.zeros((1, single.num_features()), np.float32), validate_features=False)
            self._single = self.booster, single
        return self._single[1]

    def save(self, folder: Path) -> None:
        self.booster.save_model(folder / self.file)

    def load(self, folder: Path) -> "XGBoostRanker":
        import xgboost

        self.booster = xgboost.Booster(model_file=folder / self.file)
        return self


class LinearRanker:
    """Logistic regression on standardised columns: signed log for skewed amounts, the median for nulls."""

    file = "linear.json"
    rows_seen = 200_000
    """Evenly spaced training rows; more change the few coefficients by less than their error."""

    def __init__(self, params: RecommendationParams) -> None:
        self.params = params

    def fit(self, rows: pd.DataFrame, lists: Lists, threads: int, seed: int) -> "LinearRanker":
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        step = max(1, len(rows) // self.rows_seen)
        values = _squash(rows.to_numpy(np.float64)[::step])
        counted = np.isfinite(values).sum(axis=0) > 0
        self.median = np.zeros(values.shape[1])
        self.median[counted] = np.nanmedian(values[:, counted], axis=0)
        values = np.where(np.isfinite(values), values, self.median)
        self.mean, spread = values.mean(axis=0), values.std(axis=0)
        self.scale = np.where(spread > 1e-9, spread, 1.0)
        # Sums over several threads come in changing order; one thread keeps the bytes the same.
        with threadpool_limits(1), warnings.catch_warnings():
            # Columns that say the same make for slow steps at the end, which the order of the lists does not feel.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=1.0, max_iter=200, tol=1e-4, random_state=seed)
            model.fit((values - self.mean) / self.scale, lists.label[::step])
        self.weight, self.intercept = model.coef_[0], float(model.intercept_[0])
        return self

    def score(self, rows: pd.DataFrame) -> np.ndarray:
        values = _squash(rows.to_numpy(np.float64))
        values = (np.where(np.isfinite(values), values, self.median) - self.mean) / self.scale
        # A sum by columns, not a matrix product: its rounding is the same for one row and for many.
        return np.asarray(1.0 / (1.0 + np.exp(-((values * self.weight).sum(axis=1) + self.intercept))))

    def contributions(self, rows: pd.DataFrame) -> np.ndarray:
        """What each column adds to the log odds of each row: its weight times how far it is from the mean."""
        values = _squash(rows.to_numpy(np.float64))
        values = (np.where(np.isfinite(values), values, self.median) - self.mean) / self.scale
        return np.asarray(values * self.weight)

    def save(self, folder: Path) -> None:
        state = {name: getattr(self, name).tolist() for name in ("median", "mean", "scale", "weight")}
        write_json(folder / self.file, {**state, "intercept": self.intercept})

    def load(self, folder: Path) -> "LinearRanker":
        state = json.loads((folder / self.file).read_text())
        for name in ("median", "mean", "scale", "weight"):
            setattr(self, name, np.array(state[name]))
        self.intercept = float(state["intercept"])
        return self


MODELS: dict[str, Callable[[RecommendationParams], Ranker]] = {"xgboost": XGBoostRanker, "linear": LinearRanker}
"""The rankers on offer, by the name that params.yaml gives."""


def _squash(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))
