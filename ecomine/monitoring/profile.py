"""The profile of a table's columns: counts between points or by level, all that later rows are compared with.

A number is counted between up to 256 quantiles of the reference, a text or flag by its 50 most frequent levels. The
profile holds no row, is the same for the same rows, and takes a block of rows at a time.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from ecomine.monitoring import drift

POINTS = 256
LEVELS = 50
BLOCK = 131_072
"""Rows of a relation that are in memory at a time."""

Blocks = Iterable[Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Column:
    """What is known of a column.

    keys: rising points of a number, or levels of a text, sorted. counts: one for each key and one for what lies above
    the last point, or is another level.
    """

    keys: np.ndarray
    counts: np.ndarray
    nulls: int

    @property
    def number(self) -> bool:
        return bool(self.keys.dtype.kind == "f")

    @property
    def known(self) -> int:
        return int(self.counts.sum())

    @property
    def rows(self) -> int:
        return self.known + self.nulls

    def count(self, values: np.ndarray) -> "Column":
        """The same classes, counted in other values."""
        known = values[~_null(values)]
        nulls = len(values) - len(known)
        if len(self.keys) == 0:
            return Column(self.keys, np.array([len(known)]), nulls)
        if self.number:
            place = np.searchsorted(self.keys, known.astype(float), side="left")
        else:
            at = np.minimum(np.searchsorted(self.keys, known.astype(self.keys.dtype)), len(self.keys) - 1)
            place = np.where(self.keys[at] == known, at, len(self.keys))
        return Column(self.keys, np.bincount(place, minlength=len(self.keys) + 1), nulls)

    def __add__(self, other: "Column") -> "Column":
        return Column(self.keys, self.counts + other.counts, self.nulls + other.nulls)


@dataclass(frozen=True)
class Shift:
    """How far a column has moved from its reference: index, distance (numbers), their chance, change of nulls."""

    column: str
    psi: float
    ks: float | None
    chance: float
    nulls: float


Profile = dict[str, Column]


def of_frame(frame: pd.DataFrame) -> Profile:
    """The profile of a frame's columns."""
    return {str(name): _column(values) for name, values in _arrays(frame).items()}


def counted(profile: Profile, blocks: Blocks) -> Profile:
    """The classes of a profile counted in other rows, block by block; a column they lack is all null."""
    found: Profile = {name: Column(column.keys, np.zeros_like(column.counts), 0) for name, column in profile.items()}
    for block in blocks:
        rows = len(next(iter(block.values()), ()))
        for name, column in profile.items():
            found[name] += column.count(block[name] if name in block else np.full(rows, np.nan))
    return found


def frame_blocks(frame: pd.DataFrame) -> Blocks:
    """A frame as one block."""
    return [_arrays(frame)]


def relation_blocks(relation: duckdb.DuckDBPyRelation) -> Iterator[Mapping[str, np.ndarray]]:
    """The rows of a relation, some at a time."""
    for batch in relation.to_arrow_reader(BLOCK):
        yield _arrays(batch.to_pandas())


def shifts(reference: Profile, current: Profile) -> list[Shift]:
    """How far each column has moved, in the order of the reference."""
    return [_shift(name, was, current[name]) for name, was in reference.items()]


def to_rows(profile: Profile, table: str) -> pd.DataFrame:
    """The profile as rows table, column, point, level, count; the last of a column is what lies beyond, then nulls."""
    parts = []
    for name, column in profile.items():
        more = len(column.keys) + 2
        point, level = np.full(more, np.nan), np.full(more, None, object)
        if column.number:
            point[:-2] = column.keys
        else:
            level[:-2] = column.keys
        kind = "number" if column.number else "text"
        counts = [*column.counts, column.nulls]
        parts.append(
            pd.DataFrame(
                {"table": table, "column": name, "kind": kind, "point": point, "level": level, "count": counts}
            )
        )
    columns = ["table", "column", "kind", "point", "level", "count"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def from_rows(rows: pd.DataFrame) -> Profile:
    """The inverse of `to_rows`, for the rows of one table."""
    profile: Profile = {}
    for name, part in rows.groupby("column", sort=False):
        number = part["kind"].iloc[0] == "number"
        keys = part["point"].to_numpy(float)[:-2] if number else part["level"].to_numpy(object)[:-2].astype(str)
        counts = part["count"].to_numpy(np.int64)
        profile[str(name)] = Column(keys, counts[:-1], int(counts[-1]))
    return profile


def _shift(name: str, was: Column, now: Column) -> Shift:
    p, q = was.counts, now.counts
    nulls = now.nulls / max(now.rows, 1) - was.nulls / max(was.rows, 1)
    distance = None
    chances = []
    if was.number:
        distance = drift.kolmogorov_smirnov(p, q)
        chances.append(drift.ks_probability(distance, was.known, now.known))
        group = drift.groups(p)
        p, q = (np.bincount(group, counts) for counts in (p, q))
    p, q = np.append(p, was.nulls), np.append(q, now.nulls)
    there = (p + q) > 0
    p, q = p[there], q[there]
    chances.append(drift.chi_square(p, q))
    return Shift(name, drift.psi(p, q), distance, min(chances), nulls)


def _column(values: np.ndarray) -> Column:
    known = values[~_null(values)]
    if values.dtype.kind == "f":
        ordered = np.sort(known)
        if len(ordered):
            place = np.ceil(np.arange(1, POINTS + 1) / POINTS * len(ordered)).astype(np.int64) - 1
            points = np.unique(ordered[place])
        else:
            points = np.empty(0)
        at = np.concatenate([[0], np.searchsorted(ordered, points, side="right"), [len(ordered)]])
        return Column(points, np.diff(at), len(values) - len(known))
    levels, counts = np.unique(known.astype(str), return_counts=True)
    kept = np.sort(np.argsort(-counts, kind="stable")[:LEVELS])
    rest = counts.sum() - counts[kept].sum()
    return Column(levels[kept], np.append(counts[kept], rest).astype(np.int64), len(values) - len(known))


def _arrays(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Numbers and flags as doubles or text; flags are levels, since their shares are what matters."""
    return {str(name): _array(frame[name]) for name in frame.columns}


def _array(values: "pd.Series[Any]") -> np.ndarray:
    if pd.api.types.is_bool_dtype(values):
        return np.asarray(values.map({True: "true", False: "false"}).to_numpy(object))
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(float, na_value=np.nan)
    return values.to_numpy(object)


def _null(values: np.ndarray) -> np.ndarray:
    return np.isnan(values) if values.dtype.kind == "f" else np.asarray(pd.isna(values))
