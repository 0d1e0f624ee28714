"""What to bid for this contact; the reward is what the contacts won bring, less what they cost.

Each row is a campaign for one product, with a budget for the day. At each step one person of the shop comes by for each
campaign; rivals bid, people click and buy by the laws of the shop's own campaigns. A campaign whose budget a win would
exceed bids no more.
"""

from pathlib import Path

import numpy as np

from ecomine.params import SimulationParams
from ecomine.simulation import ads, oracle
from ecomine.simulation.environments import forms
from ecomine.simulation.environments.assortment import Assortment, assortment
from ecomine.simulation.people import HONEST, people
from ecomine.simulation.randomness import stream
from ecomine.simulation.sessions import HOUR

HIGHEST_BID = 0.5
AUDIENCE = 2000
"""People among whom contacts are drawn."""

FORGETTING = 0.9
"""Weight of the past in the recent share of wins."""

BUDGET_SHARE = 0.35
"""Default budget: the rivals' median bid for such a share of the contacts; campaigns differ by half of it."""

SCENARIOS = 64
"""People by whom the oracle knows what contacts of a campaign are worth."""

MULTIPLIERS = np.concatenate([[1.0], 0.85 ** np.arange(1, 40), [0.0]])
"""Factors by which the oracle may hold back."""


class Bidding:
    """The world of `auctions` contacts a campaign and day; an amount is a bid in money."""

    features = {  # noqa: RUF012
        "budget_left": (0.0, 1.0),
        "time_left": (0.0, 1.0),
        "hour_sine": (-1.0, 1.0),
        "hour_cosine": (-1.0, 1.0),
        "worth": (0.0, 20.0),
        "click_chance": (0.0, 1.0),
        "recent_wins": (0.0, 1.0),
        "recent_price": (0.0, 1.0),
        "coupon": (0.0, 1.0),
    }
    """`worth` and `recent_price` are shares of the highest bid."""

    def __init__(
        self, shop: Assortment, auctions: int = 96, budget: float | None = None, first_price: bool = False
    ) -> None:
        self.shop, self.items, self.steps, self.first_price = shop, shop.items, auctions, first_price
        goods = shop.goods
        self.folk = people(SimulationParams(users=AUDIENCE, items=goods.items, seed=shop.params.seed), goods)
        self.honest = np.flatnonzero(self.folk.role == HONEST)
        self.coupon = np.arange(shop.items) % len(ads.KINDS) == ads.KINDS.index("coupon")
        price = goods.reference_price * np.where(self.coupon, 1 - ads.COUPON_DEPTH, 1.0)
        self.margin = price - goods.cost
        self.mean_budget = BUDGET_SHARE * auctions * ads.RIVAL_BID_MEDIAN if budget is None else budget
        # Hours of the day by equal shares of its traffic.
        shares = np.concatenate([[0.0], np.cumsum(HOUR) / HOUR.sum()])
        self.hour = np.interp((np.arange(auctions + 1) + 0.5) / (auctions + 1), shares, np.arange(25))

    def begin(self, episode: int) -> forms.Info:
        self.random = stream(episode, "contacts")
        self.budget = self.mean_budget * self.random.uniform(0.5, 1.5, self.items)
        self.spent = np.zeros(self.items)
        self.over = np.zeros(self.items, bool)
        self.recent_wins, self.recent_price = np.zeros(self.items), np.zeros(self.items)
        self.step = 0
        self._contact()
        return {"budget": self.budget.copy()}

    def _contact(self) -> None:
        user = self.honest[self.random.integers(0, len(self.honest), self.items)]
        every = np.arange(self.items)
        self.click_chance, self.take_chance = ads.chance(self.folk, self.shop.goods, user, every, self.coupon)

    @property
    def worth(self) -> np.ndarray:
        """What the contact at hand is expected to bring: the rise of the chance of a sale times its margin."""
        return oracle.bid(oracle.uplift(self.click_chance, self.take_chance, np.zeros(self.items)), self.margin)

    def decide(self, amount: np.ndarray) -> tuple[np.ndarray, forms.Info]:
        rival = ads.rival_bids(self.items, self.random)
        won, price = ads.auction(np.where(self.over, 0.0, amount), rival, self.first_price)
        self.over |= won & (self.spent + price > self.budget)
        won &= ~self.over
        clicked = won & (self.random.random(self.items) < self.click_chance)
        sold = clicked & (self.random.random(self.items) < self.take_chance)
        cost = np.where(won, price, 0.0)
        self.spent = self.spent + cost
        self.recent_wins = FORGETTING * self.recent_wins + (1 - FORGETTING) * won
        self.recent_price = np.where(
            won, FORGETTING * self.recent_price + (1 - FORGETTING) * price / HIGHEST_BID, self.recent_price
        )
        told = {"won": won, "clicked": clicked, "sold": sold, "cost": cost, "worth": self.worth, "rival_bid": rival}
        self.step += 1
        self._contact()
        return self.margin * sold - cost, told

    def observe(self) -> np.ndarray:
        turn = 2 * np.pi * self.hour[self.step] / 24
        rows = [
            1 - self.spent / self.budget,
            np.full(self.items, 1 - self.step / self.steps),
            np.full(self.items, np.sin(turn)),
            np.full(self.items, np.cos(turn)),
            self.worth / HIGHEST_BID,
            self.click_chance,
            self.recent_wins,
            self.recent_price,
            self.coupon,
        ]
        return np.stack(rows, axis=1)

    def amount(self, share: np.ndarray) -> np.ndarray:
        # Squared: small bids need finer steps than large ones.
        return np.round(HIGHEST_BID * np.asarray(share, float) ** 2, 4)

    def share(self, amount: np.ndarray) -> np.ndarray:
        return np.sqrt(np.clip(np.asarray(amount) / HIGHEST_BID, 0, 1))


