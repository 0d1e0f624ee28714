"""The session recommender: retrievers that find candidates and a ranker that orders them."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine import params as settings
from ecomine.errors import NotEnoughDataError
from ecomine.recommendation.sessions.finder import Finder
from ecomine.recommendation.sessions.log import Sessions, item_index
from ecomine.recommendation.sessions.pairs import place_in_row
from ecomine.recommendation.sessions.params import SessionParams
from ecomine.recommendation.sessions.ranker import SessionRanker
from ecomine.store import write_frame, write_json

_BLOCK = 2048
"""Prefixes that are answered at a time, which bounds the memory."""


class SessionRecommender:
    """Tells what comes next in a running session, of somebody about whom nothing else is known.

    `fit(sessions)` takes a DataFrame of (session_id, event_timestamp or position, item_id). The newest sessions are set
    apart; retrievers fitted on the older ones find candidates for every beginning of them, and the ranker learns which
    came next. Then the retrievers are fitted on all sessions. Without timestamps the order of their ids counts.

    >>> import pandas as pd
    >>> visits = pd.DataFrame({"session_id": [n // 3 for n in range(600)], "position": [n % 3 for n in range(600)]})
    >>> visits["item_id"] = ["abcd"[(n // 3 + n % 3) % 4] for n in range(600)]
    >>> running = pd.DataFrame({"session_id": ["x"], "position": [0], "item_id": ["b"]})
    >>> SessionRecommender().fit(visits).recommend(running, 1)["item_id"].tolist()
    ['c']
    """

    def __init__(self, params: SessionParams | None = None, seed: int = 42, threads: int = 2) -> None:
        self.params = params or SessionParams()
        self.seed, self.threads = seed, threads
        self.finder = Finder(self.params, seed)
        self.ranker = SessionRanker(self.params)

    def fit(self, sessions: pd.DataFrame) -> "SessionRecommender":
        """Raises FeatureError for a missing column or a null, NotEnoughDataError where nothing follows anything."""
        self.item_ids = item_index(sessions, self.seed)
        known = Sessions.of(sessions, self.item_ids)
        self.ranker.fit(*self._lessons(known), self.threads, self.seed)
        self.finder.fit(known)
        return self

    def _lessons(self, sessions: Sessions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Columns, label and list of sampled candidates for beginnings of the newest sessions."""
        older = len(sessions) - max(round(self.params.ranker_share * len(sessions)), 1)
        history, newest = sessions.part(0, older), sessions.part(older, len(sessions))
        seen = np.bincount(history.item, minlength=history.items) > 0
        prefixes, follows = newest.where(seen[newest.item]).prefixes(self.params.shortest_prefix)
        if len(prefixes) == 0 or not history.follows:
            raise NotEnoughDataError(
                f"{len(sessions):,} sessions with {len(sessions.item):,} events hold {len(prefixes):,} beginnings to "
                f"learn from among the newest {len(newest):,}; expected sessions of two items and more. "
                "Bring a longer history."
            )
        chosen = np.unique(
            np.linspace(0, len(prefixes) - 1, min(self.params.ranker_prefixes, len(prefixes)), dtype=int)
        )
        prefixes, follows = prefixes.take(chosen), follows[chosen]
        self.finder.fit(history)
        random, parts = np.random.default_rng(self.seed), []
        for first in range(0, len(prefixes), _BLOCK):
            block = prefixes.part(first, min(first + _BLOCK, len(prefixes)))
            row, item, scores = self.finder.candidates(block)
            label = item == follows[first:][row]
            # A list on which what came next is missing, or alone, teaches nothing about order.
            count, hits = np.bincount(row, minlength=len(block)), np.bincount(row, label, len(block))
            drawn = random.random(len(row)) * (count - hits)[row] < self.params.negatives
            kept = ((hits > 0) & (count > hits))[row] & (label | drawn)
            row, item, label = row[kept], item[kept], label[kept]
            parts.append((_stacked(self.finder.columns(block, row, item, scores)), label, row + first))
        rows, label, group = (np.concatenate(part) for part in zip(*parts, strict=True))
        if not label.any():
            raise NotEnoughDataError(
                f"Of {len(prefixes):,} beginnings of the newest {len(newest):,} sessions no retriever found what came "
                "next; expected sessions whose items come again. Bring a longer history."
            )
        return rows, label, group

    def recommend(self, prefixes: pd.DataFrame, k: int = 20) -> pd.DataFrame:
        """The `k` items that come next most probably in each running session: (session_id, item_id, rank, score).

        Prefixes have the columns of the sessions; any number of them. Items that were never seen are passed over; where
        nothing is known of a session it gets what is looked at most now. Rank begins at 1; score is higher for better.
        """
        running = Sessions.of(prefixes, self.item_ids)
        row, item, score = self.best(running, k)
        return pd.DataFrame(
            {
                "session_id": running.ids[row],
                "item_id": self.item_ids.to_numpy()[item],
                "rank": place_in_row(row, len(running)) + 1,
                "score": score.astype(np.float64),
            }
        )

    def best(self, prefixes: Sessions, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same in codes: number of the prefix, item and score, best first."""
        parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
        for first in range(0, len(prefixes), _BLOCK):
            block = prefixes.part(first, min(first + _BLOCK, len(prefixes)))
            row, item, scores = self.finder.candidates(block, least=k)
            rows = _stacked(self.finder.columns(block, row, item, scores))
            score = self.ranker.score(rows)
            order = np.lexsort((item, -score, row))
            order = order[place_in_row(row, len(block)) < k]
            parts.append((row[order] + first, item[order], score[order]))
        row, item, score = (np.concatenate(part) for part in zip(*parts, strict=True))
        return row, item, score

    def next_items(self, item_ids: list[object], k: int = 20) -> list[object]:
        """The answer for one running session, given as its items so far, fast enough for a page that waits for it."""
        code = self.item_ids.get_indexer(pd.Index(item_ids, dtype=self.item_ids.dtype))
        code = code[code >= 0]
        prefix = Sessions(np.zeros(1, np.int64), np.array([0, len(code)]), code.astype(np.int32), len(self.item_ids))
        return self.item_ids.to_numpy()[self.best(prefix, k)[1]].tolist()

    def save(self, folder: Path) -> None:
        """Files that hold no code: JSON, Parquet, npz and XGBoost's UBJ, the same bytes for the same sessions."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {"params": dataclasses.asdict(self.params), "seed": self.seed, "threads": self.threads}
        write_json(folder / "sessions.json", state)
        write_frame(folder / "items.parquet", pd.DataFrame({"item_id": self.item_ids}))
        self.finder.save(folder)
        self.ranker.save(folder)

    @classmethod
    def load(cls, folder: Path) -> "SessionRecommender":
        """The inverse of `save`."""
        state = json.loads((folder / "sessions.json").read_text())
        model = cls(settings.build(SessionParams, state["params"], "params"), state["seed"], state["threads"])
        model.item_ids = pd.Index(pd.read_parquet(folder / "items.parquet")["item_id"], name="item_id")
        model.finder.load(folder)
        model.ranker.load(folder, model.threads)
        return model


def _stacked(columns: dict[str, np.ndarray]) -> np.ndarray:
    return np.column_stack([np.asarray(column, np.float32) for column in columns.values()])
