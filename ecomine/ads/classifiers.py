"""Probabilities of a response: boosted trees, and logistic regression on hashed columns. Labels may be shares.

Both take frames of numbers and levels, and give log odds. A share between 0 and 1 as label counts as that much of a
response and the rest of none.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy import sparse

from ecomine.ads.encoding import Design
from ecomine.columns import require
from ecomine.store import write_json

HASHED, XGBOOST = "hashed", "xgboost"
BLOCK = 200_000

Blocks = Callable[[], Iterator[tuple[pd.DataFrame, np.ndarray]]]
"""Gives frames with their labels one after the other, from the beginning each time it is asked."""


class Classifier(Protocol):
    """Log odds of a response."""

    def fit(self, frame: pd.DataFrame, label: np.ndarray) -> "Classifier": ...

    def fit_blocks(self, blocks: Blocks) -> "Classifier": ...

    def margin(self, frame: pd.DataFrame) -> np.ndarray: ...

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame: ...

    def save(self, folder: Path, name: str) -> None: ...

    def load(self, folder: Path, name: str) -> "Classifier": ...


@dataclass(frozen=True)
class TreeSettings:
    """How trees are grown; `leaf` is XGBoost's least weight of a leaf, p(1 − p) a row."""

    rounds: int = 200
    depth: int = 5
    learning_rate: float = 0.08
    leaf: float = 5.0


