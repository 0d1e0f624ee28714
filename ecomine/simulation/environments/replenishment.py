"""How much of each product to order this evening; the reward is margin less holding, lost sales and orders.

Prices and promotions follow the shop's own plan, rivals react, deliveries come after a lead time and a little late at
times. What customers wanted and did not find is not observed (`info` tells it): sales are censored by stock.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ecomine.params import SimulationParams
from ecomine.simulation import oracle, sessions, stock, trade
from ecomine.simulation.environments import forms
from ecomine.simulation.environments.assortment import Assortment, assortment, serve
from ecomine.simulation.prices import first_rivals, rivals_react, week_prices
from ecomine.simulation.randomness import stream
from ecomine.simulation.stock import LATE_DAYS, LONGEST_LEAD
from ecomine.simulation.trade import Market

LARGEST_ORDER_DAYS = 45
RECENT_DAYS = 7


class Replenishment:
    """The world of orders over `days` days; an amount is a quantity, ordered in the evening before the day.

    `holding_share` of a unit's cost is paid for each unit left in the evening, `lost_share` of the margin for each unit
    that was wanted and not there (beside the margin not earned), `order_cost` for each order.
    """

    features = {  # noqa: RUF012
        **forms.CALENDAR,
        "on_hand": (0.0, 10.0),
        **{f"arriving_in_{day}": (0.0, 10.0) for day in range(1, LONGEST_LEAD + 2)},
        **{f"sold_{day}_days_ago": (0.0, 10.0) for day in range(RECENT_DAYS, 0, -1)},
        "daily_sales": (0.0, 10.0),
        "sold_out": (0.0, 1.0),
        "lead_days": (0.0, float(LONGEST_LEAD)),
        "log_price_ratio": (-2.0, 2.0),
        "margin_share": (-1.0, 1.0),
    }
    """Units are shares of the largest order."""

    def __init__(
        self,
        shop: Assortment,
        days: int = 56,
        holding_share: float = oracle.HOLDING_SHARE,
        lost_share: float = 0.25,
        order_cost: float = oracle.ORDER_COST,
    ) -> None:
        self.shop, self.items, self.steps = shop, shop.items, days
        goods = shop.goods
        self.holding, self.lost_share, self.order_cost = holding_share * goods.cost, lost_share, order_cost
        self.largest = np.ceil(LARGEST_ORDER_DAYS * shop.guess + 10)
        self.everything = np.ones(shop.items, bool)

    def best(self) -> oracle.Orders:
        """The best levels at the mean demand, by who knows it."""
        goods = self.shop.goods
        margin = (1 + self.lost_share) * (goods.reference_price - goods.cost)
        return oracle.best_orders(
            self.shop.base, goods.extra_units, goods.lead_days, margin, self.holding, self.order_cost
        )

    def begin(self, episode: int) -> forms.Info:
        self.now = self.shop.seeded(episode)
        self.first = self.day = int(stream(episode, "first day").integers(365))
        self.shelf = stock.first_stock(self.params, self.shop.goods, self.shop.base.sum())
        self.rivals = first_rivals(self.params, self.shop.goods)
        self.recent = np.tile(self.shelf.rate[:, 0], (RECENT_DAYS, 1))
        self.sold_out = np.zeros(self.items)
        self.markets: list[Market] = []
        self.means: list[np.ndarray] = []
        return {}

    @property
    def params(self) -> SimulationParams:
        return self.now.params

    def expected(self, day: int) -> np.ndarray:
        """Units expected on a day of the episode; the shop's prices and the rivals' depend on no order."""
        while len(self.means) <= day - self.first:
            coming, goods = self.first + len(self.means), self.shop.goods
            week = week_prices(self.params, goods, coming // 7)
            market = trade.market(self.params, goods, week, self.rivals, self.everything, coming)
            self.rivals = rivals_react(self.params, self.rivals, market.log_ratio.mean(axis=1), coming)
            self.markets.append(market)
            self.means.append(self.now.expected(market, coming))
        return self.means[day - self.first]

    def market(self, day: int) -> Market:
        self.expected(day)
        return self.markets[day - self.first]

    def decide(self, amount: np.ndarray) -> tuple[np.ndarray, forms.Info]:
        goods, day = self.shop.goods, self.day
        units = np.round(amount).astype(np.int64)
        self.shelf = stock.receive(stock.ordered(self.params, goods.lead_days, self.shelf, units[:, None], day))
        expected = self.expected(day)
        wanted, sold = serve(goods, self.shelf, expected, self.params.seed, day)
        margin = self.market(day).price[:, 0] - goods.cost
        lost, left = wanted - sold, self.shelf.on_hand[:, 0].copy()
        reward = (
            margin * sold
            - self.holding * left
            - self.lost_share * np.maximum(margin, 0) * lost
            - self.order_cost * (units > 0)
        )
        self.shelf = replace(self.shelf, rate=stock.smoothed(self.shelf.rate, sold[:, None]))
        self.recent = np.concatenate([self.recent[1:], sold[None]])
        self.sold_out, self.day = (left == 0).astype(float), day + 1
        told = {"units": sold, "wanted": wanted, "lost": lost, "ordered": units, "left": left}
        return reward, {**told, "expected": expected.copy()}

    def observe(self) -> np.ndarray:
        goods, scale = self.shop.goods, self.largest
        when = sessions.weekday(self.params, self.day), sessions.day_of_year(self.params, self.day)
        coming = self.market(self.day)
        rows = [
            *forms.calendar(*when, self.items),
            self.shelf.on_hand[:, 0] / scale,
            *(self.shelf.arriving[:, :, 0] / scale),
            *(self.recent / scale),
            self.shelf.rate[:, 0] / scale,
            self.sold_out,
            goods.lead_days,
            coming.log_ratio[:, 0],
            1 - goods.cost / coming.price[:, 0],
        ]
        return np.stack(rows, axis=1)

    def amount(self, share: np.ndarray) -> np.ndarray:
        # Squared: small orders need finer steps than large ones.
        return np.round(self.largest * np.asarray(share, float) ** 2)

    def share(self, amount: np.ndarray) -> np.ndarray:
        return np.sqrt(np.clip(np.asarray(amount) / self.largest, 0, 1))


def by_sales(world: Replenishment) -> np.ndarray:
    """The plain policy, the shop's own: (s, S) levels that follow smoothed, censored sales."""
    low, fill = stock.levels(world.shelf.rate, world.shop.goods.lead_days[:, None])
    return stock.short_of(world.shelf, low, fill)[:, 0].astype(float)


