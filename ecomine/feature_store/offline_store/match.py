"""Which stored row answers each entity row, over numbers alone: one sort of the stored rows and a binary search.

Key and time of a row become one whole number, the key in front, so among the sorted stored rows the newest one of a
key that is not after a moment stands right before the place of that moment. DuckDB's ASOF join sorts rows instead.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SECOND = 1_000_000
"""In microseconds."""

ROOM = 2**62
"""Below this a key and a time fit into one whole number."""

UNKNOWN = int(np.iinfo(np.int64).min)
"""In place of a time of creation that is not known: before all others."""

AT_ONCE = 1 << 20
"""Entity rows that are searched for at once, which bounds what is held in between."""


@dataclass(frozen=True)
class Rows:
    """Rows as columns: codes of each key, and times in microseconds since 1970.

    Of stored rows also the time of creation, UNKNOWN where it is not known, and the place in the source.
    """

    codes: Sequence[np.ndarray]
    time: np.ndarray
    created: np.ndarray | None = None
    place: np.ndarray | None = None


def newest(stored: Rows, asked: Rows, sizes: Sequence[int], ttl: int | None, known_only: bool) -> np.ndarray:
    """Of each asked row the number of the newest stored row of its key that is not after it, or -1 where there is none.

    Of rows of one time the latest created one counts, then the last of the source. sizes: above the codes of each key.
    ttl: microseconds that an answer may be older than what is asked. known_only: leaves out rows created afterwards;
    all times of creation are known.
    """
    answer = np.full(len(asked.time), -1, dtype=np.int64)
    if not len(stored.time) or not len(answer):
        return answer
    since = np.maximum(stored.time, stored.created) if known_only and stored.created is not None else stored.time
    tick, now, ticks = _ticks(since, asked.time, ROOM // math.prod(sizes))
    code, wanted = _packed(stored.codes, asked.codes, sizes, ROOM // ticks)
    key = code * ticks + tick
    del tick
    order, best = _ordered(stored, code, key, since is not stored.time)
    key = key[order]
    for start in range(0, len(answer), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        places = wanted[part] * ticks + now[part]
        turn = np.argsort(places)  # in order, each search finds in the cache what the one before has read
        at = np.searchsorted(key, places[turn], "right") - 1
        found = best[np.maximum(at, 0)]
        good = (at >= 0) & (code[found] == wanted[part][turn])
        if ttl is not None:
            good &= stored.time[found] >= asked.time[part][turn] - ttl
        answer[start + turn[good]] = found[good]
    return answer


def _ordered(stored: Rows, code: np.ndarray, key: np.ndarray, known_only: bool) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the stored rows by key, and by place in that order the row that counts from there on."""
    created = () if stored.created is None else (stored.created,)
    if known_only:
        # A row that is known later counts only where it is newer than all that were known before.
        full = np.lexsort((stored.place, *created, stored.time, code))
        rank = np.empty(len(full), dtype=np.int64)
        rank[full] = np.arange(len(full))
        order = np.lexsort((rank, key))
        return order, full[np.maximum.accumulate(rank[order])]
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.lexsort((stored.place, *created, key))
    return order, order


def _ticks(since: np.ndarray, moments: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Times as whole numbers from 0 below the third value, in the same order; of moments the last not after each.

    A moment before all times becomes -1.
    """
    unit = 1 if (since % SECOND).any() else SECOND
    first = int(since.min())
    ticks = (int(since.max()) - first) // unit + 1
    if ticks <= room:
        return (since - first) // unit, np.clip((moments - first) // unit, -1, ticks - 1), ticks
    known, rank = np.unique(since, return_inverse=True)
    return rank, np.searchsorted(known, moments, "right") - 1, len(known)


def _packed(
    stored: Sequence[np.ndarray], asked: Sequence[np.ndarray], sizes: Sequence[int], room: int
) -> tuple[np.ndarray, np.ndarray]:
    """The codes of several keys as one number below `room`, of the stored rows and of those asked."""
    one, other, size = stored[0].astype(np.int64), asked[0].astype(np.int64), sizes[0]
    for more, wanted, count in zip(stored[1:], asked[1:], sizes[1:], strict=True):
        if size * count > ROOM:
            one, other, size = _asked_alone(one, other)
        one, other, size = one * count + more, other * count + wanted, size * count
    return (one, other) if size <= room else _asked_alone(one, other)[:2]


def _asked_alone(stored: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Codes counted anew so that only those asked have one of their own, and a number above all of them."""
    known, numbers = np.unique(asked, return_inverse=True)
    place = np.minimum(np.searchsorted(known, stored), len(known) - 1)
    return np.where(known[place] == stored, place, len(known)), numbers, len(known) + 1
