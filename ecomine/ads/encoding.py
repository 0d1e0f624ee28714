"""Columns of a DataFrame as numbers, for trees and for lines."""

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import FeatureError

KNOTS = (0.25, 0.5, 0.75)
"""Quantiles at which a line may bend."""

_FEW_VALUES = 4
_SKEWED = 1.0


class Design:
    """Learns from a frame which columns hold numbers and which levels, and turns frames of such columns into matrices.

    `raw` holds numbers as they are (nulls stay) and a flag a level; unknown levels have no flag. `straight` fills nulls
    with the median, takes the logarithm of skewed columns and standardises; `broken` adds bends at the quartiles.
    """

    def fit(self, frame: pd.DataFrame) -> "Design":
        if not len(frame.columns):
            raise FeatureError("The frame has no columns; expected at least one that tells people apart.")
        self.numbers = [str(name) for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name])]
        rest = [str(name) for name in frame.columns if str(name) not in self.numbers]
        self.levels = {name: sorted(_text(frame[name]).dropna().unique()) for name in rest}
        values = self.raw(frame)
        known = np.isfinite(values)
        self.median = np.array(
            [np.median(column[there]) if there.any() else 0.0 for column, there in zip(values.T, known.T, strict=True)]
        )
        filled = np.where(known, values, self.median)
        spread = filled.std(axis=0)
        centred = filled - filled.mean(axis=0)
        skewness = np.divide((centred**3).mean(axis=0), spread**3, out=np.zeros_like(spread), where=spread > 1e-9)
        many = np.array([len(np.unique(column)) > _FEW_VALUES for column in filled.T])
        self.logged = many & (np.abs(skewness) > _SKEWED)
        lines = self._lines(values)
        self.mean, self.scale = lines.mean(axis=0), _scale(lines)
        self.knots = np.quantile(lines[:, many], KNOTS, axis=0).T if many.any() else np.zeros((0, len(KNOTS)))
        self.bends = np.flatnonzero(many)
        bent = self._bent(lines)
        self.bent_mean, self.bent_scale = bent.mean(axis=0), _scale(bent)
        return self

    def raw(self, frame: pd.DataFrame) -> np.ndarray:
        """float64; raises FeatureError where a column is missing or holds text instead of numbers."""
        require(
            frame.columns, (*self.numbers, *self.levels), "rows", "Give the columns that the model was fitted with."
        )
        try:
            parts = [frame[self.numbers].to_numpy(np.float64, na_value=np.nan)]
        except (TypeError, ValueError) as error:
            raise FeatureError(f"A column that was learnt as numbers now holds something else: {error}.") from error
        for name, levels in self.levels.items():
            code = pd.Index(levels).get_indexer(pd.Index(_text(frame[name])))
            parts.append((code[:, None] == np.arange(len(levels))).astype(float))
        return np.hstack(parts)

    def straight(self, values: np.ndarray) -> np.ndarray:
        """From `raw`."""
        return np.asarray((self._lines(values) - self.mean) / self.scale)

    def broken(self, values: np.ndarray) -> np.ndarray:
        """From `raw`."""
        return np.hstack([self.straight(values), (self._bent(self._lines(values)) - self.bent_mean) / self.bent_scale])

    def _lines(self, values: np.ndarray) -> np.ndarray:
        filled = np.where(np.isfinite(values), values, self.median)
        return np.asarray(np.where(self.logged, np.sign(filled) * np.log1p(np.abs(filled)), filled))

    def _bent(self, lines: np.ndarray) -> np.ndarray:
        bent = np.maximum(lines[:, self.bends, None] - self.knots, 0.0)
        return np.asarray(bent.reshape(len(lines), -1))

    def state(self) -> dict[str, object]:
        """What `restore` needs, as plain values."""
        arrays = {name: getattr(self, name).tolist() for name in _ARRAYS}
        return {"numbers": self.numbers, "levels": self.levels, **arrays}

    @classmethod
    def restore(cls, state: dict) -> "Design":  # type: ignore[type-arg]
        design = cls()
        design.numbers, design.levels = state["numbers"], state["levels"]
        for name, kind in _ARRAYS.items():
            setattr(design, name, np.array(state[name], kind))
        design.knots = design.knots.reshape(-1, len(KNOTS))
        return design


_ARRAYS = {
    "median": float, "logged": bool, "mean": float, "scale": float, "knots": float, "bends": int, "bent_mean": float,
    "bent_scale": float,
}  # fmt: skip


def _scale(values: np.ndarray) -> np.ndarray:
    spread = values.std(axis=0)
    return np.asarray(np.where(spread > 1e-9, spread, 1.0))


def _text(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna()).map(str, na_action="ignore")
