"""Money over campaigns and over the day: equal marginal return, and bids held back so that a budget lasts."""

from dataclasses import dataclass, field

import numpy as np

from ecomine.ads.bidding import WinCurve
from ecomine.errors import FeatureError

FACTORS = np.concatenate([[1.0], 0.85 ** np.arange(1, 30), [0.0]])
"""Shares of the worth that may be bid, falling."""


@dataclass(frozen=True)
class Allocation:
    """Money by campaign; `marginal` is what the last unit of money brings, the same wherever money is spent."""

    money: np.ndarray
    marginal: float


def allocate(spend: np.ndarray, value: np.ndarray, budget: float) -> Allocation:
    """Splits a budget over campaigns so that the last unit of money brings the same in each.

    `spend` and `value` are campaigns × points of what may be spent and what it brings, of which one is no spending; the
    greatest total value within the budget, where points of a campaign may be mixed. The price of money λ at which all
    campaigns together choose to spend the budget is found by bisection; each takes its greatest value − λ · spend.
    Source: Everett, Generalized Lagrange multiplier method (1963). Raises FeatureError for shapes that differ.

    >>> spend = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    >>> value = np.array([[0.0, 3.0, 4.0], [0.0, 2.0, 3.5]])
    >>> [round(float(part), 6) for part in allocate(spend, value, 3.0).money]
    [1.0, 2.0]
    """
    spend, value = np.atleast_2d(np.asarray(spend, float)), np.atleast_2d(np.asarray(value, float))
    if spend.shape != value.shape:
        raise FeatureError(f"`spend` is {spend.shape} and `value` {value.shape}; expected one value a sum of money.")
    row = np.arange(len(spend))

    def at(price: float, generous: bool) -> np.ndarray:
        """What each campaign spends at a price of money; of equally good points the dearest, or the cheapest."""
        worth = value - price * spend
        tied = worth >= worth.max(axis=1, keepdims=True) - 1e-12 * max(1.0, float(np.abs(value).max()))
        pick = np.where(tied, spend, -np.inf if generous else np.inf)
        return np.asarray(spend[row, pick.argmax(axis=1) if generous else pick.argmin(axis=1)])

    if at(0.0, False).sum() <= budget:
        return Allocation(at(0.0, False), 0.0)
    low, high = 0.0, float(((value.max() - value.min()) / max(_least_step(spend), 1e-12)) + 1)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle, False).sum() > budget else (low, middle)
    cheap, dear = at(high, False), at(low, True)
    between = float((dear - cheap).sum())
    part = 0.0 if between <= 0 else float(np.clip((budget - cheap.sum()) / between, 0, 1))
    return Allocation(cheap + part * (dear - cheap), high)


def _least_step(spend: np.ndarray) -> float:
    steps = np.diff(np.sort(spend, axis=1), axis=1)
    return float(steps[steps > 0].min()) if (steps > 0).any() else 1.0


def return_curves(
    worth: np.ndarray, contacts: np.ndarray, curve: WinCurve, first_price: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """What campaigns spend and bring by the share of the worth they bid: campaigns × FACTORS, for `allocate`.

    `worth` is campaigns × sampled contacts (NaN where there are fewer), `contacts` how many are expected.
    """
    known = np.isfinite(worth)
    safe, count = np.where(known, worth, 0.0), np.maximum(known.sum(axis=1), 1)
    spend, value = np.empty((len(worth), len(FACTORS))), np.empty((len(worth), len(FACTORS)))
    for at, factor in enumerate(FACTORS):
        bid = curve.best_bid(factor * safe, first_price)
        spend[:, at] = np.where(known, curve.spend(bid, first_price), 0.0).sum(axis=1)
        value[:, at] = np.where(known, safe * curve.chance(bid), 0.0).sum(axis=1)
    scale = (np.asarray(contacts) / count)[:, None]
    return spend * scale, value * scale


@dataclass
class Pacer:
    """Holds bids back by a factor a campaign, so that budgets last until the evening and are spent by then.

    `bid` is told what the contacts at hand are worth and what budget and how many contacts are left; from the worths
    remembered and the win-rate curve it takes the factor at which the contacts to come are expected to cost the money
    left. Source: Balseiro, Besbes and Weintraub (2015); the factor is 1 / (1 + the multiplier of the budget).
    """

    campaigns: int
    curve: WinCurve
    first_price: bool = False
    highest: float = np.inf
    memory: int = 64
    every: int = 8
    worths: np.ndarray = field(init=False)
    seen: int = 0

    def __post_init__(self) -> None:
        self.worths = np.full((self.campaigns, self.memory), np.nan)
        self.table: np.ndarray | None = None

    def bid(self, worth: np.ndarray, left: np.ndarray, contacts_left: int) -> np.ndarray:
        """A bid a campaign; `left` is money."""
        self.worths[:, self.seen % self.memory] = worth
        # The table moves slowly: it is made anew while little is known, and now and then later.
        if self.table is None or self.seen % self.every == 0 or self.seen < self.every:
            ones = np.ones(self.campaigns)
            self.table = return_curves(self.worths, ones, self.curve, self.first_price)[0]
        self.seen += 1
        factor = self._factor(np.maximum(left, 0.0) / max(contacts_left, 1))
        bids = np.minimum(self.curve.best_bid(factor * worth, self.first_price), self.highest)
        return np.where(left > 0, np.minimum(bids, left) if self.first_price else bids, 0.0)

    def _factor(self, money: np.ndarray) -> np.ndarray:
        assert self.table is not None
        row = np.arange(self.campaigns)
        after = np.clip((self.table > money[:, None]).sum(axis=1), 1, len(FACTORS) - 1)
        high, low = self.table[row, after - 1], self.table[row, after]
        part = np.clip((high - money) / np.maximum(high - low, 1e-12), 0, 1)
        between = FACTORS[after - 1] * (1 - part) + FACTORS[after] * part
        return np.asarray(np.where(self.table[:, 0] <= money, 1.0, between))
