"""How people respond: to a place on the page, to taste, to prices. Pure functions of arrays, shared with whoever
needs the true law of the shop: the day's simulation, the oracle, the environments.

Demand for an item at price p follows a constant elasticity around its reference price r, person by person:
m = (p / r) ** (-elasticity · sensitivity) · exp(context), where the context holds what other prices do.
"""

import numpy as np

SENSITIVITY = np.array([0.7, 0.85, 1.0, 1.15, 1.3])
"""Price sensitivity of the five kinds of people, as a factor of an item's elasticity."""

SENSITIVITY_SHARE = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
"""How much of the demand is of each kind; the mean sensitivity is 1."""

MOST = 0.97
"""No purchase is more probable than this."""

POSITION_POWER = 0.7
"""A product at position k of a page of results is looked at with probability k ** -0.7."""

DISPLAY_BOOST, MAILER_BOOST = 1.25, 1.1
"""Factors of demand for what is displayed or in the mailer, beside what its lower price does."""

RELEVANCE_OFFSET = -0.5


def examination(position: np.ndarray) -> np.ndarray:
    """Probability that somebody looks at a position, from 1.

    >>> examination(np.array([1, 4])).round(2).tolist()
    [1.0, 0.38]
    """
    return np.asarray(position, float) ** -POSITION_POWER


def relevance(affinity: np.ndarray, appeal: np.ndarray) -> np.ndarray:
    """Probability that a product that is looked at is opened; `affinity` is the product of both tastes."""
    return 1.0 / (1.0 + np.exp(-(RELEVANCE_OFFSET + 0.22 * affinity + appeal)))


def response(log_ratio: np.ndarray, elasticity: np.ndarray, sensitivity: np.ndarray | float = 1.0) -> np.ndarray:
    """Factor of demand of a person at log(price / reference price).

    >>> float(response(np.log(0.5), 2.0))
    4.0
    """
    return np.exp(-np.asarray(elasticity) * sensitivity * log_ratio)


def expected_response(log_ratio: np.ndarray, elasticity: np.ndarray) -> np.ndarray:
    """Factor of demand averaged over all kinds of people; arrays of one shape.

    >>> expected_response(np.zeros(2), np.array([1.5, 2.0])).tolist()
    [1.0, 1.0]
    """
    log_ratio, elasticity = np.asarray(log_ratio, float), np.asarray(elasticity, float)
    factors = np.exp(-(elasticity * log_ratio)[..., None] * SENSITIVITY)
    return factors @ SENSITIVITY_SHARE


def response_slope(log_ratio: np.ndarray, elasticity: np.ndarray) -> np.ndarray:
    """Derivative of expected_response by the log ratio."""
    elasticity = np.asarray(elasticity, float)
    factors = np.exp(-(elasticity * log_ratio)[..., None] * SENSITIVITY)
    return -elasticity * (factors @ (SENSITIVITY_SHARE * SENSITIVITY))


def context(
    log_ratio: np.ndarray,
    rival_log_ratio: np.ndarray,
    leaf: np.ndarray,
    live: np.ndarray,
    cross: np.ndarray,
    complement: np.ndarray,
    complementary: np.ndarray,
    rival: np.ndarray,
) -> np.ndarray:
    """Log of the factor that other prices put on demand, items × locations.

    `log_ratio` (items × locations) is log(price / reference price), `rival_log_ratio` (items) the same of the cheapest
    rival; `leaf`, `live` and the coefficients are those of the catalogue. Substitutes are the other live items of the
    leaf category, by their mean; what is dearer elsewhere raises demand, what is dearer beside it lowers it.
    """
    counted = np.where(live[:, None], log_ratio, 0.0)
    leaves = int(leaf.max()) + 1
    total = np.zeros((leaves, log_ratio.shape[1]))
    np.add.at(total, leaf, counted)
    others = np.bincount(leaf[live], minlength=leaves)[leaf] - live
    mean = (total[leaf] - counted) / np.maximum(others, 1)[:, None]
    return (
        cross[:, None] * mean
        - complementary[:, None] * np.where(live[complement, None], log_ratio[complement], 0.0)
        + rival[:, None] * rival_log_ratio[:, None]
    )


def probability(base: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Probability of taking an item that is looked at closely: `base` at reference prices, times all factors."""
    return np.minimum(base * factor, MOST)


def units(extra: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Units of order lines, of products of which `extra` units are bought beside the first."""
    return 1 + random.poisson(extra)


def season(department: np.ndarray, day_of_year: float) -> np.ndarray:
    """Factor of demand of departments (numbers) on a day of the year: each has its own high time."""
    phase = np.asarray(department) * 0.7
    return 1.0 + 0.18 * np.cos(2 * np.pi * (day_of_year / 365.25 - phase / (2 * np.pi)))
