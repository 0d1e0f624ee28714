"""A vector for each item, so that items that never met can still be close."""

import numpy as np

from ecomine.recommendation.sessions.log import Sessions
from ecomine.recommendation.sessions.pairs import scaled
from ecomine.recommendation.sessions.retrievers import State, power, session_weights, steps


class ItemVectors:
    """Truncated SVD of the graph of neighbouring events, divided by √degree on both sides; rows have length 1.

    Spectral embedding of the normalised graph (Ng, Jordan and Weiss 2002), singular values kept to the power 1/2.
    """

    def __init__(self, size: int = 128, half_life: float = 0.5, reach: int = 5, seed: int = 42) -> None:
        self.size, self.half_life, self.reach, self.seed = size, half_life, reach, seed

    def fit(self, sessions: Sessions) -> "ItemVectors":
        from sklearn.utils.extmath import randomized_svd
        from threadpoolctl import threadpool_limits

        forward = steps(sessions, session_weights(sessions, self.half_life), self.reach, 1.0)
        graph = (forward + forward.T).tocsr()
        graph.sort_indices()
        root = power(np.asarray(graph.sum(axis=1)).ravel(), -0.5)
        size = min(self.size, sessions.items)
        # Sums over several threads come in changing order; one thread keeps the bytes the same.
        with threadpool_limits(1):
            left, strength, _ = randomized_svd(
                scaled(graph, left=root, right=root), size, n_oversamples=10, n_iter=3, random_state=self.seed
            )
        vectors = left * np.sqrt(strength)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.vectors = (vectors / np.maximum(length, 1e-9)).astype(np.float32)
        return self

    def state(self) -> State:
        return {"vectors": self.vectors}

    def restore(self, state: State) -> "ItemVectors":
        self.vectors = state["vectors"]
        return self

    def closeness(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Cosine of the items `left` and `right`; 0 where `left` is -1."""
        cosine = np.einsum("ij,ij->i", self.vectors[left], self.vectors[right])
        return np.where(left >= 0, cosine, np.float32(0))

    def closeness_to_all(self, prefixes: Sessions, row: np.ndarray, item: np.ndarray, decay: float) -> np.ndarray:
        """Cosine of each item to the mean vector, by decay ^ steps back, of the prefix with number `row`."""
        weight = (decay ** prefixes.steps_back.astype(np.float32))[:, None]
        total = np.zeros((len(prefixes), self.vectors.shape[1]), np.float32)
        filled = prefixes.length > 0
        if filled.any():
            total[filled] = np.add.reduceat(weight * self.vectors[prefixes.item], prefixes.start[:-1][filled])
        total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)
        return np.einsum("ij,ij->i", total[row], self.vectors[item])
