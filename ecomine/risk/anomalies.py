"""What is strange, where nobody ever said what is fraud: isolation forest and robust statistics per entity."""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import NotEnoughDataError
from ecomine.risk.isolation import IsolationTrees
from ecomine.risk.rarity import Tail
from ecomine.store import write_frame, write_json

LEAST = 50
"""Rows below which nothing can be called strange."""

FEW = 5.0
"""Rows of everybody that an entity's own median and deviation are mixed with."""

NORMAL = 1.4826
"""Deviation of a normal distribution ÷ its median absolute deviation."""

LARGEST_DISTANCE = 1e6
STRONG = 2.0
"""Rarity of a value from which its column is a reason: one row in a hundred has such a value."""

WEIGHTS = (0.8, 0.1, 0.1)
"""Parts of what is looked at in vain that each view may cause; chosen on other months than those that are reported."""

ORDINARY = 1.0
"""Rarity that is nothing to speak of: a row of many columns has one value in ten in some of them."""


class AnomalyDetector:
    """How strange rows of numbers are, with reasons, learned without labels.

    Of each value it is told how far it lies from the median in robust deviations, from that of everybody and from that
    of the row's own entity (median absolute deviation; Rousseeuw and Croux 1993), and how rare it is that a value of
    its column lies so far on that side. Three views of a row: its rarest value; all that is rare about it, added up
    (Fisher 1932, of what is beyond ORDINARY); an isolation forest over all columns (Liu, Ting and Zhou 2008). The
    strangest view counts, each against its part of WEIGHTS (weighted Bonferroni; Genovese, Roeder and Wasserman 2006),
    as how rare such a row was in training. Nulls are taken for the median.
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
        above, far = self._distances(frame, entity)
        self.tails = [
            tuple(Tail.of(far[side[:, number], number], len(frame)) for side in (~above, above))
            for number in range(len(self.columns))
        ]
        rare = self._rare(above, far)
        self.usual = [Tail.of(view) for view in self._views(frame, rare)]
        self.strange = Tail.of(self._strangest(frame, rare))
        return self

    def score(self, frame: pd.DataFrame, entity: pd.Series | np.ndarray | None = None) -> np.ndarray:
        """Strangeness of each row: 2 means that one training row in a hundred was as strange, in either view."""
        rare = self._rare(*self._distances(frame, entity))
        return self.strange.rarity(self._strangest(frame, rare))

    def reasons(
        self, frame: pd.DataFrame, entity: pd.Series | np.ndarray | None = None, count: int = 3
    ) -> pd.DataFrame:
        """Columns whose values are rarest, such as `amount far above`: reason_1 …; "" for values that are not rare.

        A row that no single column explains has the reason `unusual combination`.
        """
        above, far = self._distances(frame, entity)
        rare = self._rare(above, far)
        best = np.argsort(-rare, axis=1, kind="stable")[:, :count]
        names = np.array([[f"{name} far below", f"{name} far above"] for name in self.columns], object)
        strong = np.take_along_axis(rare, best, axis=1) >= STRONG
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
        columns = [tail for pair in self.tails for tail in pair]
        write_frame(folder / f"{name}-usual.parquet", _table(columns, self.usual, self.strange))
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
        tails = _tails(pd.read_parquet(folder / f"{name}-usual.parquet"))
        width = 2 * len(detector.columns)
        detector.tails = list(zip(tails[:width:2], tails[1:width:2], strict=True))
        detector.usual, detector.strange = tails[width:-1], tails[-1]
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

    def _distances(self, frame: pd.DataFrame, entity: pd.Series | np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Of each value whether it lies above the median, and its distance in robust deviations (rows × columns)."""
        require(frame.columns, self.columns, "rows")
        filled = self._filled(frame[self.columns].to_numpy(float))
        apart = (filled - self.middle) / self.spread
        if self.own is not None and entity is not None:
            place = self.own.index.get_indexer(np.asarray(entity, object))
            known = place >= 0
            habits = self.own.to_numpy()[place[known]]
            width = len(self.columns)
            own = (filled[known] - habits[:, :width]) / habits[:, width:]
            apart[known] = np.where(np.abs(own) > np.abs(apart[known]), own, apart[known])
        return apart > 0, np.minimum(np.abs(apart), LARGEST_DISTANCE)

    def _rare(self, above: np.ndarray, far: np.ndarray) -> np.ndarray:
        """How rare each value is (rows × columns)."""
        rare = np.empty(far.shape)
        for number, (below_tail, above_tail) in enumerate(self.tails):
            side = above[:, number]
            distance = far[:, number]
            rare[:, number] = np.where(side, above_tail.rarity(distance), below_tail.rarity(distance))
        return rare

    def _views(self, frame: pd.DataFrame, rare: np.ndarray) -> tuple[np.ndarray, ...]:
        """The views of each row, more for the stranger."""
        together = np.maximum(rare - ORDINARY, 0.0).sum(axis=1)
        return rare.max(axis=1), together, self.forest.isolation(self._filled(frame[self.columns].to_numpy(float)))

    def _strangest(self, frame: pd.DataFrame, rare: np.ndarray) -> np.ndarray:
        views = zip(self.usual, self._views(frame, rare), WEIGHTS, strict=True)
        told = np.max([tail.rarity(view) + np.log10(weight) for tail, view, weight in views], axis=0)
        return np.maximum(told, 0.0)


def _table(columns: list[Tail], views: list[Tail], last: Tail) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"tail": number, "place": tail.places, "rarity": tail.rarities})
        for number, tail in enumerate([*columns, *views, last])
    ]
    return pd.concat(parts, ignore_index=True)


def _tails(table: pd.DataFrame) -> list[Tail]:
    return [Tail(part["place"].to_numpy(), part["rarity"].to_numpy()) for _, part in table.groupby("tail", sort=True)]


def _median(values: np.ndarray) -> np.ndarray:
    return np.asarray(pd.DataFrame(values).median().to_numpy(float))


def _spread(apart: np.ndarray) -> np.ndarray:
    """Robust deviation of each column; of one that is mostly a single value the plain deviation, or 1."""
    robust = _median(np.abs(apart)) * NORMAL
    plain = pd.DataFrame(apart).std(ddof=0).to_numpy(float)
    spread = np.where(robust > 0, robust, plain)
    return np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)
