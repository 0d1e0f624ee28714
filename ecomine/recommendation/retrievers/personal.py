"""What somebody bought before."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecomine.recommendation.purchases import Purchases, day_number, decay
from ecomine.recommendation.retrievers import blocks
from ecomine.recommendation.retrievers.base import FromPurchases
from ecomine.recommendation.retrievers.blocks import Block, Pairs
from ecomine.store import write_frame


class PersonalRepeat(FromPurchases):
    """What a user bought before, by decayed frequency.

    weight(user, item) = Σ over the user's orders with the item of 0.5 ^ (age in days / half-life).
    """

    suffix = ".parquet"

    def __init__(self, half_life_days: float = 90.0) -> None:
        self.half_life_days = half_life_days

    def _learn(self, purchases: Purchases) -> None:
        columns = purchases.query(
            f"""SELECT user, item, CAST(SUM({decay(self.half_life_days, purchases.at)}) AS DOUBLE) AS weight,
            CAST(count(*) AS DOUBLE) AS orders, {day_number(purchases.at)!r} - max(day) AS days
            FROM lines GROUP BY user, item ORDER BY user, item"""
        )
        self._hold(pd.DataFrame(columns), len(purchases.users), len(purchases.items))

    def _hold(self, state: pd.DataFrame, users: int, items: int) -> "PersonalRepeat":
        self.state = state
        self.weights = blocks.matrix(state["user"], state["item"], state["weight"], (users, items))
        self.keys = blocks.key(state["user"].to_numpy(), state["item"].to_numpy(), items)
        self.orders, self.days = state["orders"].to_numpy(), state["days"].to_numpy()
        return self

    def scores(self, users: np.ndarray) -> Block:
        return blocks.rows(self.weights, users)

    def candidates(self, users: np.ndarray, k: int) -> Pairs:
        return blocks.best(blocks.rows(self.weights, users), k)[:2]

    def score(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        return self._look_up(self.weights.data, users, items, 0.0)

    def history(self, users: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Number of orders with the item, and days from the last one to the moment of fitting (null when none)."""
        return self._look_up(self.orders, users, items, 0.0), self._look_up(self.days, users, items, np.nan)

    def _look_up(self, values: np.ndarray, users: np.ndarray, items: np.ndarray, absent: float) -> np.ndarray:
        return blocks.look_up(self.keys, values, blocks.key(users, items, self.weights.shape[1]), absent)

    def settings(self) -> dict[str, Any]:
        return {"half_life_days": self.half_life_days}

    def save(self, path: Path) -> None:
        write_frame(path, self.state)

    def load(self, path: Path, users: int, items: int) -> "PersonalRepeat":
        return self._hold(pd.read_parquet(path), users, items)
