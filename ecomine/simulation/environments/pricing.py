"""What to ask for each product today, as a factor of its list price; the reward is the margin of what is sold.

Customers respond by the law of the shop (own price, the category's other prices, the complement's, the cheapest
rival's), rivals watch and follow, shelves are filled by the shop's own orders, so that a price far too low sells out.
"""

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ecomine.params import SimulationParams
from ecomine.simulation import oracle, sessions, stock, trade
from ecomine.simulation.environments import forms
from ecomine.simulation.environments.assortment import Assortment, assortment, serve
from ecomine.simulation.prices import first_rivals, rivals_react, week_prices
from ecomine.simulation.randomness import stream

LOWEST, HIGHEST = 0.5, 1.6
"""Prices go from half the list price to 1.6 times; a share of 0.5 is their geometric mean."""


class Pricing:
    """The world of prices over `days` days of an assortment; an amount is a price as a factor of the list price."""

    features = {  # noqa: RUF012
        **forms.CALENDAR,
        "last_ratio": (0.0, 2.0),
        "rival_log_ratio": (-2.0, 2.0),
        "days_of_cover": (0.0, 60.0),
        "log_daily_sales": (0.0, 12.0),
        "cost_share": (0.0, 1.5),
    }

    def __init__(self, shop: Assortment, days: int = 28) -> None:
        # Nothing but the decisions moves prices: no promotions, no price tests of the shop's own.
        quiet = replace(shop.params, promotion_share=0.0, price_test_share=0.0)
        self.shop, self.items, self.steps = replace(shop, params=quiet), shop.items, days
        self.everything = np.ones(shop.items, bool)
        goods = shop.goods
        self.best_alone = oracle.optimal_price(goods.reference_price, goods.cost, goods.elasticity, LOWEST, HIGHEST)

    @cached_property
    def best(self) -> np.ndarray:
        """Prices that are best together; they take a second for thousands of products."""
        return oracle.best_prices(self.shop.goods, self.shop.base, LOWEST, HIGHEST)

    def begin(self, episode: int) -> forms.Info:
        self.now = self.shop.seeded(episode)
        self.day = int(stream(episode, "first day").integers(365))
        self.rivals = first_rivals(self.params, self.shop.goods)
        self.shelf = stock.first_stock(self.params, self.shop.goods, self.shop.base.sum())
        self.last_ratio = np.ones(self.items)
        return {"list_price": self.list_price}

    @property
    def params(self) -> SimulationParams:
        return self.now.params

    @property
    def list_price(self) -> np.ndarray:
        return week_prices(self.params, self.shop.goods, self.day // 7).asked[:, 0]

    def decide(self, amount: np.ndarray) -> tuple[np.ndarray, forms.Info]:
        goods, week = self.shop.goods, week_prices(self.params, self.shop.goods, self.day // 7)
        week = replace(week, price=np.round(np.maximum(week.asked * amount[:, None], 0.01), 2))
        market = trade.market(self.params, goods, week, self.rivals, self.everything, self.day)
        expected = self.now.expected(market, self.day)
        wanted, sold = serve(goods, self.shelf, expected, self.params.seed, self.day)
        price = week.price[:, 0]
        counted = stock.reorder(self.params, goods, self.shelf, sold[:, None], self.day)
        self.shelf = stock.receive(counted)
        self.rivals = rivals_react(self.params, self.rivals, market.log_ratio.mean(axis=1), self.day)
        self.last_ratio, self.day = amount.copy(), self.day + 1
        told = {"price": price, "units": sold, "wanted": wanted, "expected": expected}
        return (price - goods.cost) * sold, {**told, "best_ratio_alone": self.best_alone / week.asked[:, 0]}

    def observe(self) -> np.ndarray:
        goods, rate = self.shop.goods, self.shelf.rate[:, 0]
        asked = self.list_price
        when = sessions.weekday(self.params, self.day), sessions.day_of_year(self.params, self.day)
        rival = self.rivals.min(axis=0) + np.log(goods.reference_price / asked)
        cover = self.shelf.on_hand[:, 0] / np.maximum(rate, 1e-3)
        rows = [*forms.calendar(*when, self.items), self.last_ratio, rival, cover, np.log1p(rate), goods.cost / asked]
        return np.stack(rows, axis=1)

    def amount(self, share: np.ndarray) -> np.ndarray:
        return LOWEST * (HIGHEST / LOWEST) ** np.asarray(share, float)

    def share(self, amount: np.ndarray) -> np.ndarray:
        return np.clip(np.log(np.asarray(amount) / LOWEST) / np.log(HIGHEST / LOWEST), 0, 1)


def list_prices(world: Pricing) -> np.ndarray:
    """The plain policy: asks the list price."""
    return np.ones(world.items)


def best_prices(world: Pricing) -> np.ndarray:
    """The oracle: prices that are best for all products together, rivals' reaction included."""
    return np.clip(world.best / world.list_price, LOWEST, HIGHEST)


def best_alone(world: Pricing) -> np.ndarray:
    """The oracle of who looks at each product alone, other prices as they are: what learners one by one can find."""
    return np.clip(world.best_alone / world.list_price, LOWEST, HIGHEST)


def together(
    items: int = 200, days: int = 28, units_per_day: float = 3.0, shop: Path | str | None = None
) -> forms.Together:
    """The environment in which all prices are one action."""
    return forms.Together(Pricing(assortment(items, units_per_day, shop), days))


def apart(
    num_envs: int = 200,
    days: int = 28,
    units_per_day: float = 3.0,
    shop: Path | str | None = None,
    levels: int | None = None,
) -> forms.Apart:
    """The environments of each product; `levels` makes actions discrete."""
    world = Pricing(assortment(num_envs, units_per_day, shop), days)
    return forms.Apart(forms.as_many(num_envs, world), levels)
