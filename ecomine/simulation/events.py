"""The day's events as columns: everything a person did on the site, in one flat set of arrays."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ecomine.simulation import people
from ecomine.simulation.write import nullable, text

TYPES = ("search", "impression", "view", "cart", "wishlist", "purchase", "review")
SEARCH, IMPRESSION, VIEW, CART, WISHLIST, PURCHASE, REVIEW = range(len(TYPES))
PER_DAY = 1_000_000_000
"""Events of day d are numbered from d · PER_DAY."""


@dataclass
class EventLog:
    """Events gathered part by part; `table` makes one table of them, in the order in which they came."""

    parts: list[dict[str, np.ndarray]] = field(default_factory=list)

    def add(self, kind: int, session: np.ndarray, user: np.ndarray, time: np.ndarray, **more: np.ndarray) -> None:
        """Events of one type; `more` may hold item, query (a leaf), position, propensity, rating, device, referrer."""
        self.parts.append(
            {"kind": np.full(len(user), kind, np.int8), "session": session, "user": user, "time": time, **more}
        )

    def column(self, name: str, absent: float, kind: type) -> np.ndarray:
        return np.concatenate(
            [
                p[name].astype(kind, copy=False) if name in p else np.full(len(p["kind"]), absent, kind)
                for p in self.parts
            ]
        )

    def table(self, first_id: int, queries: pa.Array) -> pa.Table:
        """The canonical table `events`, ids as numbers; `queries` holds the words of each leaf category."""
        kind = self.column("kind", 0, np.int8)
        position = self.column("position", 0, np.int16)
        rating = self.column("rating", 0, np.int8)
        return pa.table(
            {
                "event_id": first_id + np.arange(len(kind)),
                "user_id": self.column("user", 0, np.int64),
                "session_id": nullable(self.column("session", -1, np.int64)),
                "item_id": nullable(self.column("item", -1, np.int64)),
                "event_type": text(kind, TYPES),
                "event_timestamp": pa.array(self.column("time", 0, np.int64), pa.timestamp("us")),
                "query": text(self.column("query", -1, np.int32), queries),
                "position": nullable(position, position > 0),
                "propensity": nullable(
                    propensity := self.column("propensity", np.nan, np.float64), propensity == propensity
                ),
                "rating": nullable(rating, rating > 0),
                "device": text(self.column("device", -1, np.int8), people.DEVICES),
                "referrer": text(self.column("referrer", -1, np.int8), people.REFERRERS),
            }
        )
