"""Where candidates of a session come from: each retriever is fitted on sessions and scores items for prefixes.

`fit(sessions)` learns, `scores(prefixes)` gives a matrix of prefixes × items that stores only what the retriever
knows, greater for better; `pairs.best` takes the best of each row. `state` and `restore` are plain arrays, so that what
is saved holds no code.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from scipy import sparse

from ecomine.recommendation.sessions.log import Sessions
from ecomine.recommendation.sessions.pairs import best, matrix, packed, scaled, unpacked

State = Mapping[str, np.ndarray]


class Retriever(Protocol):
    """What every source of candidates can do."""

    def fit(self, sessions: Sessions) -> "Retriever": ...
    def scores(self, prefixes: Sessions) -> sparse.csr_matrix: ...
    def state(self) -> State: ...
    def restore(self, state: State) -> "Retriever": ...


class ItemToItem(ABC):
    """Items that go with the items of a prefix: score(j) = Σ decay ^ (steps back of i) · similarity(i, j)."""

    similarity: sparse.csr_matrix

    def __init__(self, decay: float, recent: int, half_life: float) -> None:
        self.decay, self.recent, self.half_life = decay, recent, half_life

    @abstractmethod
    def fit(self, sessions: Sessions) -> "ItemToItem": ...

    def scores(self, prefixes: Sessions) -> sparse.csr_matrix:
        found = (recent_items(prefixes, self.decay, self.recent) @ self.similarity).tocsr()
        found.sort_indices()
        return found

    def state(self) -> State:
        return unpacked(self.similarity)

    def restore(self, state: State) -> "ItemToItem":
        self.similarity = packed(state)
        return self


class SequentialRules(ItemToItem):
    """What came after an item within `reach` steps, weighted by 1 / steps, as a share of the item's events.

    Sequential rules of Ludewig and Jannach (2018), with older sessions counting less.
    """

    def __init__(self, decay: float = 0.5, recent: int = 20, half_life: float = 0.3, reach: int = 10) -> None:
        super().__init__(decay, recent, half_life)
        self.reach = reach

    def fit(self, sessions: Sessions) -> "SequentialRules":
        weight = session_weights(sessions, self.half_life)
        events = np.bincount(sessions.item, weight[sessions.row], minlength=sessions.items)
        self.similarity = scaled(steps(sessions, weight, self.reach, 1.0), left=power(events, -1.0))
        return self


class CoView(ItemToItem):
    """What is seen in the same sessions: cosine of items over sessions, weighted by age, of the last `limit` events.

    Item-based collaborative filtering of Sarwar et al. (2001).
    """

    def __init__(self, decay: float = 0.7, recent: int = 20, half_life: float = 0.3, limit: int = 30) -> None:
        super().__init__(decay, recent, half_life)
        self.limit = limit

    def fit(self, sessions: Sessions) -> "CoView":
        weight = session_weights(sessions, self.half_life)
        seen = sessions.ends(self.limit).distinct()
        shape = (len(seen), seen.items)
        ones = matrix(seen.row, seen.item, np.ones(len(seen.item)), shape)
        mass = np.bincount(seen.item, weight[seen.row], minlength=seen.items)
        together = (ones.T.tocsr() @ scaled(ones, left=weight)).tocoo()
        other = together.row != together.col
        counts = matrix(together.row[other], together.col[other], together.data[other], together.shape)
        self.similarity = scaled(counts, left=power(mass, -0.5), right=power(mass, -0.5))
        return self


class Popularity:
    """What is looked at most now: the share of each item in all sessions, weighted by age; the same for everybody."""

    def __init__(self, half_life: float = 0.02, depth: int = 200) -> None:
        self.half_life, self.depth = half_life, depth

    def fit(self, sessions: Sessions) -> "Popularity":
        seen, weight = sessions.distinct(), session_weights(sessions, self.half_life)
        mass = np.bincount(seen.item, weight[seen.row], minlength=seen.items)
        return self.restore({"share": (mass / max(mass.sum(), 1e-9)).astype(np.float32)})

    def scores(self, prefixes: Sessions) -> sparse.csr_matrix:
        rows, (item, share) = len(prefixes), self.top
        start = np.arange(rows + 1) * len(item)
        return sparse.csr_matrix((np.tile(share, rows), np.tile(item, rows), start), shape=(rows, prefixes.items))

    def state(self) -> State:
        return {"share": self.share}

    def restore(self, state: State) -> "Popularity":
        self.share = state["share"]
        _, item, share = best(sparse.csr_matrix(self.share[None]), self.depth)
        order = np.argsort(item)
        self.top = item[order], share[order]
        return self


class Repeat:
    """The items of the session itself, the latest first."""

    def __init__(self, decay: float = 0.8) -> None:
        self.decay = decay

    def fit(self, sessions: Sessions) -> "Repeat":
        return self

    def scores(self, prefixes: Sessions) -> sparse.csr_matrix:
        return recent_items(prefixes, self.decay, 500)

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> "Repeat":
        return self


def session_weights(sessions: Sessions, half_life: float) -> np.ndarray:
    """1 for the newest session, half for each `half_life` (a share of all sessions) that it is older."""
    age = np.arange(len(sessions))[::-1] / max(len(sessions), 1)
    return np.asarray(0.5 ** (age / half_life), np.float32)


def recent_items(prefixes: Sessions, decay: float, recent: int) -> sparse.csr_matrix:
    """Prefixes × items: decay ^ steps back, for the last `recent` events; of an item seen twice the last counts."""
    kept = prefixes.ends(recent)
    back = kept.steps_back
    last = kept.last_seen
    return matrix(
        kept.row[last], kept.item[last], decay ** back[last].astype(np.float32), (len(prefixes), prefixes.items)
    )


def steps(sessions: Sessions, weight: np.ndarray, reach: int, falling: float) -> sparse.csr_matrix:
    """Items × items: Σ over sessions of weight / steps ^ falling, from an item to one up to `reach` steps later.

    Steps from an item to itself are left out.
    """
    row, item, parts = sessions.row, sessions.item, []
    for step in range(1, reach + 1):
        within = (row[:-step] == row[step:]) & (item[:-step] != item[step:])
        value = weight[row[:-step][within]] / np.float32(step**falling)
        parts.append((item[:-step][within], item[step:][within], value))
    start, end, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    return matrix(start, end, value, (sessions.items, sessions.items))


def power(mass: np.ndarray, exponent: float) -> np.ndarray:
    """mass ^ exponent, and 0 where there is no mass."""
    return np.where(mass > 0, np.where(mass > 0, mass, 1.0) ** exponent, 0.0).astype(np.float32)
