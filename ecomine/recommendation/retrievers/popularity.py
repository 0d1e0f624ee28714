"""What sells best."""

from pathlib import Path

import numpy as np
import pandas as pd

from ecomine.recommendation.purchases import Purchases, decay
from ecomine.recommendation.retrievers.base import FromPurchases
from ecomine.recommendation.retrievers.blocks import Block, Pairs
from ecomine.store import write_frame


class Popularity(FromPurchases):
    """What sells best: order lines an item, decayed by age; the same for everybody, known or not."""

    suffix = ".parquet"

    def __init__(self, half_life_days: float = 14.0) -> None:
        self.half_life_days = half_life_days

    def _learn(self, purchases: Purchases) -> None:
        columns = purchases.query(
            f"""SELECT item, CAST(SUM({decay(self.half_life_days, purchases.at)}) AS DOUBLE) AS weight
            FROM lines GROUP BY item ORDER BY item"""
        )
        self._hold(pd.DataFrame(columns), len(purchases.items))

    def _hold(self, state: pd.DataFrame, items: int) -> "Popularity":
        self.state = state
        self.weights = np.zeros(items)
        self.weights[state["item"]] = state["weight"]
        self.order = np.argsort(-self.weights, kind="stable")[: int((self.weights > 0).sum())]
        return self

    def scores(self, users: np.ndarray) -> Block:
        return np.broadcast_to(self.weights, (len(users), len(self.weights)))

    def candidates(self, users: np.ndarray, k: int) -> Pairs:
        best = self.order[:k]
        return np.repeat(np.arange(len(users)), len(best)), np.tile(best, len(users))

    def score(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        return np.asarray(self.weights[items])

    def save(self, path: Path) -> None:
        write_frame(path, self.state)

    def load(self, path: Path, users: int, items: int) -> "Popularity":
        return self._hold(pd.read_parquet(path), items)
