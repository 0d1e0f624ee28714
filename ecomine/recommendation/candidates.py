"""Rows to rank: the union of what the retrievers find for each user, each pair with every retriever's opinion."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.purchases import Purchases, codes
from ecomine.recommendation.retrievers import RETRIEVERS, CoPurchase, PersonalRepeat, Retriever
from ecomine.store import write_frame

COLUMNS = (
    *(f"{name}_{column}" for name in RETRIEVERS for column in ("score", "rank")),
    "personal_orders",
    "personal_days",
)
"""What the retrievers say about a row: score and rank among the user's rows (null where the score is 0), number of
orders with the item and days since the last."""

_CHUNK = 4096
"""Users at a time, which bounds the memory of the matrices whatever the number of users."""


class CandidateFinder:
    """All retrievers, fitted on the same purchases."""

    def __init__(self, params: RecommendationParams) -> None:
        self.params = params
        self.personal = PersonalRepeat(params.personal_half_life_days)
        self.retrievers: dict[str, Retriever] = {name: make(params, self.personal) for name, make in RETRIEVERS.items()}

    @property
    def copurchase(self) -> CoPurchase:
        retriever = self.retrievers["copurchase"]
        assert isinstance(retriever, CoPurchase)
        return retriever

    def fit(self, purchases: Purchases) -> "CandidateFinder":
        """Learns from all lines of `purchases`."""
        self.users, self.items, self.at = purchases.users, purchases.items, purchases.at
        for retriever in self.retrievers.values():
            retriever.fit(purchases)
        return self

    def rows(self, user_ids: np.ndarray) -> pd.DataFrame:
        """Candidates of each of the distinct `user_ids`, sorted by user_id and item_id.

        Columns: user_id, item_id, event_timestamp (the moment of fitting) and `COLUMNS`. Users without a history get
        what is popular.
        """
        wanted = np.sort(np.asarray(user_ids, object))
        parts = [self._rows(wanted[start : start + _CHUNK]) for start in range(0, len(wanted), _CHUNK)]
        return pd.concat(parts, ignore_index=True) if parts else self._rows(wanted)

    def _rows(self, user_ids: np.ndarray) -> pd.DataFrame:
        users, width = codes(self.users, user_ids), max(len(self.items), 1)
        found = [
            row * width + item
            for name, retriever in self.retrievers.items()
            for row, item in [retriever.candidates(users, getattr(self.params, f"{name}_candidates"))]
        ]
        key = np.sort(np.concatenate(found).astype(np.int64))
        key = key[np.diff(key, prepend=-1) > 0]
        row, item = key // width, key % width
        user = users[row]
        columns: dict[str, object] = {
            "user_id": user_ids[row],
            "item_id": self.items[item],
            "event_timestamp": np.full(len(key), np.datetime64(self.at, "us")),
        }
        for name, retriever in self.retrievers.items():
            score = retriever.score(user, item)
            columns |= {f"{name}_score": score, f"{name}_rank": np.where(score > 0, rank_within(row, score), np.nan)}
        columns["personal_orders"], columns["personal_days"] = self.personal.history(user, item)
        return pd.DataFrame(columns)

    def save(self, folder: Path) -> None:
        write_frame(folder / "users.parquet", pd.DataFrame({"user_id": self.users}))
        write_frame(folder / "items.parquet", pd.DataFrame({"item_id": self.items}))
        for name, retriever in self.retrievers.items():
            retriever.save(folder / f"{name}.parquet")

    def load(self, folder: Path, at: datetime) -> "CandidateFinder":
        self.users = pd.read_parquet(folder / "users.parquet")["user_id"].to_numpy(object)
        self.items = pd.read_parquet(folder / "items.parquet")["item_id"].to_numpy(object)
        self.at = at
        for name, retriever in self.retrievers.items():
            retriever.load(folder / f"{name}.parquet", len(self.users), len(self.items))
        return self


def rank_within(group: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Rank of each row in its group by falling score, from 1; ties go to the row that comes first.

    >>> rank_within(np.array([0, 0, 0, 1]), np.array([0.2, 0.9, 0.2, 0.1]))
    array([2., 1., 3., 1.])
    """
    order = np.lexsort((-np.asarray(score), group))
    ordered = np.asarray(group)[order]
    start = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(order) else np.zeros(0, bool)
    first = np.maximum.accumulate(np.where(start, np.arange(len(order)), 0))
    rank = np.empty(len(order))
    rank[order] = np.arange(len(order)) - first + 1
    return rank
