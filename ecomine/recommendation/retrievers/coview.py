"""What is looked at, or bought, soon before or after: pairs close in a person's own sequence."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ecomine.errors import SettingsError
from ecomine.recommendation.interactions import Interactions
from ecomine.recommendation.retrievers import blocks
from ecomine.recommendation.retrievers.similarity import ItemToItem, nearest


@dataclass(kw_only=True)
class CoView(ItemToItem):
    """Items met close together in time by the same people.

    Each two interactions of a user at most `window` apart count 1 / distance, halved by each `half_life_days` of age
    (None: all alike). `direction` "after" learns what follows (sequential rules, Ludewig and Jannach 2018), "both" what
    goes along. similarity(i, j) = count / (n_i^(1-a) · n_j^a + shrinkage), a = `target`.
    """

    window: int = 10
    direction: str = "both"
    half_life_days: float | None = None
    neighbours: int = 200
    shrinkage: float = 1.0
    target: float = 0.5
    decay: float = 1.0

    def _similarity(self, interactions: Interactions) -> sparse.csr_matrix:
        if self.direction not in ("both", "after"):
            raise SettingsError(f"`direction` of CoView is {self.direction!r}; expected both or after.")
        user, item = interactions.user, interactions.item
        age = np.zeros(len(user)) if self.half_life_days is None else interactions.day / self.half_life_days
        width = interactions.shape[1]
        counts = sparse.csr_matrix((width, width))
        for distance in range(1, self.window + 1):
            same = user[distance:] == user[:-distance]
            counts = counts + blocks.matrix(
                item[:-distance][same],
                item[distance:][same],
                np.exp2(-age[distance:][same]) / distance**self.decay,
                (width, width),
            )
        if self.direction == "both":
            counts = (counts + counts.T).tocsr()
        total = np.bincount(item, np.exp2(-age), minlength=width)
        mass = np.maximum(total, 1e-12)

        def weigh(row: np.ndarray, column: np.ndarray, common: np.ndarray) -> np.ndarray:
            return common / (mass[row] ** (1 - self.target) * mass[column] ** self.target + self.shrinkage)

        return nearest(sparse.eye_array(width, format="csr"), counts, weigh, self.neighbours)
