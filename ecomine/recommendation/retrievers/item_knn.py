"""Items that the same people chose: item-based nearest neighbours."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ecomine.errors import SettingsError
from ecomine.recommendation.interactions import Interactions
from ecomine.recommendation.retrievers.similarity import ItemToItem, nearest


@dataclass(kw_only=True)
class ItemKNN(ItemToItem):
    """Item-kNN by cosine or Jaccard over users (Deshpande and Karypis 2004).

    cosine: common / (n_i^(1-a) · n_j^a + shrinkage), a = `target` (0.5 is the plain cosine; more damps popular
    neighbours); jaccard: common / (n_i + n_j − common + shrinkage). `idf` weighs each user by log(1 + items / their
    number of items), so that people who take everything tell little. `power` raises a similarity, which makes the
    nearest count more. Users with more than `limit` items tell by their newest `limit` alone.
    """

    metric: str = "cosine"
    neighbours: int = 200
    shrinkage: float = 10.0
    idf: bool = True
    target: float = 0.5
    power: float = 1.0
    limit: int = 1000

    def _similarity(self, interactions: Interactions) -> sparse.csr_matrix:
        if self.metric not in ("cosine", "jaccard"):
            raise SettingsError(f"`metric` of ItemKNN is {self.metric!r}; expected cosine or jaccard.")
        chosen = newest(interactions, self.limit)
        count = np.maximum(np.asarray(chosen.sum(axis=1)).ravel(), 1.0)
        weight = np.log1p(len(interactions.items) / count) if self.idf else np.ones(len(count))
        weighted = (sparse.diags_array(weight) @ chosen).tocsr()
        mass = np.maximum(np.asarray(weighted.sum(axis=0)).ravel(), 1e-12)

        def weigh(row: np.ndarray, column: np.ndarray, common: np.ndarray) -> np.ndarray:
            if self.metric == "jaccard":
                similar = common / (mass[row] + mass[column] - common + self.shrinkage)
            else:
                similar = common / (mass[row] ** (1 - self.target) * mass[column] ** self.target + self.shrinkage)
            return similar**self.power

        return nearest(chosen.T.tocsr(), weighted, weigh, self.neighbours)


def newest(interactions: Interactions, limit: int) -> sparse.csr_matrix:
    """Users × items, 1 for the newest `limit` interactions of each user."""
    user = interactions.user
    end = np.searchsorted(user, np.arange(len(interactions.users)), "right")
    recent = end[user] - np.arange(len(user)) <= limit
    found = interactions.matrix(recent.astype(float))
    found.data[:] = found.data > 0
    found.eliminate_zeros()
    return found
