"""The retrievers of one moment together: the union of what they find, and all that is known of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import sparse

from ecomine.recommendation.sessions.features import Columns, ItemFacts, columns
from ecomine.recommendation.sessions.log import Sessions
from ecomine.recommendation.sessions.neighbours import SessionNeighbours
from ecomine.recommendation.sessions.pairs import best
from ecomine.recommendation.sessions.params import SessionParams
from ecomine.recommendation.sessions.retrievers import (
    CoView,
    ItemToItem,
    Popularity,
    Repeat,
    Retriever,
    SequentialRules,
)
from ecomine.recommendation.sessions.vectors import ItemVectors
from ecomine.recommendation.sessions.walk import RandomWalk

RETRIEVERS: dict[str, Callable[[SessionParams], Retriever]] = {
    "walk": lambda params: RandomWalk(recent=params.recent_events, half_life=params.half_life),
    "neighbours": lambda params: SessionNeighbours(
        params.neighbours,
        recent=params.recent_events,
        half_life=params.half_life,
        sessions_an_item=params.sessions_an_item,
    ),
    "rules": lambda params: SequentialRules(recent=params.recent_events, half_life=params.half_life),
    "coview": lambda params: CoView(recent=params.recent_events, half_life=params.half_life),
    "repeat": lambda params: Repeat(),
    "popularity": lambda params: Popularity(params.popularity_half_life),
}
"""Every source of candidates, made from the settings."""

_TOLD = ("walk", "neighbours", "rules", "coview")
"""Retrievers whose scores the ranker sees; what the other two know is told by the item and by the session."""


class Finder:
    """All retrievers, the vectors and the facts of items, fitted on the same sessions."""

    def __init__(self, params: SessionParams, seed: int) -> None:
        self.params = params
        self.retrievers: dict[str, Retriever] = {name: make(params) for name, make in RETRIEVERS.items()}
        self.vectors = ItemVectors(params.vector_size, seed=seed)
        self.facts = ItemFacts()

    @property
    def _parts(self) -> dict[str, Retriever | ItemVectors | ItemFacts]:
        return {**self.retrievers, "vectors": self.vectors, "facts": self.facts}

    def fit(self, sessions: Sessions) -> "Finder":
        for part in self._parts.values():
            part.fit(sessions)
        return self

    def candidates(
        self, prefixes: Sessions, least: int = 0
    ) -> tuple[np.ndarray, np.ndarray, dict[str, sparse.csr_matrix]]:
        """Number of the prefix (rising), item, and every retriever's scores; at least `least` items a prefix."""
        scores = {name: retriever.scores(prefixes) for name, retriever in self.retrievers.items()}
        wanted = {name: getattr(self.params, f"{name}_candidates") for name in self.retrievers}
        wanted["popularity"] = max(wanted["popularity"], least)
        found = [best(scores[name], k)[:2] for name, k in wanted.items()]
        key = np.unique(np.concatenate([row * prefixes.items + item for row, item in found]))
        return key // prefixes.items, key % prefixes.items, scores

    def columns(
        self, prefixes: Sessions, row: np.ndarray, item: np.ndarray, scores: dict[str, sparse.csr_matrix]
    ) -> Columns:
        """What the ranker sees of the candidates."""
        similar = {name: part for name, part in self.retrievers.items() if isinstance(part, ItemToItem)}
        told = {name: scores[name] for name in _TOLD}
        return columns(prefixes, row, item, told, similar, self.vectors, self.facts)

    def save(self, folder: Path) -> None:
        """One npz of plain arrays a part."""
        for name, part in self._parts.items():
            np.savez(folder / f"{name}.npz", allow_pickle=False, **part.state())

    def load(self, folder: Path) -> "Finder":
        for name, part in self._parts.items():
            with np.load(folder / f"{name}.npz", allow_pickle=False) as state:
                part.restore(dict(state))
        return self
