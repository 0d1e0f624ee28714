"""A linear autoencoder in closed form."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg
from threadpoolctl import threadpool_limits

from ecomine.errors import SettingsError
from ecomine.recommendation.interactions import Interactions
from ecomine.recommendation.retrievers.similarity import ItemToItem


@dataclass(kw_only=True)
class EASE(ItemToItem):
    """EASE: P = (XᵀX + λI)⁻¹, B = I − P · diag(1 / diag P), scores = X · B (Steck 2019, equation 8).

    `dropout` p adds p / (1 − p) · diag(XᵀX) to the diagonal, which keeps popular items from explaining themselves
    (EDLAE, Steck 2020, equation 9). The matrix has items² numbers: of more than `limit` items only the most popular
    take part. `user_power` weighs each user by (number of their items)^-user_power.
    """

    regularization: float = 500.0
    dropout: float = 0.0
    user_power: float = 0.0
    limit: int = 15_000

    def _similarity(self, interactions: Interactions) -> np.ndarray:
        if not 0 <= self.dropout < 1 or self.regularization <= 0:
            raise SettingsError(
                f"EASE has regularization {self.regularization} and dropout {self.dropout}; expected a regularization "
                "above 0 and a dropout from 0 to below 1."
            )
        seen = interactions.binary
        count = np.asarray(seen.sum(axis=0)).ravel()
        width = len(count)
        chosen = np.sort(np.argsort(-count, kind="stable")[: self.limit])
        part = seen[:, chosen].tocsr()
        size = np.maximum(np.asarray(part.sum(axis=1)).ravel(), 1.0)
        part = part.multiply((size**-self.user_power)[:, None]).tocsr() if self.user_power else part
        with threadpool_limits(1):
            gram = (part.T @ (seen[:, chosen])).toarray()
            own = np.diag(gram).copy()
            place = np.arange(len(chosen))
            gram[place, place] += self.regularization + self.dropout / (1 - self.dropout) * own
            # A symmetric positive definite matrix is inverted through its Cholesky factor, in its own memory.
            factor, _ = linalg.lapack.dpotrf(gram, lower=1, overwrite_a=1)
            inverse, _ = linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        weights = inverse / -np.diag(inverse)
        weights[place, place] = 0.0
        if len(chosen) == width:
            return weights.astype(np.float32)
        found = np.zeros((width, width), np.float32)
        found[np.ix_(chosen, chosen)] = weights
        return found

    def scores(self, users: np.ndarray) -> np.ndarray:
        return np.asarray(super().scores(users))
