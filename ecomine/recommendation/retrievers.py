"""Where candidates come from: what somebody bought before, what goes with it, and what sells best.

Retrievers are fitted on purchases, `fit(purchases)`, and then answer for arrays of user codes (-1 for somebody
unknown): `candidates(users, k)` gives each user's best k, `score(users, items)` the score of given pairs. A score is 0
where a retriever knows nothing. Ties go to the item whose id sorts first.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import sparse

from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.purchases import Purchases, day_number, decay
from ecomine.store import write_frame

Pairs = tuple[np.ndarray, np.ndarray]
"""Two arrays of the same length: positions in the array of users asked for, and item codes."""

_BLOCK = 1024
"""Items whose neighbours are computed at a time, which bounds the memory."""

_HALF_LIVES = 4
"""Orders older than so many half-lives weigh less than 7 % each and are not read."""

_LEAST_SIMILARITY = 0.03
"""Items that are less similar are not told as going together."""


class Retriever(Protocol):
    """What every source of candidates can do."""

    def fit(self, purchases: Purchases) -> "Retriever": ...
    def candidates(self, users: np.ndarray, k: int) -> Pairs: ...
    def score(self, users: np.ndarray, items: np.ndarray) -> np.ndarray: ...
    def save(self, path: Path) -> None: ...
    def load(self, path: Path, users: int, items: int) -> "Retriever": ...


class PersonalRepeat:
    """What a user bought before, by decayed frequency.

    weight(user, item) = Σ over the user's orders with the item of 0.5 ^ (age in days / half-life).
    """

    def __init__(self, half_life_days: float) -> None:
        self.half_life_days = half_life_days

    def fit(self, purchases: Purchases) -> "PersonalRepeat":
        columns = purchases.query(
            f"""SELECT user, item, CAST(SUM({decay(self.half_life_days, purchases.at)}) AS DOUBLE) AS weight,
            CAST(count(*) AS DOUBLE) AS orders, {day_number(purchases.at)!r} - max(day) AS days
            FROM lines GROUP BY user, item ORDER BY user, item"""
        )
        return self._hold(pd.DataFrame(columns), len(purchases.users), len(purchases.items))

    def _hold(self, state: pd.DataFrame, users: int, items: int) -> "PersonalRepeat":
        self.state = state
        self.weights = _matrix(state["user"], state["item"], state["weight"], (users, items))
        self.keys = _key(state["user"].to_numpy(), state["item"].to_numpy(), items)
        self.orders, self.days = state["orders"].to_numpy(), state["days"].to_numpy()
        return self

    def candidates(self, users: np.ndarray, k: int) -> Pairs:
        return _best(_rows(self.weights, users), k)[:2]

    def score(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        return self._look_up(self.weights.data, users, items, 0.0)

    def history(self, users: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Number of orders with the item, and days from the last one to the moment of fitting (null when none)."""
        return self._look_up(self.orders, users, items, 0.0), self._look_up(self.days, users, items, np.nan)

    def _look_up(self, values: np.ndarray, users: np.ndarray, items: np.ndarray, absent: float) -> np.ndarray:
        return _look_up(self.keys, values, _key(users, items, self.weights.shape[1]), absent)

    def save(self, path: Path) -> None:
        write_frame(path, self.state)

    def load(self, path: Path, users: int, items: int) -> "PersonalRepeat":
        return self._hold(pd.read_parquet(path), users, items)


