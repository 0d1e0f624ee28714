"""How units scatter around what is expected: a law by mean and dispersion, and what validation says of its levels.

Counts follow a negative binomial law with variance = dispersion × mean; large units follow a log-normal law around
their median. Counts of sparse series may have further zeros (`extra`, a share of all; see zeros.py): a mixture of none
at all and of a negative binomial law, with the same mean and variance. Probabilities are then corrected by how often
validation fell below them, as conformal prediction does with residuals.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

COUNTS, LOG, INFLATED = "counts", "log", "zero_inflated"
LARGE, ENOUGH = 20.0, 0.99
"""Units count as large where their median reaches this and so many of them are above zero."""

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
NAMES = tuple(f"q{level:g}" for level in LEVELS)
LEAST_DISPERSION, MOST_DISPERSION = 1.02, 1e4
FINE = np.linspace(0.005, 0.995, 199)
"""Levels at which corrections are known."""

CALM = 200.0
"""Rows that the law itself counts for against those of validation."""


def chosen(likelihood: str, units: np.ndarray) -> str:
    """`log` or `counts`; `auto` takes log for large units."""
    if likelihood != "auto":
        return COUNTS if likelihood == INFLATED else likelihood
    return LOG if np.median(units) >= LARGE and (units > 0).mean() >= ENOUGH else COUNTS


def scatter(kind: str, units: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Squared residuals in the law's own measure: variance over mean of counts, variance of logs."""
    if kind == LOG:
        return np.square(np.log(np.maximum(units, 0.5)) - np.log(middle))
    return np.square(units - middle) / middle


def mean(kind: str, middle: np.ndarray, dispersion: np.ndarray) -> np.ndarray:
    """Expected units."""
    return middle * np.exp(np.minimum(dispersion, 4.0) / 2) if kind == LOG else middle


def variance(kind: str, middle: np.ndarray, dispersion: np.ndarray) -> np.ndarray:
    """Variance of units."""
    if kind == LOG:
        return np.square(mean(kind, middle, dispersion)) * np.expm1(np.minimum(dispersion, 4.0))
    return middle * dispersion


