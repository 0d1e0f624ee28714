"""More zeros than counts have by themselves: how many, by how much is expected, where validation clearly shows them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecomine.inventory.forecasting import distribution as law

SHARES = np.arange(0.0, 0.91, 0.05)
"""Shares of further zeros that are compared."""

BANDS, LEAST = 6, 400


@dataclass(frozen=True)
class Inflation:
    """The share of further zeros by bands of the log of expected units; `edges` part the bands."""

    edges: np.ndarray
    shares: np.ndarray

    def of(self, size: np.ndarray) -> np.ndarray | None:
        """The share of each row of expected units `size`; null where there is none anywhere."""
        if not self.shares.any():
            return None
        return np.asarray(self.shares[np.searchsorted(self.edges, np.log(np.maximum(size, 1e-9)))])

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"edges": self.edges.tolist(), "shares": self.shares.tolist()}

    @classmethod
    def read(cls, told: dict[str, Any]) -> "Inflation":
        """The inverse of `plain`."""
        return cls(np.array(told["edges"]), np.array(told["shares"]))


NONE = Inflation(np.array([]), np.zeros(1))


def found(units: np.ndarray, middle: np.ndarray, dispersion: np.ndarray) -> Inflation:
    """The likeliest share in each band, where it is likelier than none by Schwarz's criterion (1978)."""
    log = np.log(np.maximum(middle, 1e-9))
    bands = int(np.clip(len(units) // LEAST, 1, BANDS))
    edges = np.unique(np.quantile(log, np.arange(1, bands) / bands)) if len(log) else np.array([])
    band, shares = np.searchsorted(edges, log), np.zeros(len(edges) + 1)
    for number in range(len(shares)):
        own = band == number
        if not own.any():
            continue
        told = [_likelihood(units[own], middle[own], dispersion[own], share) for share in SHARES]
        best = int(np.argmax(told))
        if told[best] - told[0] > np.log(own.sum()):
            shares[number] = SHARES[best]
    return Inflation(edges, shares)


def _likelihood(units: np.ndarray, middle: np.ndarray, dispersion: np.ndarray, share: float) -> float:
    extra = None if share == 0 else np.full(len(units), share)
    low, high = law.below(law.COUNTS, np.floor(units), middle, dispersion, extra)
    return float(np.log(np.maximum(high - low, 1e-12)).sum())
