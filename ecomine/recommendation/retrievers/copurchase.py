"""What goes with what somebody bought."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from ecomine.recommendation.purchases import Purchases, day_number, decay
from ecomine.recommendation.retrievers import blocks
from ecomine.recommendation.retrievers.base import FromPurchases
from ecomine.recommendation.retrievers.blocks import Pairs
from ecomine.recommendation.retrievers.personal import PersonalRepeat
from ecomine.store import write_frame

_BLOCK = 1024
"""Items whose neighbours are computed at a time, which bounds the memory."""

_HALF_LIVES = 4
"""Orders older than so many half-lives weigh less than 7 % each and are not read."""

_LEAST_SIMILARITY = 0.03
"""Items that are less similar are not told as going together."""


class CoPurchase(FromPurchases):
    """What goes with a user's recent purchases, by cosine similarity of items over orders.

    similarity(i, j) = Σ w(order with i and j) / √(Σ w(order with i) · Σ w(order with j)), w decayed by the order's age;
    the score of j is Σ over the user's recent items i of weight(user, i) · similarity(i, j), i ≠ j (item-based
    collaborative filtering, Deshpande and Karypis 2004). `personal`, where given, is fitted by whoever gives it.
    """

    suffix = ".parquet"

    def __init__(
        self,
        personal: PersonalRepeat | None = None,
        half_life_days: float = 90.0,
        neighbours: int = 30,
        recent: int = 40,
        limit: int = 100,
        support: int = 10,
    ) -> None:
        self.shared = personal is not None
        self.personal = personal or PersonalRepeat(half_life_days)
        self.half_life_days = half_life_days
        self.neighbours, self.recent, self.limit, self.support = neighbours, recent, limit, support

    def _learn(self, purchases: Purchases) -> None:
        if not self.shared:
            self.personal.fit(purchases)
        kept = purchases.query(
            f"""WITH supported AS (SELECT item FROM lines GROUP BY item HAVING count(*) >= {self.support}),
            baskets AS (SELECT order_id, {decay(self.half_life_days, purchases.at)} AS weight,
                               row_number() OVER (ORDER BY order_id) - 1 AS basket
                        FROM (SELECT order_id, max(day) AS day FROM lines
                              WHERE day > {day_number(purchases.at) - _HALF_LIVES * self.half_life_days!r}
                              GROUP BY order_id HAVING count(*) BETWEEN 2 AND {self.limit}))
            SELECT basket, item, CAST(any_value(weight) AS DOUBLE) AS weight
            FROM lines JOIN baskets USING (order_id) SEMI JOIN supported USING (item)
            GROUP BY basket, item ORDER BY basket, item"""
        )
        items, width = len(purchases.items), int(kept["basket"].max(initial=-1)) + 1
        weighted = blocks.matrix(kept["basket"], kept["item"], kept["weight"], (width, items))
        among = blocks.matrix(kept["item"], kept["basket"], np.ones(len(kept["item"])), (items, width))
        mass = np.asarray(weighted.sum(axis=0)).ravel()
        root = np.sqrt(np.where(mass > 0, mass, 1.0))
        found = []
        for start in range(0, items, _BLOCK):
            together = (among[start : start + _BLOCK] @ weighted).tocoo()
            row, column = together.row, together.col
            cosine = together.data / (root[row + start] * root[column])
            # Most pairs met once by chance; to drop them before sorting is what keeps this fast.
            close = (cosine >= _LEAST_SIMILARITY) & (row + start != column)
            kept_pairs = blocks.matrix(row[close], column[close], cosine[close], together.shape)
            item, neighbour, similarity = blocks.best(kept_pairs, self.neighbours)
            found.append(pd.DataFrame({"item": item + start, "neighbour": neighbour, "similarity": similarity}))
        self._hold(pd.concat(found).sort_values(["item", "neighbour"], ignore_index=True), items)

    def _hold(self, state: pd.DataFrame, items: int) -> "CoPurchase":
        self.state = state
        self.similarity = blocks.matrix(state["item"], state["neighbour"], state["similarity"], (items, items))
        self.incoming = self.similarity.T.tocsr()
        return self

    def _recent(self, users: np.ndarray) -> sparse.csr_matrix:
        rows = blocks.rows(self.personal.weights, users)
        return blocks.matrix(*blocks.best(rows, self.recent), rows.shape)

    def scores(self, users: np.ndarray) -> sparse.csr_matrix:
        scores = (self._recent(users) @ self.similarity).tocsr()
        scores.sort_indices()
        return scores

    def candidates(self, users: np.ndarray, k: int) -> Pairs:
        return blocks.best(self.scores(users), k)[:2]

    def score(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        distinct, row = np.unique(users, return_inverse=True)
        scores = self.scores(distinct)
        keys = blocks.key(np.repeat(np.arange(len(distinct)), np.diff(scores.indptr)), scores.indices, scores.shape[1])
        return blocks.look_up(keys, scores.data, blocks.key(row, items, scores.shape[1]), 0.0)

    def because(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """For each pair the code of the user's recent item that speaks most for the item; -1 where none does."""
        distinct, row = np.unique(users, return_inverse=True)
        parts = self._recent(distinct)[row].multiply(self.incoming[items]).tocsr()
        parts.sort_indices()
        place, item, _ = blocks.best(parts, 1)
        result = np.full(len(users), -1)
        result[place] = item
        return result

    def settings(self) -> dict[str, Any]:
        """Of one that has habits of its own."""
        names = ("half_life_days", "neighbours", "recent", "limit", "support")
        return {name: getattr(self, name) for name in names}

    def save(self, path: Path) -> None:
        write_frame(path, self.state)
        if not self.shared:
            self.personal.save(_habits(path))

    def load(self, path: Path, users: int, items: int) -> "CoPurchase":
        if not self.shared:
            self.personal.load(_habits(path), users, items)
        return self._hold(pd.read_parquet(path), items)


def _habits(path: Path) -> Path:
    return path.with_name(f"{path.stem}_habits{path.suffix}")
