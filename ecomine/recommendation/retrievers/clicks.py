"""What somebody opened when it was shown, freed from the favour of its place on the page."""

from pathlib import Path

import numpy as np
import pandas as pd

from ecomine.recommendation.purchases import Purchases, day_number
from ecomine.recommendation.retrievers import blocks
from ecomine.recommendation.retrievers.base import FromPurchases
from ecomine.recommendation.retrievers.blocks import Block
from ecomine.store import write_frame

MOST_POSITIONS = 200
PRIOR = 5.0
"""Expected clicks that draw a product's own rate towards that of all products."""

AT_LARGE = 0.1
"""Weight of how a product does with everybody, beside what the user opened."""

CLICK_COLUMNS = ("user", "item", "position", "propensity", "clicked", "day")


class Clicks(FromPurchases):
    """Opened products by inverse-propensity-weighted clicks (Joachims, Swaminathan and Schnabel 2017).

    Somebody looks at place p with probability p^−η; η is the slope of the click rate over the places, each impression
    weighted by 1 / its logged propensity, so that good products on good places do not look like good places. The score
    of a pair is Σ over its impressions of click · p^η, halved by each half-life of age, and, for products that the
    user has not opened, a tenth of the product's clicks over its expected clicks. Nothing is known without impressions.
    """

    suffix = ".parquet"

    def __init__(self, half_life_days: float = 30.0) -> None:
        self.half_life_days = half_life_days

    def _learn(self, purchases: Purchases) -> None:
        users, items = len(purchases.users), len(purchases.items)
        shown = purchases.shown
        if shown is None:
            self._hold(pd.DataFrame({name: np.zeros(0) for name in ("user", "item", "weight")}), users, items)
            return
        eta = position_slope(shown.query("shown", _BY_POSITION).df())
        at = day_number(purchases.at)
        decay = f"pow(0.5, ({at!r} - day) / {self.half_life_days!r})"
        opened = shown.query(
            "shown",
            f"""SELECT "user", item,
                CAST(SUM(CAST(pow(position, {eta!r}) * {decay} AS DECIMAL(18, 9))) AS DOUBLE) AS weight
            FROM shown WHERE clicked = 1 GROUP BY ALL ORDER BY ALL""",
        ).df()
        rates = shown.query(
            "shown",
            f"""SELECT item, SUM(clicked)::DOUBLE AS clicks,
                CAST(SUM(CAST(pow(position, {-eta!r}) AS DECIMAL(18, 9))) AS DOUBLE) AS looks
            FROM shown GROUP BY item ORDER BY item""",
        ).df()
        overall = rates["clicks"].sum() / max(rates["looks"].sum(), 1e-9)
        rate = (rates["clicks"] + PRIOR * overall) / (rates["looks"] + PRIOR)
        # Rows of nobody (−1) hold how products do with everybody.
        nobody = pd.DataFrame({"user": -1, "item": rates["item"], "weight": rate})
        self._hold(pd.concat([nobody, opened], ignore_index=True), users, items)

    def _hold(self, state: pd.DataFrame, users: int, items: int) -> "Clicks":
        self.state = state.astype({"user": np.int64, "item": np.int64})
        own = self.state[self.state["user"] >= 0]
        self.weights = blocks.matrix(own["user"], own["item"], own["weight"], (users, items))
        large = self.state[self.state["user"] < 0]
        self.rate = np.zeros(items)
        self.rate[large["item"]] = large["weight"]
        return self

    def scores(self, users: np.ndarray) -> Block:
        return blocks.rows(self.weights, users)

    def score(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        own = super().score(users, items)
        return np.where(own > 0, own, AT_LARGE * self.rate[items])

    def opened(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether each user has opened each item."""
        return super().score(users, items) > 0

    def save(self, path: Path) -> None:
        write_frame(path, self.state)

    def load(self, path: Path, users: int, items: int) -> "Clicks":
        return self._hold(pd.read_parquet(path), users, items)


_BY_POSITION = f"""SELECT position, count(*) AS shown, SUM(clicked)::DOUBLE AS clicks,
    CAST(SUM(CAST(clicked / propensity AS DECIMAL(28, 9))) AS DOUBLE) AS weighted,
    CAST(SUM(CAST(1 / propensity AS DECIMAL(28, 9))) AS DOUBLE) AS weights
FROM shown WHERE position <= {MOST_POSITIONS} GROUP BY position ORDER BY position"""


def position_slope(places: pd.DataFrame) -> float:
    """η of looking at place p with probability p^−η, from places with the columns of the query above; 0 to 3.

    Weighted least squares of log(weighted click rate) on log(p), weights being the clicks; places never clicked are
    left out. 0, all places alike, where fewer than two places were.
    """
    told = places[(places["clicks"] > 0) & (places["weights"] > 0)]
    if len(told) < 2:
        return 0.0
    x = np.log(told["position"].to_numpy(float))
    y = np.log(told["weighted"].to_numpy(float) / told["weights"].to_numpy(float))
    weight = told["clicks"].to_numpy(float)
    x, y = x - np.average(x, weights=weight), y - np.average(y, weights=weight)
    spread = float((weight * x * x).sum())
    return float(np.clip(-(weight * x * y).sum() / spread, 0.0, 3.0)) if spread > 0 else 0.0
