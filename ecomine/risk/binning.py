"""Columns cut into bins in which the share of events only rises, or only falls, and the weight of evidence of each."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

SMOOTH = 0.5
"""Events and non-events that every bin is given, so that none has an infinite weight."""


@dataclass(frozen=True)
class Binning:
    """Bins of a column. edges: upper edges, inclusive, of all but the last; woe: log odds of the event in each bin less
    those of all rows, the last entry for missing values; share: of the rows, in the same order.
    """

    name: str
    edges: np.ndarray
    woe: np.ndarray
    share: np.ndarray
    information: float

    def places(self, values: np.ndarray) -> np.ndarray:
        """Number of the bin of each value; missing values are in the last."""
        place = np.searchsorted(self.edges, values, "left")
        return np.where(np.isnan(values), len(self.woe) - 1, place)

    def label(self, place: int) -> str:
        """A bin in words, such as `age ≤ 30`."""
        if place == len(self.woe) - 1:
            return f"{self.name} missing"
        if not len(self.edges):
            return f"{self.name} any"
        if place == len(self.edges):
            return f"{self.name} > {self.edges[-1]:g}"
        upper = f"{self.name} ≤ {self.edges[place]:g}"
        return upper if place == 0 else f"{self.edges[place - 1]:g} < {upper}"

    def state(self) -> dict[str, object]:
        """What JSON can hold."""
        return {
            "name": self.name,
            "edges": self.edges.tolist(),
            "woe": self.woe.tolist(),
            "share": self.share.tolist(),
            "information": self.information,
        }

    @classmethod
    def restore(cls, state: dict) -> "Binning":
        arrays = {key: np.asarray(state[key], float) for key in ("edges", "woe", "share")}
        return cls(name=state["name"], information=state["information"], **arrays)


def bin_column(values: pd.Series, event: np.ndarray, most: int, least_share: float, direction: int = 0) -> Binning:
    """Bins of a column of numbers by isotonic regression (pool adjacent violators) over its quantiles.

    most: bins at most. least_share: of the rows, in each bin at least. direction: 1 where the event may only grow more
    frequent with the value, -1 less; 0 takes whichever carries more information. Missing values have their own bin.
    """
    number = values.to_numpy(float)
    event = np.asarray(event, float)
    there = ~np.isnan(number)
    fine = np.unique(np.quantile(number[there], np.linspace(0, 1, 101), method="lower")) if there.any() else np.empty(0)
    found = [_bins(str(values.name), number, event, fine, way, most, least_share) for way in _ways(direction)]
    return max(found, key=lambda bins: bins.information)


def _ways(direction: int) -> tuple[int, ...]:
    return (direction,) if direction else (1, -1)


def _bins(
    name: str, number: np.ndarray, event: np.ndarray, fine: np.ndarray, way: int, most: int, least_share: float
) -> Binning:
    place = np.searchsorted(fine[:-1], number, "left")
    there = ~np.isnan(number)
    count = np.bincount(place[there], minlength=max(len(fine), 1)).astype(float)
    events = np.bincount(place[there], event[there], minlength=max(len(fine), 1))
    cuts = _merged(count, events, way, most, least_share * len(number))
    edges = fine[np.asarray(cuts, int)] if cuts else np.empty(0)
    last = len(edges) + 1
    place = np.where(there, np.searchsorted(edges, number, "left"), last)
    bad = np.bincount(place, event, minlength=last + 1)
    good = np.bincount(place, 1.0 - event, minlength=last + 1)
    missing = bad[last] + good[last] > 0
    all_bad, all_good = bad.sum(), good.sum()
    woe = np.log((bad + SMOOTH) / (good + SMOOTH)) - np.log((all_bad + SMOOTH) / (all_good + SMOOTH))
    if not missing:
        woe[last] = 0.0
    information = float(((bad / all_bad - good / all_good) * woe)[: None if missing else last].sum())
    return Binning(name, edges, woe, (bad + good) / len(number), information)


def _merged(count: np.ndarray, events: np.ndarray, way: int, most: int, least: float) -> list[int]:
    """Number of the last fine bin of each bin but the last: monotone, of at least `least` rows, `most` at most."""
    blocks: list[list[float]] = []  # last fine bin, rows, events; a hundred at most
    for place, (rows, bad) in enumerate(zip(count, events, strict=True)):
        blocks.append([place, rows, bad])
        while len(blocks) > 1 and _out_of_order(blocks[-2], blocks[-1], way, least):
            _merge(blocks, len(blocks) - 2)
    if len(blocks) > 1 and blocks[-1][1] < least:
        _merge(blocks, len(blocks) - 2)
    while len(blocks) > most:
        loss = [_loss(one, other) for one, other in pairwise(blocks)]
        _merge(blocks, int(np.argmin(loss)))
    return [int(block[0]) for block in blocks[:-1]]


def _out_of_order(one: list[float], other: list[float], way: int, least: float) -> bool:
    # Shares are compared by cross-multiplication, so that an empty bin joins its neighbour.
    return one[1] < least or way * (other[2] * one[1] - one[2] * other[1]) <= 0


def _merge(blocks: list[list[float]], at: int) -> None:
    one, other = blocks[at], blocks.pop(at + 1)
    blocks[at] = [other[0], one[1] + other[1], one[2] + other[2]]


def _loss(one: list[float], other: list[float]) -> float:
    """Log likelihood that is lost where two neighbours become one."""
    return _likelihood(one) + _likelihood(other) - _likelihood([0, one[1] + other[1], one[2] + other[2]])


def _likelihood(block: list[float]) -> float:
    rows, bad = block[1], block[2]
    share = np.clip(bad / max(rows, 1.0), 1e-12, 1 - 1e-12)
    return float(bad * np.log(share) + (rows - bad) * np.log1p(-share))
