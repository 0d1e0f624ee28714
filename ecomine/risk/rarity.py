"""How rare a value is: −log10 of the share of usual values that lie at least as far out, and further beyond them."""

from typing import Self

import numpy as np

POINTS = 400
"""Places of a distribution that are kept, closer to each other the rarer they are."""

BEYOND = 4.0
"""Rarity that a value gains where it lies ten times as far out as the farthest usual one."""


class Tail:
    """The far end of a distribution of distances, which are 0 or more; a distance of 0 has a rarity of 0."""

    def __init__(self, places: np.ndarray, rarities: np.ndarray) -> None:
        self.places, self.rarities = places, rarities

    @classmethod
    def of(cls, distances: np.ndarray, rows: int | None = None) -> Self:
        """The tail of some distances; rows: among how many values they are, where the others have none."""
        ordered = np.sort(distances)[::-1]
        total = max(rows or len(ordered), 1)
        number = np.unique(np.geomspace(1, max(len(ordered), 1), POINTS).astype(np.int64))
        if not len(ordered):
            return cls(np.zeros(1), np.array([np.log10(total + 1.0)]))
        places = ordered[number - 1]
        # Of equal places the one that most values reach tells how rare it is.
        kept = np.append(places[1:] != places[:-1], True)
        rarities = np.log10((total + 1.0) / number[kept])
        return cls(places[kept][::-1].copy(), rarities[::-1].copy())

    def rarity(self, distances: np.ndarray) -> np.ndarray:
        """−log10 of the share of usual values at least so far out; more for what lies beyond all of them."""
        distances = np.asarray(distances, float)
        inside = np.interp(distances, self.places, self.rarities, left=0.0)
        farthest = max(float(self.places[-1]), 1e-9)
        beyond = BEYOND * np.log10(np.maximum(distances / farthest, 1.0))
        return np.where(distances > 0, inside + beyond, 0.0)
