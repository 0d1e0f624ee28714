"""What people with similar habits choose."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse

from ecomine.recommendation.interactions import Interactions
from ecomine.recommendation.retrievers import blocks
from ecomine.recommendation.retrievers.base import Scorer

_BLOCK = 512
"""Users whose neighbours are computed at a time, which bounds the memory."""


@dataclass(kw_only=True)
class UserKNN(Scorer):
    """Users with similar, time-weighted histories, and what they chose (TIFU-kNN, Hu et al. 2020).

    A user's vector adds up the baskets, decayed by `half_life` steps, and by the paper's groups of `group` baskets
    where that is above 1 (steps count within a group by `half_life`, groups by `group_half_life`). score = own · vector
    + (1 − own) · mean vector of the `neighbours` most similar users, by cosine raised to `power`; `idf` weighs items by
    log(1 + users / buyers) when users are compared.
    """

    half_life: float | None = None
    group: int = 1
    group_half_life: float = 2.0
    neighbours: int = 300
    own: float = 0.0
    power: float = 1.0
    idf: bool = True
    arrays: ClassVar[tuple[str, ...]] = ("vectors", "similar")

    def _fit(self, interactions: Interactions) -> None:
        step = interactions.step.astype(float)
        weight = np.ones(len(step))
        if self.half_life is not None:
            weight = np.exp2(-(step % self.group if self.group > 1 else step) / self.half_life)
        if self.group > 1:
            weight = weight * np.exp2(-(step // self.group) / self.group_half_life)
        vectors = interactions.matrix(weight)
        baskets = np.bincount(interactions.user, minlength=len(interactions.users))
        self.vectors = vectors if interactions.ordered else interactions.binary
        buyers = np.maximum(np.asarray((vectors > 0).sum(axis=0)).ravel(), 1.0)
        compared = self.vectors
        if self.idf:
            compared = (compared @ sparse.diags_array(np.log1p(len(baskets) / buyers))).tocsr()
        length = np.sqrt(np.asarray(compared.multiply(compared).sum(axis=1)).ravel())
        unit = (sparse.diags_array(1.0 / np.maximum(length, 1e-12)) @ compared).tocsr()
        flipped = unit.T.tocsr()
        parts = []
        for start in range(0, unit.shape[0], _BLOCK):
            block = (unit[start : start + _BLOCK] @ flipped).tocsr()
            block.sort_indices()
            who = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
            block.data[who + start == block.indices] = 0.0
            row, other, value = blocks.best(block, self.neighbours)
            parts.append((row + start, other, value**self.power))
        row, other, value = (np.concatenate(part) for part in zip(*parts, strict=True))
        total = np.maximum(np.bincount(row, value, minlength=unit.shape[0]), 1e-12)
        self.similar = blocks.matrix(row, other, value / total[row], (unit.shape[0], unit.shape[0]))

    def scores(self, users: np.ndarray) -> sparse.csr_matrix:
        found = (1 - self.own) * (blocks.rows(self.similar, users) @ self.vectors)
        if self.own > 0:
            found = found + self.own * blocks.rows(self.vectors, users)
        found = found.tocsr()
        found.sort_indices()
        return found
