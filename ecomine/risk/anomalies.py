"""What is strange, where nobody ever said what is fraud: isolation forest and robust statistics per entity."""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import NotEnoughDataError
from ecomine.risk.isolation import IsolationTrees
from ecomine.store import write_frame, write_json

LEAST = 50
"""Rows below which nothing can be called strange."""

FEW = 5.0
"""Rows of everybody that an entity's own median and deviation are mixed with."""

NORMAL = 1.4826
"""Deviation of a normal distribution ÷ its median absolute deviation."""

LARGEST_DISTANCE = 1e6
STRONG = 3.0
"""Robust deviations from which a column is a reason."""


class AnomalyDetector:
    """How strange rows of numbers are, with reasons, learned without labels.

    Two views: an isolation forest over all columns (Liu, Ting and Zhou 2008), and for each column the distance from
    the median in robust deviations, from that of everybody and from that of the row's own entity (median absolute
    deviation; Rousseeuw and Croux 1993). Each view is turned into how rare such a value was in training,
    −log10 of the share at least as strange, and the stranger view counts. Nulls are taken for the median.
    """

    def __init__(self, trees: int = 200, seed: int = 42, threads: int = 2) -> None:
        self.trees, self.seed, self.threads = trees, seed, threads

    def fit(self, frame: pd.DataFrame, entity: pd.Series | np.ndarray | None = None) -> Self:
        """Learns what is usual; `entity` names whose row each is. Raises NotEnoughDataError below 50 rows."""
        if len(frame) < LEAST:
            raise NotEnoughDataError(f"{len(frame)} rows; {LEAST} are the least to tell the strange from the usual.")
        self.columns = [str(name) for name in frame.columns]
        values = frame.to_numpy(float)
        with np.errstate(all="ignore"):
            self.middle = np.nan_to_num(_median(values))
            self.spread = _spread(values - self.middle)
        self.own = None if entity is None else self._habits(values, np.asarray(entity, object))
        self.forest = IsolationTrees.grow(self._filled(values), self.trees, self.seed, self.threads)
        distance, isolation = self._views(frame, entity)
        self.usual_distance, self.usual_isolation = np.sort(distance.max(axis=1)), np.sort(isolation)
        return self

    def score(self, frame: pd.DataFrame, entity: pd.Series | np.ndarray | None = None) -> np.ndarray:
        """Strangeness of each row: 2 means that one training row in a hundred was as strange, in either view."""
        distance, isolation = self._views(frame, entity)
        return np.maximum(_rarity(self.usual_distance, distance.max(axis=1)), _rarity(self.usual_isolation, isolation))

    def reasons(
        self, frame: pd.DataFrame, entity: pd.Series | np.ndarray | None = None, count: int = 3
    ) -> pd.DataFrame:
        """Columns that lie farthest from usual, such as `amount far above`: reason_1 …; "" below three deviations.

        A row that no single column explains has the reason `unusual combination`.
        """
        distance, _ = self._views(frame, entity)
        above = self._filled(frame[self.columns].to_numpy(float)) >= self.middle
        best = np.argsort(-distance, axis=1, kind="stable")[:, :count]
        names = np.array([[f"{name} far below", f"{name} far above"] for name in self.columns], object)
        strong = np.take_along_axis(distance, best, axis=1) >= STRONG
        text = np.where(strong, names[best, np.take_along_axis(above, best, axis=1).astype(int)], "")
        text[~strong[:, 0], 0] = "unusual combination"
        return pd.DataFrame(text, columns=[f"reason_{n + 1}" for n in range(text.shape[1])], index=frame.index)

    def strangest(self, score: np.ndarray, key: pd.Series | np.ndarray, share: float) -> np.ndarray:
        """Flags of the given share of rows with the highest score; ties are broken by `key`."""
        order = np.lexsort((np.asarray(key), -score))
        flags = np.zeros(len(score), bool)
        flags[order[: round(share * len(score))]] = True
        return flags

    def save(self, folder: Path, name: str = "anomalies") -> None:
        """JSON, Parquet, and npz for the forest."""
        self.forest.save(folder / f"{name}.npz")
        usual = {"distance": self.usual_distance, "isolation": self.usual_isolation}
        write_frame(folder / f"{name}-usual.parquet", pd.DataFrame(usual))
        if self.own is not None:
            write_frame(folder / f"{name}-entities.parquet", self.own.reset_index())
        state = {
            "trees": self.trees,
            "seed": self.seed,
            "threads": self.threads,
            "columns": self.columns,
            "middle": self.middle.tolist(),
            "spread": self.spread.tolist(),
            "by_entity": self.own is not None,
        }
        write_json(folder / f"{name}.json", state)

    @classmethod
    def load(cls, folder: Path, name: str = "anomalies") -> Self:
        """The inverse of `save`."""
        state: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
        detector = cls(state["trees"], state["seed"], state["threads"])
        detector.columns = state["columns"]
        detector.middle, detector.spread = np.array(state["middle"]), np.array(state["spread"])
        usual = pd.read_parquet(folder / f"{name}-usual.parquet")
        detector.usual_distance, detector.usual_isolation = (
            usual["distance"].to_numpy(),
            usual["isolation"].to_numpy(),
        )
        own = folder / f"{name}-entities.parquet"
        detector.own = pd.read_parquet(own).set_index("entity") if state["by_entity"] else None
        detector.forest = IsolationTrees.load(folder / f"{name}.npz", len(detector.columns))
        return detector

    def _filled(self, values: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(values), values, self.middle)

    def _habits(self, values: np.ndarray, entity: np.ndarray) -> pd.DataFrame:
        """Median and robust deviation of each column by entity, mixed with everybody's."""
        filled = pd.DataFrame(self._filled(values), columns=self.columns)
        groups = filled.groupby(entity, sort=True)
        rows = groups.size().to_numpy(float)[:, None]
        middle = groups.median()
        apart = (filled - middle.loc[entity].to_numpy()).abs()
        spread = apart.groupby(entity, sort=True).median().to_numpy() * NORMAL
        mixed = (middle.to_numpy() * rows + self.middle * FEW) / (rows + FEW)
        spread = (spread * rows + self.spread * FEW) / (rows + FEW)
        table = np.column_stack([mixed, spread])
        names = [f"{kind}_{number}" for kind in ("middle", "spread") for number in range(len(self.columns))]
        return pd.DataFrame(table, columns=names, index=middle.index.rename("entity"))

    def _views(self, frame: pd.DataFrame, entity: pd.Series | np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Robust distance of each value (rows × columns), and isolation of each row, more for the stranger."""
        require(frame.columns, self.columns, "rows")
        filled = self._filled(frame[self.columns].to_numpy(float))
        distance = np.abs(filled - self.middle) / self.spread
        if self.own is not None and entity is not None:
            place = self.own.index.get_indexer(np.asarray(entity, object))
            known = place >= 0
            habits = self.own.to_numpy()[place[known]]
            width = len(self.columns)
            own = np.abs(filled[known] - habits[:, :width]) / habits[:, width:]
            distance[known] = np.maximum(distance[known], own)
        return np.minimum(distance, LARGEST_DISTANCE), self.forest.isolation(filled)


def _median(values: np.ndarray) -> np.ndarray:
    return np.asarray(pd.DataFrame(values).median().to_numpy(float))


def _spread(apart: np.ndarray) -> np.ndarray:
    """Robust deviation of each column; of one that is mostly a single value the plain deviation, or 1."""
    robust = _median(np.abs(apart)) * NORMAL
    plain = pd.DataFrame(apart).std(ddof=0).to_numpy(float)
    spread = np.where(robust > 0, robust, plain)
    return np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)


def _rarity(usual: np.ndarray, value: np.ndarray) -> np.ndarray:
    """−log10 of the share of usual values that are at least as great, beyond them by how far they are exceeded."""
    count = len(usual) - np.searchsorted(usual, value, "left")
    beyond = np.where(count == 0, 1.0 - usual[-1] / np.maximum(value, 1e-12), 0.0)
    return np.asarray(-np.log10((count + 0.5 * (1.0 - beyond) + 0.5) / (len(usual) + 1.0)))
