"""Users and items as points in a space of few dimensions: truncated SVD and alternating least squares."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from ecomine.recommendation.interactions import Interactions
from ecomine.recommendation.retrievers.base import Opinion, Scorer
from ecomine.recommendation.retrievers.blocks import Pairs
from ecomine.recommendation.retrievers.similarity import Profile

_PAIRS = 65_536
"""Pairs whose factors are multiplied at a time."""


@dataclass(kw_only=True)
class Factors(Scorer):
    """Base of what scores by the product of a user's and an item's factors."""

    factors: int = 64
    seed: int = 42
    arrays: ClassVar[tuple[str, ...]] = ("user_factors", "item_factors")

    def _hold(self, user_factors: np.ndarray, item_factors: np.ndarray) -> None:
        self.user_factors = np.ascontiguousarray(user_factors, np.float32)
        self.item_factors = np.ascontiguousarray(item_factors, np.float32)

    def scores(self, users: np.ndarray) -> np.ndarray:
        with threadpool_limits(1):
            found = self.user_factors[np.maximum(users, 0)] @ self.item_factors.T
        found[users < 0] = 0.0
        return found

    def consult(self, users: np.ndarray, k: int, seen: sparse.csr_matrix | None) -> tuple[Pairs, Opinion]:
        if k > 0:
            return super().consult(users, k, seen)
        none = np.zeros(0, np.int64)
        return (none, none), lambda row, item: self.score(users[row], item)

    def score(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        users, items = np.asarray(users), np.asarray(items)
        found = np.zeros(len(users))
        for start in range(0, len(users), _PAIRS):
            user, item = users[start : start + _PAIRS], items[start : start + _PAIRS]
            value = np.einsum("ij,ij->i", self.user_factors[np.maximum(user, 0)], self.item_factors[item])
            found[start : start + _PAIRS] = np.where(user >= 0, np.maximum(value, 0.0), 0.0)
        return found


@dataclass(kw_only=True)
class SVD(Factors):
    """PureSVD (Cremonesi, Koren and Turrin 2010): X ≈ U Σ Vᵀ by randomised projections, scores = X V Vᵀ.

    `popularity_power` first divides each item's column and each user's row by its total to that power; the items' is
    multiplied back into the scores.
    `half_life` (steps) weighs what is newer more.
    """

    half_life: float | None = None
    popularity_power: float = 0.0
    iterations: int = 4

    def _fit(self, interactions: Interactions) -> None:
        from sklearn.utils.extmath import randomized_svd

        profile = Profile(self.half_life).of(interactions)
        item = np.maximum(np.asarray(profile.sum(axis=0)).ravel(), 1.0) ** -self.popularity_power
        user = np.maximum(np.asarray(profile.sum(axis=1)).ravel(), 1.0) ** -self.popularity_power
        scaled = (sparse.diags_array(user) @ profile @ sparse.diags_array(item)).tocsr()
        rank = max(1, min(self.factors, min(scaled.shape) - 1))
        with threadpool_limits(1):
            _, _, right = randomized_svd(scaled, rank, n_iter=self.iterations, random_state=self.seed)
            self._hold(scaled @ right.T, (right / item).T)


@dataclass(kw_only=True)
class ALS(Factors):
    """Implicit-feedback alternating least squares (Hu, Koren and Volinsky 2008) by the package `implicit`.

    Confidence of what was seen is 1 + alpha · weight; `half_life` (steps) weighs what is newer more. One thread, since
    the sums of several come in changing order.
    """

    half_life: float | None = None
    regularization: float = 10.0
    alpha: float = 10.0
    iterations: int = 15

    def _fit(self, interactions: Interactions) -> None:
        from implicit.cpu.als import AlternatingLeastSquares

        profile = Profile(self.half_life).of(interactions).astype(np.float32)
        with threadpool_limits(1):
            model = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.iterations,
                num_threads=1,
                random_state=self.seed,
            )
            model.fit(profile, show_progress=False)
        self._hold(model.user_factors, model.item_factors)
