"""What orders the candidates of a prefix: boosted trees that learn which of them came next."""

from pathlib import Path

import numpy as np

from ecomine.recommendation.sessions.params import SessionParams

FILE = "ranker.ubj"

_BINS = 128
"""Steps into which XGBoost divides a column."""


class SessionRanker:
    """XGBoost on the softmax of each list: the loss is −log of the share that the item that came next gets.

    ListNet's top-one loss (Cao et al. 2007), as gradient q − y and curvature q · (1 − q), q the item's share.
    """

    def __init__(self, params: SessionParams) -> None:
        self.params = params

    def fit(self, rows: np.ndarray, label: np.ndarray, group: np.ndarray, threads: int, seed: int) -> "SessionRanker":
        """Learns from candidates × columns; `group`, rising, numbers the list, `label` is true for what came next."""
        import xgboost

        first = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]]))
        size = np.diff(np.concatenate([first, [len(group)]]))

        def gradient(margin: np.ndarray, data: "xgboost.DMatrix") -> tuple[np.ndarray, np.ndarray]:
            share = np.exp(margin - np.repeat(np.maximum.reduceat(margin, first), size))
            share /= np.repeat(np.add.reduceat(share, first), size)
            return share - label, np.maximum(share * (1 - share), 1e-6)

        settings = {
            "tree_method": "hist",
            "max_bin": _BINS,
            "base_score": 0.0,
            "disable_default_eval_metric": True,
            "learning_rate": self.params.learning_rate,
            "max_depth": self.params.max_depth,
            "min_child_weight": self.params.min_child_weight,
            "reg_lambda": self.params.l2,
            "subsample": self.params.subsample,
            "colsample_bytree": self.params.colsample,
            "nthread": threads,
            "seed": seed,
        }
        data = xgboost.QuantileDMatrix(rows, max_bin=_BINS, nthread=threads)
        self.booster = xgboost.train(settings, data, self.params.trees, obj=gradient)
        return self

    def score(self, rows: np.ndarray) -> np.ndarray:
        """A number a row, higher for what comes next more probably."""
        return np.asarray(self.booster.inplace_predict(rows, validate_features=False, predict_type="margin"))

    def save(self, folder: Path) -> None:
        self.booster.save_model(folder / FILE)

    def load(self, folder: Path, threads: int) -> "SessionRanker":
        import xgboost

        self.booster = xgboost.Booster({"nthread": threads}, model_file=folder / FILE)
        return self
