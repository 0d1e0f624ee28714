"""How far two samples of a column lie apart, from their counts: PSI, Kolmogorov–Smirnov, chi-square, share of nulls.

Pure functions of NumPy arrays. Counts are of the same classes in both samples, in the same order.
"""

import numpy as np

from ecomine.errors import FeatureError

GROUPS = 10
"""Classes of about equal share into which the index of a number is counted, as is usual in credit scoring."""


def psi(reference: np.ndarray, current: np.ndarray) -> float:
    """Population stability index Σ (q − p) ln(q / p) of two lists of counts (Siddiqi 2006).

    An empty class counts as half a row, since the logarithm of nothing is not defined. 0 where one sample is empty.

    >>> round(psi(np.array([50, 50]), np.array([40, 60])), 4)
    0.0405
    """
    p, q = (_shares(counts) for counts in _paired(reference, current))
    return float(((q - p) * np.log(q / p)).sum()) if len(p) and len(q) else 0.0


def chi_square(reference: np.ndarray, current: np.ndarray) -> float:
    """Probability of so great a difference by chance: chi-square test that two lists of counts are of one law."""
    from scipy.special import chdtrc

    p, q = _paired(reference, current)
    there = (p + q) > 0
    p, q = p[there].astype(float), q[there].astype(float)
    if len(p) < 2 or p.sum() == 0 or q.sum() == 0:
        return 1.0
    whole, both = p.sum() + q.sum(), p + q
    statistic = sum(((part - both * part.sum() / whole) ** 2 / (both * part.sum() / whole)).sum() for part in (p, q))
    return float(chdtrc(len(p) - 1, statistic))


def kolmogorov_smirnov(reference: np.ndarray, current: np.ndarray) -> float:
    """Greatest distance of two distribution functions, from counts between the same rising points.

    It is that of the samples themselves where the points hold all their values; else at most one class's share less.
    """
    p, q = _paired(reference, current)
    if p.sum() == 0 or q.sum() == 0:
        return 0.0
    return float(np.abs(np.cumsum(p) / p.sum() - np.cumsum(q) / q.sum()).max())


def ks_probability(distance: float, reference: int, current: int) -> float:
    """Probability of so great a distance by chance, by Kolmogorov's limit law for samples of these sizes."""
    from scipy.special import kolmogorov

    if reference == 0 or current == 0:
        return 1.0
    return float(kolmogorov(np.sqrt(reference * current / (reference + current)) * distance))


def groups(reference: np.ndarray, count: int = GROUPS) -> np.ndarray:
    """Group of each class, rising from 0, such that groups hold about equal shares of the reference."""
    share = np.cumsum(reference) / max(reference.sum(), 1)
    return np.unique(np.minimum(np.ceil(share * count - 1e-9), count), return_inverse=True)[1]


def _paired(reference: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if reference.shape != current.shape:
        raise FeatureError(f"{reference.shape} counts cannot be compared with {current.shape}; expected equal classes.")
    return reference, current


def _shares(counts: np.ndarray) -> np.ndarray:
    whole = counts.sum()
    return np.maximum(counts, 0.5) / whole if whole else np.empty(0)
