"""Rows to rank: the union of what the retrievers find for each user, each pair with every retriever's opinion."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine.errors import SettingsError
from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.purchases import Purchases, codes
from ecomine.recommendation.retrievers import RETRIEVERS, Clicks, CoPurchase, PersonalRepeat, Retriever
from ecomine.store import write_frame

NEEDED = ("personal", "copurchase", "popularity")
"""Retrievers that reasons, baselines and users without a history rest on."""

_CHUNK = 4096
"""Users at a time, which bounds the memory of the matrices whatever the number of users."""


def columns(params: RecommendationParams) -> tuple[str, ...]:
    """What the retrievers say about a row: score and rank among the user's rows (null where the score is 0), number of
    orders with the item and days since the last."""
    told = (f"{name}_{column}" for name in chosen(params) for column in ("score", "rank"))
    return (*told, "personal_orders", "personal_days")


def chosen(params: RecommendationParams) -> tuple[str, ...]:
    """Names of the retrievers in use; raises SettingsError for an unknown, doubled or missing one."""
    names = tuple(params.retrievers)
    unknown = [name for name in names if name not in RETRIEVERS]
    lacking = [name for name in NEEDED if name not in names]
    if unknown or lacking or len(set(names)) < len(names):
        raise SettingsError(
            f"`recommendation.retrievers` is {', '.join(names) or 'empty'}; expected {', '.join(NEEDED)} and any of "
            f"{', '.join(name for name in RETRIEVERS if name not in NEEDED)}, each once."
        )
    return names


class CandidateFinder:
    """The chosen retrievers, fitted on the same purchases."""

    def __init__(self, params: RecommendationParams) -> None:
        self.params = params
        self.personal = PersonalRepeat(params.personal_half_life_days)
        self.retrievers: dict[str, Retriever] = {
            name: RETRIEVERS[name](params, self.personal) for name in chosen(params)
        }

    @property
    def copurchase(self) -> CoPurchase:
        retriever = self.retrievers["copurchase"]
        assert isinstance(retriever, CoPurchase)
        return retriever

    def opened(self, user_ids: pd.Series | np.ndarray, item_ids: pd.Series | np.ndarray) -> np.ndarray:
        """Whether each user has opened each item from a page, as far as the retriever `clicks` knows."""
        clicks = self.retrievers["clicks"]
        assert isinstance(clicks, Clicks)
        return clicks.opened(codes(self.users, user_ids), codes(self.items, item_ids))

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
            for row, item in [retriever.candidates(users, self._wanted(name))]
        ]
        key = np.sort(np.concatenate(found).astype(np.int64))
        key = key[np.diff(key, prepend=-1) > 0]
        row, item = key // width, key % width
        user = users[row]
        told: dict[str, object] = {
            "user_id": user_ids[row],
            "item_id": self.items[item],
            "event_timestamp": np.full(len(key), np.datetime64(self.at, "us")),
        }
        for name, retriever in self.retrievers.items():
            score = retriever.score(user, item)
            told |= {f"{name}_score": score, f"{name}_rank": np.where(score > 0, rank_within(row, score), np.nan)}
        told["personal_orders"], told["personal_days"] = self.personal.history(user, item)
        return pd.DataFrame(told)

    def _wanted(self, name: str) -> int:
        return int(getattr(self.params, f"{name}_candidates", self.params.other_candidates))

    def save(self, folder: Path) -> None:
        write_frame(folder / "users.parquet", pd.DataFrame({"user_id": self.users}))
        write_frame(folder / "items.parquet", pd.DataFrame({"item_id": self.items}))
        for name, retriever in self.retrievers.items():
            retriever.save(folder / f"{name}{retriever.suffix}")

    def load(self, folder: Path, at: datetime) -> "CandidateFinder":
        self.users = pd.read_parquet(folder / "users.parquet")["user_id"].to_numpy(object)
        self.items = pd.read_parquet(folder / "items.parquet")["item_id"].to_numpy(object)
        self.at = at
        for name, retriever in self.retrievers.items():
            retriever.load(folder / f"{name}{retriever.suffix}", len(self.users), len(self.items))
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
