"""Rows of entities in order of time, and how many of them lie within a window: one sort and binary searches.

Moments are counted by their rank among all moments, so entity and moment become one whole number that is exact at any
resolution. A window of length w that ends at t holds the rows with t − w < time ≤ t. Sums are of whole numbers, so the
rows of other entities, and later rows, cannot change a single bit of what is told about a moment.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

SCALE = 10_000
"""Parts of one that sums are exact to."""

NEVER = np.iinfo(np.int64).min


class Clock:
    """Every moment that matters, ranked; times are microseconds since 1970."""

    def __init__(self, *times: np.ndarray) -> None:
        self.moments = np.unique(np.concatenate(times))

    def __len__(self) -> int:
        return len(self.moments) + 1

    def rank(self, times: np.ndarray) -> np.ndarray:
        """Rank of each time, all of which are moments of the clock."""
        return np.searchsorted(self.moments, times)

    def opening(self, window: int) -> np.ndarray:
        """For each moment the rank of the first moment of the window (microseconds) that ends with it."""
        return np.searchsorted(self.moments, self.moments - window, "right")


def microseconds(times: pd.Series) -> np.ndarray:
    """Timestamps without a zone as whole numbers; a null becomes NEVER."""
    return times.to_numpy("datetime64[us]").astype(np.int64)


def coded(column: pd.Series) -> np.ndarray:
    """Ids as whole numbers from 0 in order of first appearance; -1 for a null."""
    return pd.factorize(column)[0].astype(np.int64)


def paired(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """A code for each pair of codes; -1 where either is null."""
    both = np.where((one < 0) | (other < 0), -1, one * (other.max(initial=0) + 1) + other)
    return pd.factorize(both)[0].astype(np.int64) if (both >= 0).all() else _recoded(both)


def _recoded(codes: np.ndarray) -> np.ndarray:
    known = codes >= 0
    result = np.full(len(codes), -1, np.int64)
    result[known] = pd.factorize(codes[known])[0]
    return result


@dataclass(frozen=True)
class Timeline:
    """Rows by entity and moment. order: row numbers, sorted; key: entity and moment of each in that order."""

    order: np.ndarray
    key: np.ndarray
    moments: int

    @classmethod
    def of(cls, entity: np.ndarray, rank: np.ndarray, moments: int, among: np.ndarray | None = None) -> "Timeline":
        """Orders the rows whose entity is known (and that are `among` those flagged); ties keep the order of rows."""
        kept = np.flatnonzero(entity >= 0 if among is None else (entity >= 0) & among)
        key = entity[kept] * moments + rank[kept]
        turn = np.argsort(key, kind="stable")
        return cls(kept[turn], key[turn], moments)

    def until(self, entity: np.ndarray, rank: np.ndarray) -> np.ndarray:
        """How many rows stand before the first one of the entity that is later than the moment."""
        return np.searchsorted(self.key, entity * self.moments + rank, "right")

    def before(self, entity: np.ndarray, rank: np.ndarray | int) -> np.ndarray:
        """How many rows stand before the first one of the entity at the moment or later."""
        return np.searchsorted(self.key, entity * self.moments + rank, "left")

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Running sums, from 0 on, of whole numbers given by row."""
        return np.concatenate([[0], np.cumsum(values[self.order], dtype=np.int64)])

    def gaps(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Time since the entity's row before and until the one after, in order; the greatest number where none is."""
        far = np.iinfo(np.int64).max
        ordered, entity = times[self.order], self.key // self.moments
        same = entity[1:] == entity[:-1]
        step = np.where(same, np.diff(ordered), far)
        return np.concatenate([[far], step]), np.concatenate([step, [far]])


def greatest(values: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Greatest of values[start:end] for each pair of places; -inf where it is empty (sparse table, level by level)."""
    length = end - start
    result = np.full(len(start), -np.inf)
    level, table = 0, values.astype(float)
    while len(table):
        here = np.flatnonzero((length >= 1 << level) & (length < 2 << level))
        if len(here):
            result[here] = np.maximum(table[start[here]], table[end[here] - (1 << level)])
        if not (length >= 2 << level).any():
            break
        table = np.maximum(table[: -(1 << level)], table[1 << level :])
        level += 1
    return result
