"""Columns of a DataFrame as numbers: levels as flags, and as what is known about their label."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import FeatureError, NotEnoughDataError

_ROUNDS = 5
"""Parts into which training rows are dealt, so that no row's own label is in its level's average."""


class Columns:
    """Learns which columns hold numbers and which hold levels (text, categories), and turns frames into numbers.

    `matrix` gives the numbers as they are (nulls stay), then a flag for each level; unknown levels have no flag. With
    `averages`, each column with levels also gets the average label of its level, shrunk towards the overall average by
    `_SHRINK` rows (Micci-Barreca 2001). Columns named in `as_levels` hold levels although they look like numbers.
    """

    _SHRINK = 30.0

    def __init__(self, averages: bool = False, as_levels: Sequence[str] = ()) -> None:
        self.averages, self.as_levels = averages, tuple(as_levels)

    def fit(self, frame: pd.DataFrame, label: np.ndarray) -> "Columns":
        levelled = [
            str(name)
            for name in frame.columns
            if name in self.as_levels or not (pd.api.types.is_numeric_dtype(frame[name]) or frame[name].isna().all())
        ]
        self.numbers = [str(name) for name in frame.columns if name not in levelled]
        self.levels = {name: sorted(_text(frame[name]).dropna().unique()) for name in levelled}
        self.mean = float(np.mean(label))
        self.means = {name: self._means(self._codes(frame, name), label, name) for name in levelled}
        return self

    @property
    def names(self) -> list[str]:
        """Of the columns of `matrix`."""
        flags = [f"{name}={level}" for name, levels in self.levels.items() for level in levels]
        return [*self.numbers, *flags, *([f"{name}~" for name in self.levels] if self.averages else [])]

    def matrix(self, frame: pd.DataFrame) -> np.ndarray:
        """float64, a column a name of `names`; raises FeatureError where a column is missing."""
        wanted = (*self.numbers, *self.levels)
        require(frame.columns, wanted, "rows", "Give the columns that the model was fitted with.")
        return self._matrix(frame, {name: self._average(self.means[name], frame, name) for name in self.levels})

    def training_matrix(self, frame: pd.DataFrame, label: np.ndarray, seed: int) -> np.ndarray:
        """The same for the rows learned from: the averages come from rows dealt to other parts."""
        part = np.random.default_rng(seed).integers(0, _ROUNDS, len(frame))
        averages = {}
        for name in self.levels if self.averages else ():
            codes, averages[name] = self._codes(frame, name), np.empty(len(frame))
            for number in range(_ROUNDS):
                here = part == number
                means = self._means(codes[~here], label[~here], name)
                averages[name][here] = np.append(means, self.mean)[codes[here]]
        return self._matrix(frame, averages)

    def _matrix(self, frame: pd.DataFrame, averages: dict[str, np.ndarray]) -> np.ndarray:
        parts = [matrix(frame[self.numbers])]
        for name, levels in self.levels.items():
            parts.append((self._codes(frame, name)[:, None] == np.arange(len(levels))).astype(float))
        if self.averages:
            parts += [averages[name][:, None] for name in self.levels]
        return np.hstack(parts) if parts else np.empty((len(frame), 0))

    def _codes(self, frame: pd.DataFrame, name: str) -> np.ndarray:
        """Place of each value among the levels; -1 for an unknown one."""
        return np.asarray(pd.Index(self.levels[name]).get_indexer(pd.Index(_text(frame[name]))))

    def _means(self, codes: np.ndarray, label: np.ndarray, name: str) -> np.ndarray:
        known, size = codes >= 0, len(self.levels[name])
        total, count = (np.bincount(codes[known], weights, size) for weights in (label[known], None))
        return np.asarray((total + self._SHRINK * self.mean) / (count + self._SHRINK))

    def _average(self, means: np.ndarray, frame: pd.DataFrame, name: str) -> np.ndarray:
        # The overall average stands last, where the code -1 of an unknown level finds it.
        return np.append(means, self.mean)[self._codes(frame, name)]

    def state(self) -> dict[str, object]:
        """What `restore` needs, as plain values."""
        return {
            "averages": self.averages,
            "as_levels": list(self.as_levels),
            "numbers": self.numbers,
            "levels": self.levels,
            "mean": self.mean,
            "means": {name: means.tolist() for name, means in self.means.items()},
        }

    @classmethod
    def restore(cls, state: dict) -> "Columns":  # type: ignore[type-arg]
        columns = cls(state["averages"], state["as_levels"])
        columns.numbers, columns.levels = state["numbers"], state["levels"]
        columns.mean = float(state["mean"])
        columns.means = {name: np.array(means) for name, means in state["means"].items()}
        return columns


def numbers(column: pd.Series) -> np.ndarray:
    """A column as float64, nulls as NaN; raises FeatureError for text."""
    try:
        return np.asarray(column.astype("float64"))
    except (TypeError, ValueError) as error:
        raise FeatureError(f"The column {column.name} was learned as numbers and now holds text: {error}.") from error


def matrix(frame: pd.DataFrame) -> np.ndarray:
    """All columns of a frame as float64; raises FeatureError for text."""
    if (frame.dtypes == np.float64).all():
        return frame.to_numpy()
    parts = [numbers(frame[name]) for name in frame.columns]
    return np.column_stack(parts) if parts else np.empty((len(frame), 0))


def flags(label: pd.Series | np.ndarray) -> np.ndarray:
    """A label as 0.0 and 1.0; raises NotEnoughDataError where only one of them is there."""
    values = np.asarray(label, float)
    if set(np.unique(values)) != {0.0, 1.0}:
        raise NotEnoughDataError(
            f"{len(values):,} labels with the values {sorted(set(values.tolist()))[:5]}; expected both 0 and 1."
        )
    return values


def _text(column: pd.Series) -> pd.Series:
    # Numbers and flags that stand for levels are told apart by their text.
    return column.astype(object).where(column.notna()).map(str, na_action="ignore")