def market_bid(world: Bidding) -> np.ndarray:
    """The plain policy: bids what rivals bid in the middle, and never more than the contact is worth."""
    return np.minimum(world.worth, ads.RIVAL_BID_MEDIAN)


def worth(world: Bidding) -> np.ndarray:
    """Bids what the contact is worth: the best in second-price auctions while money does not matter."""
    return np.minimum(world.worth, HIGHEST_BID)


def paced(world: Bidding) -> forms.Policy:
    """The oracle: bids the best for the worth, held back by a factor so that the budget lasts to the evening.

    Who knows the rivals' distribution and what contacts are worth finds for each campaign the factor at which expected
    spending on the contacts to come is the money left. Source: Balseiro, Besbes and Weintraub, Repeated auctions with
    budgets in ad exchanges (2015), the fluid approximation; the factor is 1 / (1 + the multiplier of the budget).
    """
    market = (ads.RIVAL_BID_MEDIAN, ads.RIVAL_BID_SPREAD)
    random = stream(world.shop.params.seed, "scenarios")
    every = np.arange(world.items)
    value = np.empty((world.items, SCENARIOS))
    for number in range(SCENARIOS):
        user = world.honest[random.integers(0, len(world.honest), world.items)]
        click, take = ads.chance(world.folk, world.shop.goods, user, every, world.coupon)
        value[:, number] = oracle.bid(oracle.uplift(click, take, np.zeros(world.items)), world.margin)

    def best(worths: np.ndarray) -> np.ndarray:
        return oracle.first_price_bid(worths, *market) if world.first_price else worths

    spend = np.stack(
        [oracle.expected_spend(best(factor * value), *market, world.first_price).mean(axis=1) for factor in MULTIPLIERS]
    )

    def bids(now: Bidding) -> np.ndarray:
        left = (now.budget - now.spent) / (now.steps - now.step)
        # Spending falls with the factor's number: the last one that spends too much, and the first that does not.
        after = np.clip((spend > left).sum(axis=0), 1, len(MULTIPLIERS) - 1)
        high, low = spend[after - 1, every], spend[after, every]
        part = np.clip((high - left) / np.maximum(high - low, 1e-12), 0, 1)
        factor = np.where(spend[0] <= left, 1.0, MULTIPLIERS[after - 1] * (1 - part) + MULTIPLIERS[after] * part)
        return np.minimum(best(factor * now.worth), HIGHEST_BID)

    return bids


def together(
    items: int = 200,
    auctions: int = 96,
    budget: float | None = None,
    first_price: bool = False,
    shop: Path | str | None = None,
) -> forms.Together:
    """The environment in which the bids of all campaigns are one action."""
    return forms.Together(Bidding(assortment(items, shop=shop), auctions, budget, first_price))


def apart(
    num_envs: int = 200,
    auctions: int = 96,
    budget: float | None = None,
    first_price: bool = False,
    shop: Path | str | None = None,
    levels: int | None = None,
) -> forms.Apart:
    """The environments of each campaign; `levels` makes actions discrete."""
    world = Bidding(assortment(num_envs, shop=shop), auctions, budget, first_price)
    return forms.Apart(forms.as_many(num_envs, world), levels)