class CoPurchase:
    """What goes with a user's recent purchases, by cosine similarity of items over orders.

    similarity(i, j) = Σ w(order with i and j) / √(Σ w(order with i) · Σ w(order with j)), w decayed by the order's age;
    the score of j is Σ over the user's recent items i of weight(user, i) · similarity(i, j), i ≠ j (item-based
    collaborative filtering, Deshpande and Karypis 2004).
    """

    def __init__(
        self, personal: PersonalRepeat, half_life_days: float, neighbours: int, recent: int, limit: int, support: int
    ) -> None:
        self.personal = personal
        self.half_life_days = half_life_days
        self.neighbours, self.recent, self.limit, self.support = neighbours, recent, limit, support

    def fit(self, purchases: Purchases) -> "CoPurchase":
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
        weighted = _matrix(kept["basket"], kept["item"], kept["weight"], (width, items))
        among = _matrix(kept["item"], kept["basket"], np.ones(len(kept["item"])), (items, width))
        mass = np.asarray(weighted.sum(axis=0)).ravel()
        root = np.sqrt(np.where(mass > 0, mass, 1.0))
        found = []
        for start in range(0, items, _BLOCK):
            together = (among[start : start + _BLOCK] @ weighted).tocoo()
            row, column = together.row, together.col
            cosine = together.data / (root[row + start] * root[column])
            # Most pairs met once by chance; to drop them before sorting is what keeps this fast.
            close = (cosine >= _LEAST_SIMILARITY) & (row + start != column)
            kept_pairs = _matrix(row[close], column[close], cosine[close], together.shape)
            item, neighbour, similarity = _best(kept_pairs, self.neighbours)
            found.append(pd.DataFrame({"item": item + start, "neighbour": neighbour, "similarity": similarity}))
        return self._hold(pd.concat(found).sort_values(["item", "neighbour"], ignore_index=True), items)

    def _hold(self, state: pd.DataFrame, items: int) -> "CoPurchase":
        self.state = state
        self.similarity = _matrix(state["item"], state["neighbour"], state["similarity"], (items, items))
        self.incoming = self.similarity.T.tocsr()
        return self

    def _recent(self, users: np.ndarray) -> sparse.csr_matrix:
        rows = _rows(self.personal.weights, users)
        return _matrix(*_best(rows, self.recent), rows.shape)

    def _scores(self, users: np.ndarray) -> sparse.csr_matrix:
        scores = (self._recent(users) @ self.similarity).tocsr()
        scores.sort_indices()
        return scores

    def candidates(self, users: np.ndarray, k: int) -> Pairs:
        return _best(self._scores(users), k)[:2]

    def score(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        distinct, row = np.unique(users, return_inverse=True)
        scores = self._scores(distinct)
        keys = _key(np.repeat(np.arange(len(distinct)), np.diff(scores.indptr)), scores.indices, scores.shape[1])
        return _look_up(keys, scores.data, _key(row, items, scores.shape[1]), 0.0)

    def because(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """For each pair the code of the user's recent item that speaks most for the item; -1 where none does."""
        distinct, row = np.unique(users, return_inverse=True)
        parts = self._recent(distinct)[row].multiply(self.incoming[items]).tocsr()
        parts.sort_indices()
        place, item, _ = _best(parts, 1)
        result = np.full(len(users), -1)
        result[place] = item
        return result

    def save(self, path: Path) -> None:
        write_frame(path, self.state)

    def load(self, path: Path, users: int, items: int) -> "CoPurchase":
        return self._hold(pd.read_parquet(path), items)


class Popularity:
    """What sells best: order lines an item, decayed by age; the same for everybody, known or not."""

    def __init__(self, half_life_days: float) -> None:
        self.half_life_days = half_life_days

    def fit(self, purchases: Purchases) -> "Popularity":
        columns = purchases.query(
            f"""SELECT item, CAST(SUM({decay(self.half_life_days, purchases.at)}) AS DOUBLE) AS weight
            FROM lines GROUP BY item ORDER BY item"""
        )
        return self._hold(pd.DataFrame(columns), len(purchases.items))

    def _hold(self, state: pd.DataFrame, items: int) -> "Popularity":
        self.state = state
        self.weights = np.zeros(items)
        self.weights[state["item"]] = state["weight"]
        self.order = np.argsort(-self.weights, kind="stable")[: int((self.weights > 0).sum())]
        return self

    def candidates(self, users: np.ndarray, k: int) -> Pairs:
        best = self.order[:k]
        return np.repeat(np.arange(len(users)), len(best)), np.tile(best, len(users))

    def score(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        return np.asarray(self.weights[items])

    def save(self, path: Path) -> None:
        write_frame(path, self.state)

    def load(self, path: Path, users: int, items: int) -> "Popularity":
        return self._hold(pd.read_parquet(path), items)


RETRIEVERS: dict[str, Callable[[RecommendationParams, PersonalRepeat], Retriever]] = {
    "personal": lambda params, personal: personal,
    "copurchase": lambda params, personal: CoPurchase(
        personal,
        params.copurchase_half_life_days,
        params.neighbours,
        params.recent_items,
        params.basket_limit,
        params.min_support,
    ),
    "popularity": lambda params, personal: Popularity(params.popularity_half_life_days),
}
"""Every source of candidates, made from the settings; the habits of each user are shared between them."""


def _matrix(row: np.ndarray, column: np.ndarray, value: np.ndarray, shape: tuple[int, int]) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix((np.asarray(value, float), (np.asarray(row), np.asarray(column))), shape=shape)
    matrix.sort_indices()
    return matrix


def _rows(matrix: sparse.csr_matrix, users: np.ndarray) -> sparse.csr_matrix:
    """Rows of the users; an unknown user's row is empty."""
    known = users >= 0
    rows = matrix[np.where(known, users, 0)]
    return rows if known.all() else sparse.diags_array(known.astype(float)).tocsr() @ rows


def _best(matrix: sparse.csr_matrix, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and value of the k greatest positive entries of each row, best first; ties to the lower column.

    The matrix must have sorted columns.
    """
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    # Sorting is stable and the columns are sorted, so ties stay in their order.
    order = np.lexsort((-matrix.data, row))
    place = np.arange(len(row)) - matrix.indptr[row]
    kept = order[(place < k) & (matrix.data[order] > 0)]
    return row[kept], matrix.indices[kept], matrix.data[kept]


def _key(row: np.ndarray, column: np.ndarray, width: int) -> np.ndarray:
    return np.asarray(row, np.int64) * width + np.asarray(column, np.int64)


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray, absent: float) -> np.ndarray:
    """Values at the `wanted` places of sorted `keys`, `absent` where there is none."""
    if len(keys) == 0:
        return np.full(len(wanted), absent)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], absent)