def from_moments(kind: str, expected: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle and dispersion of the law with such a mean and variance."""
    if kind == LOG:
        dispersion = np.log1p(spread / np.square(expected))
        return expected * np.exp(-dispersion / 2), dispersion
    return expected, spread / expected


def component(middle: np.ndarray, dispersion: np.ndarray, extra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and dispersion of the counts that are left beside `extra` zeros; mean and variance of all stay as they are.

    Lambert (1992): with the share p of further zeros, E[X] = (1 - p) m and E[X²] = (1 - p) (v + m²).
    """
    inner = middle / (1 - extra)
    spread = middle * (dispersion + middle) / (1 - extra) - np.square(inner)
    return inner, np.maximum(spread / inner, LEAST_DISPERSION)


def quantile(
    kind: str, level: np.ndarray | float, middle: np.ndarray, dispersion: np.ndarray, extra: np.ndarray | None = None
) -> np.ndarray:
    """Units that are not exceeded with the probability `level`."""
    from scipy import special, stats

    if kind == LOG:
        return middle * np.exp(special.ndtri(level) * np.sqrt(dispersion))
    if extra is not None:
        inner, own = component(middle, dispersion, extra)
        within = np.maximum((level - extra) / (1 - extra), 0.0)
        return np.where(within > 0, quantile(kind, within, inner, own), 0.0)
    # Rounded to half a percent, most rows ask for what another asked for already.
    size = np.round(np.log(np.maximum(middle, 1e-6)) * 200).astype(np.int64)
    wide = np.round(np.log(np.clip(dispersion, LEAST_DISPERSION, MOST_DISPERSION)) * 50).astype(np.int64)
    of_level = np.round(np.broadcast_to(level, size.shape) * 2000).astype(np.int64)
    code = ((size + 10_000) * 1000 + wide) * 2001 + of_level
    different, back = np.unique(code, return_inverse=True)
    rest, of_level = np.divmod(different, 2001)
    size, wide = np.divmod(rest, 1000)
    law_mean = np.exp((size - 10_000) / 200)
    law_dispersion = np.maximum(np.exp(wide / 50), LEAST_DISPERSION)
    found = stats.nbinom.ppf(
        np.clip(of_level / 2000, 0.0005, 0.9995), law_mean / (law_dispersion - 1), 1 / law_dispersion
    )
    return found[back]


def probability(
    kind: str, units: np.ndarray, middle: np.ndarray, dispersion: np.ndarray, censored: np.ndarray | None, seed: int,
    extra: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Where units lie in their law, uniform if the law is right; jumps are filled evenly, by seed.

    Source: Brockwell (2007), Czado, Gneiting and Held (2009). Of `censored` units only the least is known, so that a
    place above it is drawn.
    """
    low, high = below(kind, units, middle, dispersion, extra)
    if censored is not None:
        high = np.where(censored, 1.0, high)
    return low + np.random.default_rng(seed).random(len(units)) * (high - low)


def below(
    kind: str, units: np.ndarray, middle: np.ndarray, dispersion: np.ndarray, extra: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of less than the units, and of at most them."""
    from scipy import special

    if kind == LOG:
        high = special.ndtr((np.log(np.maximum(units, 0.5)) - np.log(middle)) / np.sqrt(dispersion))
        return high, high
    if extra is not None:
        low, high = below(kind, units, *component(middle, dispersion, extra))
        return np.where(units >= 1, extra + (1 - extra) * low, 0.0), extra + (1 - extra) * high
    size, chance = middle / (dispersion - 1), 1 / dispersion
    whole = np.floor(units)
    low = np.where(whole > 0, special.betainc(size, np.maximum(whole, 1), chance), 0.0)
    return low, special.betainc(size, whole + 1, chance)


def reach(
    kind: str, units: np.ndarray, middle: np.ndarray, dispersion: np.ndarray, extra: np.ndarray | None = None
) -> np.ndarray:
    """The least coverage of the law's central interval, bounds included, that holds the units."""
    low, high = below(kind, units, middle, dispersion, extra)
    return np.clip(np.maximum(1 - 2 * high, 2 * low - 1), 0.0, 1.0)


@dataclass(frozen=True)
class Correction:
    """Levels to ask the law for so that validation's shares come out: bands of the mean × FINE.

    `edges` part the bands by the log of the mean.
    """

    edges: np.ndarray
    levels: np.ndarray

    def of(self, level: float, size: np.ndarray) -> np.ndarray:
        """The law's level for each row of expected units `size`."""
        band = np.searchsorted(self.edges, np.log(np.maximum(size, 1e-9)))
        told = np.array([np.interp(level, FINE, one) for one in self.levels])
        return told[band]

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"edges": self.edges.tolist(), "levels": self.levels.tolist()}

    @classmethod
    def read(cls, told: dict[str, Any]) -> "Correction":
        """The inverse of `plain`."""
        return cls(np.array(told["edges"]), np.array(told["levels"]))


def correct(place: np.ndarray, size: np.ndarray, bands: int = 5, least: int = 400) -> Correction:
    """What validation says: `place` of each row in its law, and its expected units."""
    bands = int(np.clip(len(place) // least, 1, bands))
    log = np.log(np.maximum(size, 1e-9))
    edges = np.unique(np.quantile(log, np.arange(1, bands) / bands)) if len(log) else np.array([])
    band = np.searchsorted(edges, log)
    levels = []
    for number in range(len(edges) + 1):
        own = place[band == number]
        told = np.quantile(own, FINE) if len(own) else FINE
        weight = len(own) / (len(own) + CALM)
        levels.append(np.maximum.accumulate(weight * told + (1 - weight) * FINE))
    return Correction(edges, np.array(levels))