class TreesClassifier:
    """XGBoost on numbers and flags of levels."""

    def __init__(self, seed: int, threads: int, settings: TreeSettings) -> None:
        self.rounds, self.threads = settings.rounds, threads
        self.options = {
            "objective": "binary:logistic", "tree_method": "hist", "max_bin": 128, "max_depth": settings.depth,
            "learning_rate": settings.learning_rate, "min_child_weight": settings.leaf, "subsample": 0.8,
            "colsample_bynode": 0.7, "lambda": 3.0, "seed": seed,
        }  # fmt: skip

    def fit(self, frame: pd.DataFrame, label: np.ndarray) -> "TreesClassifier":
        import xgboost

        self.design = Design().fit(frame)
        values = self.design.raw(frame).astype(np.float32)
        data = xgboost.QuantileDMatrix(values, label, max_bin=128, nthread=self.threads)
        self.booster = xgboost.train({**self.options, "nthread": self.threads}, data, self.rounds)
        return self

    def fit_blocks(self, blocks: Blocks) -> "TreesClassifier":
        """As `fit`, from blocks; of all rows only the bins are in memory, a byte an entry. The first block tells which
        levels there are.
        """
        import xgboost

        self.design = Design().fit(next(blocks())[0])
        data = xgboost.QuantileDMatrix(_binned(blocks, self.design), max_bin=128, nthread=self.threads)
        self.booster = xgboost.train({**self.options, "nthread": self.threads}, data, self.rounds)
        return self

    def margin(self, frame: pd.DataFrame) -> np.ndarray:
        values = self.design.raw(frame).astype(np.float32)
        told = self.booster.inplace_predict(values, predict_type="margin", validate_features=False)
        return np.asarray(told, np.float64)

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each column adds to the log odds of each row, its levels together (Lundberg and Lee 2017)."""
        import xgboost

        data = xgboost.DMatrix(self.design.raw(frame).astype(np.float32), nthread=1)
        parts = np.asarray(self.booster.predict(data, pred_contribs=True)[:, :-1], np.float64)
        whose = [*self.design.numbers, *(name for name, levels in self.design.levels.items() for _ in levels)]
        return pd.DataFrame(parts, columns=whose).T.groupby(level=0, sort=True).sum().T

    def save(self, folder: Path, name: str) -> None:
        self.booster.save_model(folder / f"{name}.ubj")
        write_json(folder / f"{name}.json", self.design.state())

    def load(self, folder: Path, name: str) -> "TreesClassifier":
        import xgboost

        self.design = Design.restore(json.loads((folder / f"{name}.json").read_text()))
        self.booster = xgboost.Booster(model_file=folder / f"{name}.ubj")
        return self


class HashedLogistic:
    """Logistic regression by stochastic gradients on hashed columns: any number of levels in a fixed memory.

    Each level, and each of `bins` classes of a number, is one of 2 ** `bits` columns. Source: Weinberger et al.,
    Feature hashing for large scale multitask learning (2009).
    """

    def __init__(self, seed: int, bits: int = 18, bins: int = 12, penalty: float = 1e-6, updates: float = 2e6) -> None:
        self.seed, self.bits, self.bins, self.penalty, self.updates = seed, bits, bins, penalty, updates

    def fit(self, frame: pd.DataFrame, label: np.ndarray) -> "HashedLogistic":
        self._begin(frame)
        for _ in range(int(np.clip(self.updates // max(len(frame), 1), 2, 20))):
            order = self.random.permutation(len(frame))
            for start in range(0, len(order), BLOCK):
                rows = order[start : start + BLOCK]
                self._learn(frame.iloc[rows], label[rows])
        return self._end()

    def fit_blocks(self, blocks: Blocks, passes: int = 1) -> "HashedLogistic":
        """As `fit`, from blocks, each in an order of its own. The first block tells the classes of numbers."""
        self._begin(next(blocks())[0])
        for _ in range(passes):
            for frame, label in blocks():
                order = self.random.permutation(len(frame))
                for start in range(0, len(order), BLOCK):
                    rows = order[start : start + BLOCK]
                    self._learn(frame.iloc[rows], label[rows])
        return self._end()

    def _begin(self, frame: pd.DataFrame) -> None:
        from sklearn.linear_model import SGDClassifier

        self.columns = [str(name) for name in frame.columns]
        shares = np.arange(1, self.bins) / self.bins
        self.edges = {
            str(name): np.unique(frame[name].astype(float).quantile(shares).dropna().to_numpy()).tolist()
            for name in frame.columns
            if pd.api.types.is_numeric_dtype(frame[name])
        }
        self.model = SGDClassifier(
            loss="log_loss", alpha=self.penalty, learning_rate="invscaling", eta0=0.2, power_t=0.25, average=True,
            random_state=self.seed,
        )  # fmt: skip
        self.random = np.random.default_rng(self.seed)

    def _learn(self, frame: pd.DataFrame, share: np.ndarray) -> None:
        values = self._matrix(frame)
        # What is neither 0 nor 1 is learnt from twice, each time as far as it is so.
        both = np.flatnonzero((share > 0) & (share < 1))
        known = np.where(share > 0, 1, 0)
        weight = np.where(share > 0, share, 1.0)
        mixed = self.random.permutation(len(frame) + len(both))
        self.model.partial_fit(
            sparse.vstack([values, values[both]], format="csr")[mixed],
            np.append(known, np.zeros(len(both), int))[mixed],
            classes=np.array([0, 1]),
            sample_weight=np.append(weight, 1 - share[both])[mixed],
        )

    def _end(self) -> "HashedLogistic":
        self.slope, self.level = self.model.coef_[0], float(self.model.intercept_[0])
        del self.model, self.random
        return self

    def margin(self, frame: pd.DataFrame) -> np.ndarray:
        return np.concatenate([self._matrix(block) @ self.slope + self.level for block in _blocks(frame)] or [[]])

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each column adds to the log odds of each row, against its mean over these rows."""
        places = self._matrix(frame).indices.reshape(len(frame), len(self.columns))
        parts = pd.DataFrame(self.slope[places], columns=self.columns)
        return parts - parts.mean()

    def _matrix(self, frame: pd.DataFrame) -> sparse.csr_matrix:
        require(frame.columns, self.columns, "rows", "Give the columns that the model was fitted with.")
        places = np.empty((len(frame), len(self.columns)), np.int64)
        for at, name in enumerate(self.columns):
            salt = pd.util.hash_array(np.array([name], dtype=object), categorize=False)[0]
            if name in self.edges:
                values = frame[name].to_numpy(float, na_value=np.nan)
                code = np.where(np.isnan(values), -1, np.searchsorted(self.edges[name], values, side="right"))
                hashed = pd.util.hash_array(code.astype(np.int64))
            else:
                text = frame[name].astype(object).where(frame[name].notna(), "").map(str).to_numpy(dtype=object)
                hashed = pd.util.hash_array(text)
            mixed = (hashed ^ salt) * np.uint64(0x9E3779B97F4A7C15)
            places[:, at] = (mixed >> np.uint64(64 - self.bits)).astype(np.int64)
        rows = np.arange(len(frame) + 1) * len(self.columns)
        ones = np.ones(places.size)
        return sparse.csr_matrix((ones, places.ravel(), rows), (len(frame), 2**self.bits))

    def save(self, folder: Path, name: str) -> None:
        used = np.flatnonzero(self.slope)
        state = {
            "columns": self.columns, "edges": self.edges, "level": self.level, "bits": self.bits,
            "places": used.tolist(), "slope": self.slope[used].tolist(),
        }  # fmt: skip
        write_json(folder / f"{name}.json", state)

    def load(self, folder: Path, name: str) -> "HashedLogistic":
        state = json.loads((folder / f"{name}.json").read_text())
        self.columns, self.edges, self.level, self.bits = (state[key] for key in ("columns", "edges", "level", "bits"))
        self.slope = np.zeros(2**self.bits)
        self.slope[state["places"]] = state["slope"]
        return self


def _blocks(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for start in range(0, len(frame), BLOCK):
        yield frame.iloc[start : start + BLOCK]


def _binned(blocks: Blocks, design: Design) -> Any:
    """XGBoost's way to see blocks one at a time."""
    import xgboost

    class Stream(xgboost.DataIter):
        def __init__(self) -> None:
            super().__init__()
            self.left = blocks()

        def next(self, input_data: Callable[..., None]) -> bool:
            for frame, label in self.left:
                input_data(data=design.raw(frame).astype(np.float32), label=label)
                return True
            return False

        def reset(self) -> None:
            self.left = blocks()

    return Stream()
