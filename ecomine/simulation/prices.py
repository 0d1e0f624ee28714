"""What things cost, week by week: list prices, promotions, randomised price tests; rivals that watch and react.

A week's plan is a function of the seed and the week alone. Promotions follow the season, so that a naive look at
prices and sales is misled; price tests do not, so that a regression on them is right.
"""

from dataclasses import dataclass

import numpy as np

from ecomine.params import SimulationParams
from ecomine.simulation import demand
from ecomine.simulation.catalogue import Catalogue
from ecomine.simulation.randomness import stream

DEPTHS = (0.05, 0.1, 0.15, 0.2, 0.25)
DEPTH_SHARE = (0.15, 0.3, 0.25, 0.2, 0.1)
TEST_FACTORS = (0.85, 0.925, 1.0, 1.075, 1.15)
LIST_WEEKS = 8
"""A list price stands this many weeks."""

RIVALS = ("rival a", "rival b")
RIVAL_PRICE_LEVEL = np.array([0.0, 0.03])
"""Mean log price of each rival against ours."""

RIVALS_FOLLOW = 0.6
"""How far a rival's price goes after ours in the end, in logs."""

DISPLAYS = ("front of shop", "banner")
MAILERS = ("front page", "inside page")
SEASON_PULL = 2.0


@dataclass(frozen=True)
class WeekPrices:
    """Prices of a week, items × locations, and how they came about.

    `asked` is the list price, or the one under test; `price` is asked after promotion. `promoted`, `displayed`,
    `mailed` and `tested` tell items apart.
    """

    week: int
    asked: np.ndarray
    price: np.ndarray
    depth: np.ndarray
    promoted: np.ndarray
    displayed: np.ndarray
    mailed: np.ndarray
    tested: np.ndarray
    test_factor: np.ndarray

    def log_ratio(self, goods: Catalogue) -> np.ndarray:
        """log(price / reference price), items × locations."""
        return np.log(self.price / goods.reference_price[:, None])

    def boost(self) -> np.ndarray:
        """Factor of demand by display and mailer, an entry an item."""
        return np.where(self.displayed, demand.DISPLAY_BOOST, 1.0) * np.where(self.mailed, demand.MAILER_BOOST, 1.0)


def week_prices(params: SimulationParams, goods: Catalogue, week: int) -> WeekPrices:
    """The plan of a week."""
    random = stream(params.seed, "prices", week)
    items, places = goods.items, params.locations
    period = (week + np.arange(items) % LIST_WEEKS) // LIST_WEEKS
    first = stream(params.seed, "list prices", week // LIST_WEEKS).normal(0, 0.04, items)
    second = stream(params.seed, "list prices", week // LIST_WEEKS + 1).normal(0, 0.04, items)
    list_price = goods.reference_price * np.exp(np.where(period == week // LIST_WEEKS, first, second))
    high = demand.season(goods.item_department, (7 * week + 3.5 + params.start.timetuple().tm_yday) % 365.25)
    share = np.clip(params.promotion_share * high**SEASON_PULL, 0, 0.95)
    tested = random.random(items) < params.price_test_share
    promoted = (random.random(items) < share) & ~tested
    depth = np.where(promoted, random.choice(DEPTHS, items, p=DEPTH_SHARE), 0.0)
    factor = np.where(tested[:, None], random.choice(TEST_FACTORS, (items, places)), 1.0)
    asked = np.round(np.maximum(list_price[:, None] * factor, 0.1), 2)
    return WeekPrices(
        week=week,
        asked=asked,
        price=np.round(asked * (1 - depth[:, None]), 2),
        depth=depth,
        promoted=promoted,
        displayed=promoted & (random.random(items) < 0.3),
        mailed=promoted & (random.random(items) < 0.3),
        tested=tested,
        test_factor=factor,
    )


def first_rivals(params: SimulationParams, goods: Catalogue) -> np.ndarray:
    """log(price / reference price) of each rival before the first day, rivals × items."""
    random = stream(params.seed, "first rivals")
    return RIVAL_PRICE_LEVEL[:, None] + random.normal(0, 0.06, (len(RIVALS), goods.items))


def rivals_react(params: SimulationParams, rivals: np.ndarray, ours: np.ndarray, day: int) -> np.ndarray:
    """Rivals' log prices a day later: now and then one looks at ours (log ratio, an entry an item) and follows."""
    random = stream(params.seed, "rivals", day)
    looks = random.random(rivals.shape) < 0.12
    aim = RIVALS_FOLLOW * ours + RIVAL_PRICE_LEVEL[:, None] + random.normal(0, 0.04, rivals.shape)
    return np.where(looks, 0.4 * rivals + 0.6 * aim, rivals)
