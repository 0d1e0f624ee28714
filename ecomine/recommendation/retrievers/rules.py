"""Association rules between two items: what is bought together in one basket."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import sparse

from ecomine.errors import SettingsError
from ecomine.recommendation.interactions import Interactions
from ecomine.recommendation.retrievers import blocks
from ecomine.recommendation.retrievers.similarity import ItemToItem, nearest

MEASURES = ("confidence", "lift", "support")


@dataclass(kw_only=True)
class AssociationRules(ItemToItem):
    """Rules i → j with support, confidence and lift (Agrawal, Imieliński and Swami 1993), over baskets of 2 … `limit`.

    support = share of all baskets with both; confidence = baskets with both / baskets with i; lift = confidence /
    share of baskets with j. Rules stay that reach `min_count` baskets, `min_confidence` and `min_lift`; each item keeps
    its `neighbours` best by `measure`, which is the score.
    """

    measure: str = "confidence"
    min_count: int = 3
    min_confidence: float = 0.0
    min_lift: float = 1.0
    neighbours: int = 100
    limit: int = 200
    arrays: ClassVar[tuple[str, ...]] = (*ItemToItem.arrays, "count", "baskets")

    def _similarity(self, interactions: Interactions) -> sparse.csr_matrix:
        if self.measure not in MEASURES:
            raise SettingsError(f"`measure` of AssociationRules is {self.measure!r}; expected {', '.join(MEASURES)}.")
        baskets = int(interactions.order.max(initial=-1)) + 1
        members = blocks.matrix(
            interactions.order, interactions.item, np.ones(len(interactions)), (baskets, interactions.shape[1])
        )
        members.data[:] = 1.0
        size = np.diff(members.indptr)
        chosen = members[(size > 1) & (size <= self.limit)]
        self.count = np.asarray(members.sum(axis=0)).ravel()
        self.baskets = np.float64(baskets)

        def weigh(row: np.ndarray, column: np.ndarray, common: np.ndarray) -> np.ndarray:
            confidence, lift = self._strength(row, column, common)
            value = {"confidence": confidence, "lift": lift, "support": common / self.baskets}[self.measure]
            kept = (common >= self.min_count) & (confidence >= self.min_confidence) & (lift >= self.min_lift)
            return np.where(kept, value, 0.0)

        return nearest(chosen.T.tocsr(), chosen, weigh, self.neighbours)

    def _strength(self, row: np.ndarray, column: np.ndarray, common: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        confidence = common / np.maximum(self.count[row], 1.0)
        return confidence, confidence * self.baskets / np.maximum(self.count[column], 1.0)

    def rules(self) -> pd.DataFrame:
        """Every rule: item_id, other_id, support, confidence, lift, sorted by falling lift, then ids."""
        found = sparse.coo_matrix(self.similarity)
        count, share = self.count, self.count / self.baskets
        confidence = {
            "confidence": found.data,
            "lift": found.data * share[found.col],
            "support": found.data * self.baskets / np.maximum(count[found.row], 1.0),
        }[self.measure]
        table = pd.DataFrame(
            {
                "item_id": self.items[found.row],
                "other_id": self.items[found.col],
                "support": confidence * share[found.row],
                "confidence": confidence,
                "lift": confidence / share[found.col],
            }
        )
        return table.sort_values(["lift", "item_id", "other_id"], ascending=[False, True, True], ignore_index=True)
