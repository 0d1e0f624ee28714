"""What every source of candidates can do, and what those have in common that score whole blocks of users."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import pandas as pd
from scipy import sparse

from ecomine.errors import NotEnoughDataError
from ecomine.recommendation.interactions import Interactions
from ecomine.recommendation.purchases import Purchases, codes
from ecomine.recommendation.retrievers import blocks
from ecomine.recommendation.retrievers.blocks import Block, Pairs

Opinion = Callable[[np.ndarray, np.ndarray], np.ndarray]

_BLOCK = 1024
"""Users scored at a time, which bounds the memory."""


class Retriever(Protocol):
    """What every source of candidates can do.

    Fitted on purchases, it answers for arrays of user codes (-1 for somebody unknown): `candidates(users, k)` gives
    each user's best k, `score(users, items)` the score of given pairs, 0 where it knows nothing. Ties go to the item
    whose id sorts first.
    """

    suffix: ClassVar[str]

    def fit(self, purchases: Purchases, /) -> "Retriever": ...
    def candidates(self, users: np.ndarray, k: int) -> Pairs: ...
    def score(self, users: np.ndarray, items: np.ndarray) -> np.ndarray: ...
    def save(self, path: Path) -> None: ...
    def load(self, path: Path, users: int, items: int) -> "Retriever": ...


class Scorer:
    """A retriever that is a dataclass of its settings, learns from `Interactions` and scores blocks of users.

    Whoever derives from it writes `_fit(interactions)`, which sets the attributes named in `arrays` (arrays and sparse
    matrices), and `scores(users)`, a block of their scores. `fit` takes a DataFrame, interactions or purchases.
    """

    suffix: ClassVar[str] = ".npz"
    arrays: ClassVar[tuple[str, ...]] = ()
    seen: sparse.csr_matrix | None = None

    def fit(self, source: Interactions | Purchases | pd.DataFrame, items: pd.DataFrame | None = None) -> Self:
        """Learns; `items` holds attributes of items, which some retrievers read."""
        interactions = Interactions.of(source, items)
        self.users, self.items = interactions.users, interactions.items
        self.seen = interactions.binary
        self._fit(interactions)
        return self

    def _fit(self, interactions: Interactions) -> None:
        raise NotImplementedError

    def scores(self, users: np.ndarray) -> Block:
        raise NotImplementedError

    def consult(self, users: np.ndarray, k: int, seen: sparse.csr_matrix | None) -> tuple[Pairs, Opinion]:
        """The best k of each user without what `seen` (a row each) holds, and a function that scores places.

        The function takes positions in `users` and item codes.
        """
        block = self.scores(users)
        row, item, _ = blocks.best(block if seen is None else blocks.without(block, seen), k)
        return (row, item), partial(blocks.pick, block)

    def candidates(self, users: np.ndarray, k: int) -> Pairs:
        """Positions in `users` and item codes of each user's best k, best first."""
        users = np.asarray(users, np.int64)
        row, item, _ = self._best(users, k, None)
        return row, item

    def _best(
        self, users: np.ndarray, k: int, seen: sparse.csr_matrix | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        parts = []
        for start in range(0, len(users), _BLOCK):
            chosen = users[start : start + _BLOCK]
            (row, item), opinion = self.consult(chosen, k, None if seen is None else blocks.rows(seen, chosen))
            value = opinion(row, item)
            parts.append((row + start, item, value))
        if not parts:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        row, item, value = (np.concatenate(part) for part in zip(*parts, strict=True))
        return row, item, value

    def score(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The score of each pair of codes, 0 where nothing is known."""
        distinct, row = np.unique(np.asarray(users, np.int64), return_inverse=True)
        order = np.argsort(row, kind="stable")
        found = np.zeros(len(row))
        for start in range(0, len(distinct), _BLOCK):
            part = order[slice(*np.searchsorted(row[order], [start, start + _BLOCK]))]
            block = self.scores(distinct[start : start + _BLOCK])
            found[part] = np.maximum(blocks.pick(block, row[part] - start, np.asarray(items)[part]), 0.0)
        return found

    def recommend(self, user_ids: np.ndarray | pd.Series | None, k: int = 10, repeat: bool = False) -> pd.DataFrame:
        """The best `k` items of each user: user_id, item_id, score and rank from 1, sorted by user as asked and rank.

        `user_ids` None means everybody. Unless `repeat`, what somebody had to do with before is left out.
        """
        if self.seen is None:
            raise NotEnoughDataError(f"{type(self).__name__} knows no ids; call fit(interactions) before recommend.")
        wanted = self.users if user_ids is None else pd.unique(np.asarray(user_ids))
        row, item, value = self._best(codes(self.users, wanted), k, None if repeat else self.seen)
        rank = np.arange(len(row)) - np.searchsorted(row, row) + 1
        return pd.DataFrame({"user_id": wanted[row], "item_id": self.items[item], "score": value, "rank": rank})

    def settings(self) -> dict[str, Any]:
        """The arguments that make another one like this."""
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]

    def save(self, path: Path) -> None:
        """One npz file without code; the same state gives the same bytes."""
        kept: dict[str, np.ndarray] = {}
        for name in self.arrays:
            value = getattr(self, name)
            if sparse.issparse(value):
                parts = ("data", "indices", "indptr")
                kept |= {f"{name}.{part}": getattr(value, part) for part in parts}
                kept[f"{name}.shape"] = np.array(value.shape)
            else:
                kept[name] = np.asarray(value)
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **kept)

    def load(self, path: Path, users: int, items: int) -> Self:
        """The inverse of `save`, for the same settings."""
        with np.load(path) as arrays:
            for name in self.arrays:
                setattr(self, name, _restore(arrays, name))
        return self


class FromPurchases(Scorer):
    """A retriever that reads a shop's order lines through DuckDB: `_learn(purchases)` in place of `_fit`."""

    def fit(self, source: Interactions | Purchases | pd.DataFrame, items: pd.DataFrame | None = None) -> Self:
        if not isinstance(source, Purchases):
            interactions = Interactions.of(source, items)
            self.seen, source = interactions.binary, interactions.purchases()
        self.users, self.items = source.users, source.items
        self._learn(source)
        return self

    def _learn(self, purchases: Purchases) -> None:
        raise NotImplementedError


def _restore(arrays: Any, name: str) -> Any:
    if name in arrays:
        return arrays[name]
    parts = tuple(arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
    return sparse.csr_matrix(parts, shape=tuple(arrays[f"{name}.shape"]))
