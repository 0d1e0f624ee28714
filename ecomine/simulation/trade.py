"""From offers to order lines: what is taken at today's prices, what goes with it, who checks out, what stock allows."""

from dataclasses import dataclass

import numpy as np

from ecomine.params import SimulationParams
from ecomine.simulation import demand, sessions
from ecomine.simulation.catalogue import Catalogue
from ecomine.simulation.people import HONEST, MEMORY, People
from ecomine.simulation.prices import WeekPrices
from ecomine.simulation.sessions import SECOND_US, Offers, Visits
from ecomine.simulation.state import State
from ecomine.simulation.stock import Stock, allocate

CART_SECONDS, CHECKOUT_SECONDS = 6, 60
ADOPTION = 0.45
"""Share of newly found products that enter the memory."""


@dataclass(frozen=True)
class Market:
    """What a day asks and how much it is wanted, items × locations except `season` and `boost` (by item)."""

    asked: np.ndarray
    price: np.ndarray
    log_ratio: np.ndarray
    context: np.ndarray
    boost: np.ndarray
    season: np.ndarray

    def factor(self, folk: People, goods: Catalogue, item: np.ndarray, user: np.ndarray, place: np.ndarray):  # type: ignore[no-untyped-def]
        """Factor of demand by price, other prices, display and season, for each item, person and location."""
        sensitivity = demand.SENSITIVITY[folk.segment[user]]
        own = demand.response(self.log_ratio[item, place], goods.elasticity[item], sensitivity)
        return own * np.exp(self.context[item, place]) * self.boost[item] * self.season[item]

    def expected_factor(self, goods: Catalogue) -> np.ndarray:
        """Factor of demand averaged over people, items × locations."""
        own = demand.expected_response(self.log_ratio, goods.elasticity[:, None])
        return own * np.exp(self.context) * (self.boost * self.season)[:, None]


def market(
    params: SimulationParams, goods: Catalogue, week: WeekPrices, rivals: np.ndarray, live: np.ndarray, day: int
) -> Market:
    """What a day asks and how much it is wanted, at the prices of `week` and rivals' log prices (rivals × items)."""
    log_ratio = week.log_ratio(goods)
    context = demand.context(
        log_ratio, rivals.min(axis=0), goods.leaf, live, goods.cross, goods.complement, goods.complementary, goods.rival
    )
    season = demand.season(goods.item_department, sessions.day_of_year(params, day))
    return Market(week.asked, week.price, log_ratio, context, week.boost(), season)


@dataclass(frozen=True)
class Lines:
    """What people wanted to buy at the checkout, one row each, and whether stock allowed it.

    `time` is that of the checkout, `first` the row of the offer that the line goes back to.
    """

    visit: np.ndarray
    item: np.ndarray
    time: np.ndarray
    units: np.ndarray
    served: np.ndarray
    first: np.ndarray

    def where(self, chosen: np.ndarray) -> "Lines":
        return Lines(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def taken(
    folk: People, goods: Catalogue, market: Market, trips: Visits, offers: Offers, random: np.random.Generator
) -> np.ndarray:
    """Which offers go into the cart. In a visit a product is decided on once, when it is first looked at."""
    user, place = trips.user[offers.visit], trips.location[offers.visit]
    factor = market.factor(folk, goods, offers.item, user, place)
    base = sessions.BASE[offers.source]
    chance = np.where(offers.source == sessions.FRAUD, base, demand.probability(base, factor))
    _, first = np.unique(offers.visit * goods.items + offers.item, return_index=True)
    once = np.zeros(len(offers), bool)
    once[first] = True
    return once & (random.random(len(offers)) < chance)


def completed(
    goods: Catalogue, live: np.ndarray, offers: Offers, took: np.ndarray, random: np.random.Generator
) -> Offers:
    """Offers of what goes with those that were taken, where the visit has not come upon it by itself."""
    more = took & (random.random(len(offers)) < sessions.COMPLEMENT_SHARE) & live[goods.complement[offers.item]]
    more &= offers.source < sessions.COMPLEMENT
    wanted = offers.visit * goods.items + goods.complement[offers.item]
    chosen = offers.where(more & ~np.isin(wanted, offers.visit * goods.items + offers.item))
    zeros = np.zeros(len(chosen), np.int64)
    item = goods.complement[chosen.item]
    return Offers(chosen.visit, item, chosen.time + 10 * SECOND_US, zeros + sessions.COMPLEMENT, zeros, zeros - 1)


def checkout(
    goods: Catalogue,
    trips: Visits,
    offers: Offers,
    took: np.ndarray,
    leaves: np.ndarray,
    stock: Stock,
    fraud_units: float,
    random: np.random.Generator,
) -> Lines:
    """The lines wanted by visits that check out (all but those that `leaves` tells), served first come first served.

    A product taken twice in a visit is one line, of its first offer. `stock.on_hand` falls by what is served.
    """
    row = np.flatnonzero(took & ~leaves[offers.visit])
    key = offers.visit[row].astype(np.int64) * goods.items + offers.item[row]
    _, first = np.unique(key, return_index=True)
    row = row[first]
    visit, item = offers.visit[row], offers.item[row]
    extra = np.where(trips.kind[visit] == HONEST, goods.extra_units[item], fraud_units)
    units = demand.units(extra, random)
    last = np.full(len(trips), 0, np.int64)
    np.maximum.at(last, offers.visit, offers.time)
    time = last[visit] + CHECKOUT_SECONDS * SECOND_US
    served = allocate(stock, item, trips.location[visit], time, units)
    return Lines(visit, item, time, units, served, row)


def remember(state: State, trips: Visits, offers: Offers, lines: Lines, random: np.random.Generator) -> None:
    """Bring the memories of `state` up to date (in place) with the day's offers and the served lines.

    A need that was looked into is quiet for a while, bought or not: so how often people look does not depend on what
    things cost, and demand follows the law of prices. Some newly found products enter the memory.
    """
    day = state.day
    known = offers.slot >= 0
    state.memory_day[trips.user[offers.visit[known]], offers.slot[known]] = day
    user, item, slot = trips.user[lines.visit], lines.item, offers.slot[lines.first]
    again = slot >= 0
    state.memory_bought[user[again], slot[again]] = day
    new = ~again & (random.random(len(user)) < ADOPTION)
    user, item = user[new], item[new]
    if not len(user):
        return
    order = np.argsort(user, kind="stable")
    user, item = user[order], item[order]
    first = np.flatnonzero(np.diff(user, prepend=-1) != 0)
    count = np.diff(np.append(first, len(user)))
    rank = np.arange(len(user)) - np.repeat(first, count)
    at = (state.memory_place[user] + rank) % MEMORY
    state.memory_item[user, at] = item
    state.memory_day[user, at] = day
    state.memory_bought[user, at] = day
    state.memory_place[user[first]] = (state.memory_place[user[first]] + count) % MEMORY
