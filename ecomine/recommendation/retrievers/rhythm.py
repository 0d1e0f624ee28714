"""What somebody buys again and again, when it is due."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse

from ecomine.recommendation.interactions import Interactions
from ecomine.recommendation.retrievers import blocks
from ecomine.recommendation.retrievers.base import Scorer

_LEAST_GAP = 0.5
"""Days, or steps; shorter gaps are one visit."""


@dataclass(kw_only=True)
class PersonalRhythm(Scorer):
    """How often, how lately and how regularly: weight · chance of a repeat · how due.

    weight = Σ 0.5^(step / half_life) over the user's baskets with the item; the chance of a repeat is the share of the
    item's buyers who bought it again, drawn towards the share over all items by `prior` buyers. Due is the log-normal
    density, relative to its peak, of the time since the last purchase around the expected gap: the user's own mean gap
    for the item, drawn towards the item's by `gap_prior` gaps (after Bhagat et al. 2018, "Buy it again").
    """

    half_life: float = 10.0
    prior: float = 20.0
    gap_prior: float = 2.0
    arrays: ClassVar[tuple[str, ...]] = ("weights",)

    def _fit(self, interactions: Interactions) -> None:
        user, item, order = interactions.user, interactions.item, interactions.order
        width = interactions.shape[1]
        rows = np.lexsort((-order, item, user))
        pair = blocks.key(user[rows], item[rows], width)
        step, day = interactions.step[rows], interactions.day[rows]
        begins = np.concatenate([[True], np.diff(pair) != 0]) if len(pair) else np.zeros(0, bool)
        start = np.flatnonzero(begins)
        number = np.cumsum(begins) - 1
        baskets = np.diff(start, append=len(pair))
        weight = np.bincount(number, np.exp2(-step / self.half_life))
        who, what = pair[start] // width, pair[start] % width
        elapsed = day[start]
        span = day[start + baskets - 1] - elapsed
        gaps = baskets - 1.0
        again = np.bincount(what, gaps > 0, minlength=width)
        buyers = np.bincount(what, minlength=width)
        overall = again.sum() / max(buyers.sum(), 1)
        repeat = (again + self.prior * overall) / (buyers + self.prior)
        mean = max(span.sum(), _LEAST_GAP) / max(gaps.sum(), 1.0)
        of_item = (np.bincount(what, span, minlength=width) + self.prior * mean) / (
            np.bincount(what, gaps, minlength=width) + self.prior
        )
        expected = np.maximum((span + self.gap_prior * of_item[what]) / (gaps + self.gap_prior), _LEAST_GAP)
        # How widely gaps scatter about what is expected, over everybody who bought the same thing three times.
        off = np.log(np.maximum(np.diff(day, prepend=0.0) * ~begins, _LEAST_GAP) / expected[number])
        told = ~begins & (baskets[number] > 2)
        spread = max(float(np.sqrt((off[told] ** 2).mean())) if told.any() else 1.0, 0.5)
        late = np.log(np.maximum(elapsed, _LEAST_GAP) / expected) / spread
        score = weight * repeat[what] * np.exp(-0.5 * late**2)
        self.weights = blocks.matrix(who, what, score, interactions.shape)

    def scores(self, users: np.ndarray) -> sparse.csr_matrix:
        return blocks.rows(self.weights, users)
