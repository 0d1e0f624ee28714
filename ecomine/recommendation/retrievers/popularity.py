"""What sells best."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from ecomine.recommendation.purchases import Purchases, decay
from ecomine.recommendation.retrievers import blocks
from ecomine.recommendation.retrievers.base import FromPurchases, Opinion
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

    def consult(self, users: np.ndarray, k: int, seen: sparse.csr_matrix | None) -> tuple[Pairs, Opinion]:
        # Everybody has the same order, so what somebody saw is looked for only as deep as it can matter.
        deepest = 0 if seen is None else int(np.diff(seen.indptr).max(initial=0))
        row, item = self.candidates(users, k + deepest if k > 0 else 0)
        if seen is not None and len(row):
            free = blocks.pick(seen, row, item) == 0
            row, item = row[free], item[free]
            few = np.arange(len(row)) - np.searchsorted(row, row) < k
            row, item = row[few], item[few]
        return (row, item), lambda row, item: self.weights[item]

    def score(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        return np.asarray(self.weights[items])

    def settings(self) -> dict[str, Any]:
        return {"half_life_days": self.half_life_days}

    def save(self, path: Path) -> None:
        write_frame(path, self.state)

    def load(self, path: Path, users: int, items: int) -> "Popularity":
        return self._hold(pd.read_parquet(path), items)
