"""Kinds of customers: how often they come, how much they look for at a time, what prices mean to them.

Within a kind, visit rates are gamma distributed and baskets lognormal; over all kinds both spread as they do over the
households of a real shop. How long somebody stays does not depend on the kind, so the mixture keeps over time.
"""

from dataclasses import dataclass

import numpy as np

from ecomine.simulation import demand

KINDS = ("regular", "bargain hunter", "big spender", "browser")
SHARE = np.array([0.25, 0.3, 0.2, 0.25])

RATE = np.array([2.6, 0.7, 0.18, 0.35])
"""Visits of each kind against the mean."""

BASKET = np.array([1.15, 0.65, 3.2, 0.22])
"""What each kind looks for in a visit against the mean, in the middle of the kind."""

RATE_SHAPE, BASKET_SPREAD = 16.0, 0.2
_BARGAIN = np.array([0.0, 0.0, 0.35, 0.4, 0.25])


@dataclass(frozen=True)
class Habits:
    """By person: number of the kind, visits against the mean, needs against the mean, number of the sensitivity."""

    kind: np.ndarray
    rate: np.ndarray
    basket: np.ndarray
    segment: np.ndarray


def habits(random: np.random.Generator, users: int) -> Habits:
    """Habits of `users` people."""
    kind = random.choice(len(KINDS), users, p=SHARE)
    rate = random.gamma(RATE_SHAPE, RATE[kind] / RATE_SHAPE)
    basket = BASKET[kind] * np.exp(random.normal(0, BASKET_SPREAD, users))
    cumulative = np.cumsum(sensitivity_shares(), axis=1)
    segment = (random.random(users)[:, None] > cumulative[kind, :-1]).sum(axis=1)
    return Habits(kind, rate, basket, segment)


def sensitivity_shares() -> np.ndarray:
    """Shares of the sensitivities (columns) within each kind, such that all demand has demand.SENSITIVITY_SHARE.

    Bargain hunters are sensitive, regulars are what is left for them, the others are like everybody.

    >>> sensitivity_shares().round(2).tolist()[:2]
    [[0.12, 0.24, 0.41, 0.16, 0.07], [0.0, 0.0, 0.35, 0.4, 0.25]]
    """
    weight = SHARE * RATE * BASKET
    shares = np.tile(demand.SENSITIVITY_SHARE, (len(KINDS), 1))
    shares[1] = _BARGAIN
    shares[0] = (weight[:2].sum() * demand.SENSITIVITY_SHARE - weight[1] * _BARGAIN) / weight[0]
    return shares