def by_demand(world: Replenishment, levels: oracle.Orders | None = None) -> forms.Policy:
    """The oracle: best levels for the true distribution of demand, moved by what is expected until a delivery.

    `levels` are others to follow in their place.
    """
    goods, best = world.shop.goods, world.best() if levels is None else levels
    cover = goods.lead_days + LATE_DAYS
    safety = best.reorder_point - cover * world.shop.base
    quantity = best.order_up_to - best.reorder_point
    stocked = best.reorder_point >= 0

    def orders(now: Replenishment) -> np.ndarray:
        ahead = np.stack([now.expected(now.day + step) for step in range(LONGEST_LEAD)])
        sums = np.concatenate([np.zeros((1, now.items)), np.cumsum(ahead, axis=0)])
        until = sums[goods.lead_days, np.arange(now.items)] * (cover / goods.lead_days)
        low = np.maximum(np.round(until + safety), 0)[:, None]
        return np.where(stocked, stock.short_of(now.shelf, low, low + quantity[:, None])[:, 0], 0).astype(float)

    return orders


def together(
    items: int = 200,
    days: int = 56,
    units_per_day: float = 3.0,
    shop: Path | str | None = None,
    holding_share: float = oracle.HOLDING_SHARE,
    lost_share: float = 0.25,
    order_cost: float = oracle.ORDER_COST,
) -> forms.Together:
    """The environment in which the orders for all products are one action."""
    costs = (holding_share, lost_share, order_cost)
    return forms.Together(Replenishment(assortment(items, units_per_day, shop), days, *costs))


def apart(
    num_envs: int = 200,
    days: int = 56,
    units_per_day: float = 3.0,
    shop: Path | str | None = None,
    holding_share: float = oracle.HOLDING_SHARE,
    lost_share: float = 0.25,
    order_cost: float = oracle.ORDER_COST,
    levels: int | None = None,
) -> forms.Apart:
    """The environments of each product; `levels` makes actions discrete."""
    costs = (holding_share, lost_share, order_cost)
    world = Replenishment(assortment(num_envs, units_per_day, shop), days, *costs)
    return forms.Apart(forms.as_many(num_envs, world), levels)
