"""Pairs of user and item to rank, on plain interactions: what the retrievers find, with what is known about each."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine.recommendation.candidates import rank_within
from ecomine.recommendation.interactions import Interactions
from ecomine.recommendation.retrievers import EASE, Scorer, blocks
from ecomine.recommendation.retrievers.factors import Factors
from ecomine.store import write_frame

_CELLS = 4_000_000
"""Users × items looked at together, which bounds the memory."""

_AGREED = 10
"""A retriever names an item clearly when it is among its best so many."""


class PairFinder:
    """Retrievers and plain counts, fitted on the same interactions.

    `candidates` says how many items a user each retriever names (0: it only gives its score to what others found).
    Unless `repeat`, what somebody had to do with before is no candidate.
    """

    def __init__(self, retrievers: Mapping[str, Scorer], candidates: Mapping[str, int], repeat: bool) -> None:
        self.retrievers, self.candidates, self.repeat = dict(retrievers), dict(candidates), repeat

    def fit(self, interactions: Interactions) -> "PairFinder":
        """Learns from all rows."""
        for retriever in self.retrievers.values():
            retriever.fit(interactions)
        self.users, self.items = interactions.users, interactions.items
        self._hold(counts_of_users(interactions), counts_of_items(interactions), habits(interactions))
        return self

    def _hold(self, of_user: pd.DataFrame, of_item: pd.DataFrame, of_pair: pd.DataFrame) -> None:
        self.of_user, self.of_item, self.of_pair = of_user, of_item, of_pair
        self._index = pd.Index(self.users)
        self._user = of_user.to_numpy(np.float32)
        self._item = of_item.to_numpy(np.float32)
        user, item, shape = of_pair["user"].to_numpy(), of_pair["item"].to_numpy(), (len(self.users), len(self.items))
        self.seen = blocks.matrix(user, item, np.ones(len(of_pair)), shape)
        self._keys = blocks.key(user, item, max(len(self.items), 1))
        self._pair = of_pair.drop(columns=["user", "item"]).to_numpy(np.float32)

    def save(self, folder: Path) -> None:
        """Parquet tables, and a file a retriever."""
        tables = {"of_user": self.of_user, "of_item": self.of_item, "of_pair": self.of_pair}
        tables |= {"users": pd.DataFrame({"user_id": self.users}), "items": pd.DataFrame({"item_id": self.items})}
        for name, table in tables.items():
            write_frame(folder / f"{name}.parquet", table)
        for number, retriever in enumerate(self.retrievers.values()):
            retriever.save(folder / f"retriever_{number}{retriever.suffix}")

    def load(self, folder: Path) -> "PairFinder":
        """The inverse of `save`, for the same retrievers."""
        self.users = pd.read_parquet(folder / "users.parquet")["user_id"].to_numpy()
        self.items = pd.read_parquet(folder / "items.parquet")["item_id"].to_numpy()
        for number, retriever in enumerate(self.retrievers.values()):
            path = folder / f"retriever_{number}{retriever.suffix}"
            retriever.load(path, len(self.users), len(self.items))
        self._hold(*(pd.read_parquet(folder / f"{name}.parquet") for name in ("of_user", "of_item", "of_pair")))
        for retriever in self.retrievers.values():
            retriever.users, retriever.items, retriever.seen = self.users, self.items, self.seen
        return self

    def block(self) -> int:
        """Users to ask for at a time; fewer where some retriever has a score for every item."""
        full = any(
            isinstance(retriever, Factors | EASE) and self.candidates[name]
            for name, retriever in self.retrievers.items()
        )
        return int(np.clip(_CELLS // max(len(self.items), 1), 16, 1024)) if full else 1024

    def codes(self, user_ids: np.ndarray) -> np.ndarray:
        """Places of the ids among the users known; -1 for somebody unknown."""
        return np.asarray(self._index.get_indexer(pd.Index(user_ids)))

    def rows(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
        """Positions in `users` (codes, -1 for somebody unknown), item codes, and a frame of float32 features.

        Sorted by position and item code.
        """
        seen = None if self.repeat else blocks.rows(self.seen, users)
        width = max(len(self.items), 1)
        asked = {
            name: retriever.consult(users, self.candidates[name], seen) for name, retriever in self.retrievers.items()
        }
        found = np.sort(np.concatenate([blocks.key(*pairs, width) for pairs, _ in asked.values()]))
        found = found[np.diff(found, prepend=-1) > 0]
        row, item = found // width, found % width
        columns: dict[str, np.ndarray] = {}
        start = np.flatnonzero(np.diff(row, prepend=-1))
        size = np.diff(start, append=len(row))
        for name, (_, opinion) in asked.items():
            score = np.asarray(opinion(row, item), float)
            rank = np.where(score > 0, rank_within(row, score), np.nan)
            top = np.repeat(np.maximum.reduceat(score, start), size) if len(row) else score
            columns[f"{name}_score"] = score
            columns[f"{name}_share"] = score / np.maximum(top, 1e-12)
            columns[f"{name}_rank"] = rank
        columns |= agreement([columns[f"{name}_rank"] for name in asked], len(row))
        known = users[row] >= 0
        of_user = np.where(known[:, None], self._user[np.maximum(users[row], 0)], np.nan)
        columns |= {f"user_{name}": of_user[:, place] for place, name in enumerate(self.of_user.columns)}
        of_item = self._item[item]
        columns |= {f"item_{name}": of_item[:, place] for place, name in enumerate(self.of_item.columns)}
        columns["popularity_gap"] = columns["item_popularity"] - columns["user_popularity"]
        if self.repeat:
            columns |= self._habits(users[row], item)
        values = np.empty((len(row), len(columns)), np.float32)
        for place, value in enumerate(columns.values()):
            values[:, place] = value
        return row, item, pd.DataFrame(values, columns=list(columns))

    def _habits(self, user: np.ndarray, item: np.ndarray) -> dict[str, np.ndarray]:
        wanted = blocks.key(user, item, max(len(self.items), 1))
        place = np.minimum(np.searchsorted(self._keys, wanted), max(len(self._keys) - 1, 0))
        met = (self._keys[place] == wanted) if len(self._keys) else np.zeros(len(wanted), bool)
        values = np.where(met[:, None], self._pair[place], np.nan)
        names = [name for name in self.of_pair.columns if name not in ("user", "item")]
        return {f"pair_{name}": values[:, place] for place, name in enumerate(names)}


def agreement(ranks: Sequence[np.ndarray], rows: int) -> dict[str, np.ndarray]:
    """How many retrievers name each of the rows among their best ten, and the sum of 1 / (rank + 5) over them."""
    agreed, nearness = np.zeros(rows), np.zeros(rows)
    for rank in ranks:
        agreed += rank <= _AGREED
        nearness += np.nan_to_num(1.0 / (rank + 5.0))
    return {"agreed": agreed, "nearness": nearness}


def counts_of_items(interactions: Interactions) -> pd.DataFrame:
    """One row an item: popularity (log of 1 + interactions), and where there is an order how new the item and its
    interactions are (mean and least log of 1 + days, or steps), and how often its buyers come back to it."""
    item, width = interactions.item, interactions.shape[1]
    count = np.bincount(item, minlength=width).astype(float)
    buyers = np.bincount(interactions.binary.indices, minlength=width)
    table = {"popularity": np.log1p(count)}
    if interactions.ordered:
        age = np.log1p(interactions.day)
        least = np.full(width, np.inf)
        np.minimum.at(least, item, age)
        table["mean_age"] = np.bincount(item, age, minlength=width) / np.maximum(count, 1)
        table["last_age"] = np.where(np.isfinite(least), least, np.nan)
        table["times_a_buyer"] = count / np.maximum(buyers, 1)
    return pd.DataFrame(table)


def counts_of_users(interactions: Interactions) -> pd.DataFrame:
    """One row a user: log numbers of interactions and baskets, share of interactions with something new to them, and
    the mean popularity of their items."""
    user, width = interactions.user, interactions.shape[0]
    count = np.bincount(user, minlength=width).astype(float)
    popularity = np.log1p(np.bincount(interactions.item, minlength=interactions.shape[1]))[interactions.item]
    baskets = np.bincount(user[np.diff(interactions.order, prepend=-1) != 0], minlength=width)
    distinct = np.diff(interactions.binary.indptr)
    return pd.DataFrame(
        {
            "interactions": np.log1p(count),
            "baskets": np.log1p(baskets),
            "new_share": distinct / np.maximum(count, 1),
            "popularity": np.bincount(user, popularity, minlength=width) / np.maximum(count, 1),
        }
    )


def habits(interactions: Interactions) -> pd.DataFrame:
    """One row a user and item met: baskets with it, their share of the user's since the first, steps and days since the
    last, mean days from one to the next, and the ratio of the two; sorted by user and item."""
    width = interactions.shape[1]
    place = blocks.key(interactions.user, interactions.item, width)
    order = np.lexsort((interactions.step, place))
    place, step, day = place[order], interactions.step[order], interactions.day[order]
    start = np.flatnonzero(np.diff(place, prepend=-1))
    times = np.diff(start, append=len(place)).astype(float)
    last = start + times.astype(np.int64) - 1
    gap = np.where(times > 1, (day[last] - day[start]) / np.maximum(times - 1, 1), np.nan)
    return pd.DataFrame(
        {
            "user": place[start] // width,
            "item": place[start] % width,
            "times": times,
            "share": times / (step[last] + 1.0),
            "steps_since": step[start],
            "days_since": day[start],
            "gap": gap,
            "due": day[start] / np.maximum(gap, 0.5),
        }
    )
