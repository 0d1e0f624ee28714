"""Retrievers that know which items go together: a user's score is the sum over the items of their profile."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import sparse

from ecomine.errors import FeatureError
from ecomine.recommendation.interactions import Interactions
from ecomine.recommendation.purchases import codes
from ecomine.recommendation.retrievers import blocks
from ecomine.recommendation.retrievers.base import Scorer
from ecomine.recommendation.retrievers.blocks import Block

Weigh = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Row, column and what the two have in common → how similar they are."""

_BLOCK = 1024
"""Items whose neighbours are computed at a time, which bounds the memory."""


@dataclass
class Profile:
    """Which of a user's items speak, and how loud.

    half_life: steps (baskets, or interactions) back in time after which an item speaks half as loud, None for all
    alike; last: only so many newest steps speak, None for all. Both need interactions in order.
    """

    half_life: float | None = None
    last: int | None = None

    def of(self, interactions: Interactions) -> sparse.csr_matrix:
        """Users × items, the weight of each item in its user's profile."""
        weight = np.ones(len(interactions))
        if self.half_life is not None:
            weight = np.exp2(-interactions.step / self.half_life)
        if self.last is not None:
            weight = np.where(interactions.step < self.last, weight, 0.0)
        # An item met several times speaks as loud as its newest meeting.
        order = np.lexsort((-weight, interactions.item, interactions.user))
        user, item = interactions.user[order], interactions.item[order]
        first = (
            np.concatenate([[True], (np.diff(user) != 0) | (np.diff(item) != 0)]) if len(user) else np.zeros(0, bool)
        )
        chosen = first & (weight[order] > 0)
        return blocks.matrix(user[chosen], item[chosen], weight[order][chosen], interactions.shape)


@dataclass(kw_only=True)
class ItemToItem(Scorer):
    """Base of what scores by similar items: `_similarity(interactions)` gives items × items, row = what somebody has.

    half_life and last: which of a user's items speak, see `Profile`.
    """

    half_life: float | None = None
    last: int | None = None
    arrays: ClassVar[tuple[str, ...]] = ("similarity", "profile")

    def _fit(self, interactions: Interactions) -> None:
        self.similarity = self._similarity(interactions)
        self.profile = Profile(self.half_life, self.last).of(interactions)

    def _similarity(self, interactions: Interactions) -> Block:
        raise NotImplementedError

    def scores(self, users: np.ndarray) -> Block:
        return self._sum(blocks.rows(self.profile, users))

    def _sum(self, profile: sparse.csr_matrix) -> Block:
        found = profile @ self.similarity
        if sparse.issparse(found):
            found = found.tocsr()
            found.sort_indices()
        return found

    def similar(self, item_ids: np.ndarray | pd.Series | list, k: int = 10) -> pd.DataFrame:
        """What is most similar to each item: item_id, similar_id, score and rank from 1.

        Raises FeatureError for an item that was never seen.
        """
        wanted = np.asarray(item_ids)
        code = self._codes(wanted)
        row, item, value = blocks.best(self.similarity[code], k)
        rank = np.arange(len(row)) - np.searchsorted(row, row) + 1
        return pd.DataFrame({"item_id": wanted[row], "similar_id": self.items[item], "score": value, "rank": rank})

    def goes_with(self, baskets: pd.DataFrame, k: int = 10) -> pd.DataFrame:
        """What goes with each basket (rows of basket_id, item_id): basket_id, item_id, score and rank from 1.

        Raises FeatureError for an item that was never seen.
        """
        basket, names = pd.factorize(baskets["basket_id"], sort=True)
        held = blocks.matrix(
            basket, self._codes(baskets["item_id"].to_numpy()), np.ones(len(basket)), (len(names), len(self.items))
        )
        held.data[:] = 1.0
        row, item, value = blocks.best(blocks.without(self._sum(held), held), k)
        rank = np.arange(len(row)) - np.searchsorted(row, row) + 1
        return pd.DataFrame({"basket_id": names[row], "item_id": self.items[item], "score": value, "rank": rank})

    def _codes(self, item_ids: np.ndarray) -> np.ndarray:
        found = codes(self.items, item_ids)
        if (found < 0).any():
            raise FeatureError(f"The item {item_ids[found < 0][0]} was not there when the retriever was fitted.")
        return found


def nearest(left: sparse.csr_matrix, right: sparse.csr_matrix, weigh: Weigh, k: int) -> sparse.csr_matrix:
    """The k greatest of `weigh(row, column, left @ right)` of each row, without the diagonal, in blocks of rows."""
    parts = []
    for start in range(0, left.shape[0], _BLOCK):
        together = (left[start : start + _BLOCK] @ right).tocoo()
        row, column = together.row.astype(np.int64) + start, together.col.astype(np.int64)
        value = weigh(row, column, together.data)
        kept = (row != column) & (value > 0)
        found = blocks.best(
            blocks.matrix(row[kept] - start, column[kept], value[kept], (together.shape[0], right.shape[1])), k
        )
        parts.append((found[0] + start, found[1], found[2]))
    row, column, value = (np.concatenate(part) for part in zip(*parts, strict=True))
    return blocks.matrix(row, column, value, (left.shape[0], right.shape[1]))
