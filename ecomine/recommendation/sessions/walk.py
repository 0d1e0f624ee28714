"""Random walks over the graph of items: what can be reached in a few steps from the items of a session."""

import numpy as np
from scipy import sparse

from ecomine.recommendation.sessions.log import Sessions
from ecomine.recommendation.sessions.pairs import best, matrix, scaled
from ecomine.recommendation.sessions.retrievers import ItemToItem, power, session_weights, steps

_BLOCK = 2048
"""Items whose walks are followed at a time, which bounds the memory."""


class RandomWalk(ItemToItem):
    """Where walks lead that start at an item: similarity = Σ over h = 1 … hops of (stay · P) ^ h.

    P is the graph of neighbouring events, forward and backward, weighted by 1 / steps ^ falling and by the age of the
    session; its columns are divided by degree ^ tempering, which keeps popular items from drawing every walk, and its
    rows then sum to 1. A walk can come back to where it started, so that it scores repeats as well. After each hop only
    the `width` best places go on. Random walk with restart (Tong et al. 2006), cut off and pruned.
    """

    def __init__(
        self,
        decay: float = 0.6,
        recent: int = 20,
        half_life: float = 0.3,
        reach: int = 3,
        falling: float = 2.0,
        tempering: float = 0.4,
        stay: float = 0.9,
        hops: int = 4,
        width: int = 50,
        depth: int = 200,
    ) -> None:
        super().__init__(decay, recent, half_life)
        self.reach, self.falling, self.tempering, self.stay = reach, falling, tempering, stay
        self.hops, self.width, self.depth = hops, width, depth

    def fit(self, sessions: Sessions) -> "RandomWalk":
        forward = steps(sessions, session_weights(sessions, self.half_life), self.reach, self.falling)
        graph = (forward + forward.T).tocsr()
        graph.sort_indices()
        degree = np.asarray(graph.sum(axis=1)).ravel()
        graph = scaled(graph, right=power(degree, -self.tempering))
        hop = _kept(scaled(graph, left=self.stay * power(np.asarray(graph.sum(axis=1)).ravel(), -1.0)), self.width)
        parts = []
        for first in range(0, sessions.items, _BLOCK):
            at = hop[first : first + _BLOCK]
            visits = at
            for _ in range(1, self.hops):
                at = (_kept(at, self.width) @ hop).tocsr()
                visits = visits + at
            visits.sort_indices()
            row, column, value = best(visits.tocsr(), self.depth)
            parts.append((row + first, column, value))
        row, column, value = (np.concatenate(part) for part in zip(*parts, strict=True))
        self.similarity = matrix(row, column, value, (sessions.items, sessions.items))
        return self


def _kept(scores: sparse.csr_matrix, k: int) -> sparse.csr_matrix:
    """The k greatest entries of each row."""
    return matrix(*best(scores, k), scores.shape)
