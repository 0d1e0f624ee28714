"""Stock at every location: deliveries on their way, sales that need it, orders by a known (s, S) policy.

When on hand plus on order of an item falls to s, it is filled up to S. Both follow smoothed sales, which stock-outs
censor: the shop underestimates what it has not got.
"""

from dataclasses import dataclass, replace

import numpy as np

from ecomine.params import SimulationParams
from ecomine.simulation.catalogue import Catalogue
from ecomine.simulation.randomness import stream

LONGEST_LEAD = 20
REVIEW_DAYS = 7
SAFETY = 1.2
"""Standard deviations of demand over the lead time that s holds on top of its mean."""

LATE_DAYS = 0.6
"""How many days later than its lead time a delivery comes, on average."""

SMOOTHING = 0.04
"""Weight of the newest day in the smoothed daily sales."""


@dataclass
class Stock:
    """Units by item and location: on hand, arriving in k days (first axis), and smoothed daily sales."""

    on_hand: np.ndarray
    arriving: np.ndarray
    rate: np.ndarray

    @property
    def on_order(self) -> np.ndarray:
        return self.arriving.sum(axis=0)


def first_stock(params: SimulationParams, goods: Catalogue, units_per_day: float) -> Stock:
    """Stock on the first morning, from the shop's guess at how `units_per_day` spread over items and locations."""
    share = goods.guess / goods.guess.sum()
    place = 1.0 / np.arange(1, params.locations + 1) ** 0.7
    rate = units_per_day * share[:, None] * (place / place.sum())
    _, fill = levels(rate, goods.lead_days[:, None])
    live = goods.launch_day <= 0
    on_hand = np.where(live[:, None], np.ceil(fill), 0).astype(np.int64)
    return Stock(on_hand, np.zeros((LONGEST_LEAD + 1, *rate.shape), np.int64), rate)


def levels(rate: np.ndarray, lead_days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """s and S from daily demand and lead time.

    >>> [level.round(1).tolist() for level in levels(np.array([2.0]), np.array([3.0]))]
    [[12.4], [26.4]]
    """
    over_lead = rate * (lead_days + 1)
    low = over_lead + SAFETY * np.sqrt(over_lead) + 1.0
    return low, low + np.maximum(REVIEW_DAYS * rate, 3.0)


def receive(stock: Stock) -> Stock:
    """The morning: what arrives today is on hand."""
    arriving = np.roll(stock.arriving, -1, axis=0)
    arriving[-1] = 0
    return Stock(stock.on_hand + stock.arriving[0], arriving, stock.rate)


def allocate(stock: Stock, item: np.ndarray, location: np.ndarray, time: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Which of the wanted lines can be served, first come first served; what is served leaves `stock.on_hand`.

    >>> shelf = Stock(np.array([[3]]), np.zeros((1, 1, 1), int), np.zeros((1, 1)))
    >>> allocate(shelf, np.array([0, 0]), np.array([0, 0]), np.array([9, 4]), np.array([2, 2])).tolist()
    [False, True]
    """
    places = stock.on_hand.shape[1]
    key = item * places + location
    order = np.lexsort((time, key))
    sorted_key, sorted_units = key[order], units[order]
    total = np.cumsum(sorted_units)
    first = np.flatnonzero(np.diff(sorted_key, prepend=-1) != 0)
    before = np.repeat(total[first] - sorted_units[first], np.diff(np.append(first, len(order))))
    flat = stock.on_hand.ravel()
    served = np.empty(len(order), bool)
    served[order] = total - before <= flat[sorted_key]
    stock.on_hand = (flat - np.bincount(key[served], units[served], flat.size).astype(np.int64)).reshape(-1, places)
    return served


def reorder(params: SimulationParams, goods: Catalogue, stock: Stock, sold: np.ndarray, day: int) -> Stock:
    """The evening: smooth sales (items × locations), order what is short, delivered after a lead time that varies."""
    rate = smoothed(stock.rate, sold)
    wanted = (goods.launch_day <= day + 14) & (day + goods.lead_days < goods.end_day)
    units = np.where(wanted[:, None], short_of(stock, *levels(rate, goods.lead_days[:, None])), 0)
    return ordered(params, goods.lead_days, replace(stock, rate=rate), units, day)


def smoothed(rate: np.ndarray, sold: np.ndarray) -> np.ndarray:
    """Smoothed daily sales after another day."""
    return (1 - SMOOTHING) * rate + SMOOTHING * sold


def short_of(stock: Stock, low: np.ndarray, fill: np.ndarray) -> np.ndarray:
    """Units to order: up to `fill` where on hand plus on order is at most `low`, else none."""
    position = stock.on_hand + stock.on_order
    return np.where(position <= low, np.ceil(fill - position), 0).astype(np.int64)


def ordered(params: SimulationParams, lead_days: np.ndarray, stock: Stock, units: np.ndarray, day: int) -> Stock:
    """`units` (items × locations) ordered in the evening of `day` from suppliers, who are a little late at times."""
    late = stream(params.seed, "lead times", day).poisson(LATE_DAYS, units.shape)
    lead = np.minimum(lead_days[:, None] + late, LONGEST_LEAD)
    arriving = stock.arriving.copy()
    row, column = np.nonzero(units)
    np.add.at(arriving, (lead[row, column] - 1, row, column), units[row, column])
    return replace(stock, arriving=arriving)
