"""Sessions as whole numbers: one long array of item codes, and where each session starts in it."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ecomine.errors import FeatureError
from ecomine.recommendation.sessions.pairs import ragged

ORDERS = ("event_timestamp", "position")
"""Columns that say what came first within a session; the first that is there is used."""


@dataclass(frozen=True)
class Sessions:
    """Sessions one after the other, the oldest first.

    ids: their ids; start: n + 1 places in `item`; item: codes of the items looked at, in order; items: number of codes.
    """

    ids: np.ndarray
    start: np.ndarray
    item: np.ndarray
    items: int

    @classmethod
    def of(cls, frame: pd.DataFrame, item_ids: pd.Index) -> "Sessions":
        """Codes (session_id, event_timestamp or position, item_id); items that are not in `item_ids` are left out.

        Sessions come in the order of their first timestamp, then of their ids; a session of unknown items stays, empty.
        Raises FeatureError for a missing column or a null.
        """
        order = next((name for name in ORDERS if name in frame.columns), None)
        missing = [name for name in ("session_id", "item_id") if name not in frame.columns]
        if missing or order is None:
            lacking = ", ".join([*missing, *([] if order else [" or ".join(ORDERS)])])
            raise FeatureError(
                f"The sessions lack {lacking}; they have {', '.join(map(str, frame.columns)) or 'no columns'}. "
                "Expected session_id, item_id, and event_timestamp or position."
            )
        columns = frame[["session_id", order, "item_id"]]
        if columns.isna().any(axis=None):
            nulls = columns.isna().sum()
            raise FeatureError(
                f"Null values in the sessions: {', '.join(f'{n} in {name}' for name, n in nulls.items() if n)}. "
                "Leave out or fill those rows."
            )
        session, ids = pd.factorize(columns["session_id"], sort=True)
        moment, code = columns[order].to_numpy(), item_ids.get_indexer(columns["item_id"])
        if order == ORDERS[0] and len(ids):
            begins = pd.Series(moment).groupby(session).min().to_numpy()
            by_age = np.lexsort((np.arange(len(ids)), begins))
            session, ids = np.argsort(by_age)[session], ids[by_age]
        # The item's code, drawn at random, decides between events of the same moment.
        rows = np.lexsort((code, moment, session))
        rows = rows[code[rows] >= 0]
        start = np.concatenate([[0], np.cumsum(np.bincount(session[rows], minlength=len(ids)))])
        return cls(np.asarray(ids), start, code[rows].astype(np.int32), len(item_ids))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def length(self) -> np.ndarray:
        """Events of each session."""
        return np.diff(self.start)

    @property
    def row(self) -> np.ndarray:
        """The number of its session, for each event."""
        return np.repeat(np.arange(len(self)), self.length)

    @property
    def steps_back(self) -> np.ndarray:
        """Events from each event to the end of its session; 0 for the last."""
        return np.repeat(self.start[1:], self.length) - 1 - np.arange(len(self.item))

    def part(self, first: int, last: int) -> "Sessions":
        """The sessions with numbers first to last - 1."""
        begin, end = self.start[first], self.start[last]
        return Sessions(self.ids[first:last], self.start[first : last + 1] - begin, self.item[begin:end], self.items)

    def where(self, events: np.ndarray) -> "Sessions":
        """The same sessions with only some of their events."""
        kept = np.concatenate([[0], np.cumsum(events)])
        return replace(self, start=kept[self.start], item=self.item[events])

    def ends(self, events: int) -> "Sessions":
        """The same sessions with at most their last `events`."""
        return self.where(self.steps_back < events)

    @property
    def last_seen(self) -> np.ndarray:
        """True for events whose item does not come again in the same session."""
        key = self.row * self.items + self.item
        _, last = np.unique(key[::-1], return_index=True)
        kept = np.zeros(len(key), bool)
        kept[len(key) - 1 - last] = True
        return kept

    def distinct(self) -> "Sessions":
        """The same sessions with each item only where it was last seen."""
        return self.where(self.last_seen)

    def take(self, chosen: np.ndarray) -> "Sessions":
        """The sessions with the numbers `chosen`, in that order."""
        length = self.length[chosen]
        events, _ = ragged(self.start[chosen], length)
        return Sessions(self.ids[chosen], np.concatenate([[0], np.cumsum(length)]), self.item[events], self.items)

    @property
    def follows(self) -> bool:
        """Whether any event follows another in its session."""
        return bool((self.length > 1).any())

    def prefixes(self, shortest: int = 1) -> tuple["Sessions", np.ndarray]:
        """Every beginning with at least `shortest` events that something follows, and the item that follows.

        The ids of the beginnings are their numbers.
        """
        end = np.flatnonzero((self.steps_back > 0) & (self.place >= shortest - 1))
        begin = self.start[:-1][self.row[end]]
        length = end - begin + 1
        events, _ = ragged(begin, length)
        start = np.concatenate([[0], np.cumsum(length)])
        return Sessions(np.arange(len(end)), start, self.item[events], self.items), self.item[end + 1]

    @property
    def place(self) -> np.ndarray:
        """Events before each event in its session."""
        return np.arange(len(self.item)) - np.repeat(self.start[:-1], self.length)


def item_index(sessions: pd.DataFrame, seed: int) -> pd.Index:
    """The distinct items in an order drawn at random; an item's place in it is its code.

    Catalogues are often numbered by first appearance. Codes drawn at random keep such numbers out of every tie.
    """
    if "item_id" not in sessions.columns:
        return pd.Index([], name="item_id")
    ids = np.unique(sessions["item_id"].dropna().to_numpy())
    return pd.Index(np.random.default_rng(seed).permutation(ids), name="item_id")
