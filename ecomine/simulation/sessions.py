"""Visits: who comes today and when, what they look for, what they are shown, what they open and put in the cart.

A visit is a list of needs. A need is met from memory (a product bought before, that may be due again) or by a search:
a page of a category, in the shop's order or, for a known share of pages, in random order. What is looked at (by
position), found relevant (by taste) and opened becomes an offer; an offer is taken or not (by price).
"""

from dataclasses import dataclass, replace

import numpy as np

from ecomine.params import SimulationParams
from ecomine.simulation import demand
from ecomine.simulation.catalogue import Catalogue, Shelves
from ecomine.simulation.people import HONEST, People

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
NEED_SECONDS = 25
MOST_NEEDS = 150
WEEKDAY = np.array([0.985, 0.938, 0.923, 0.935, 0.967, 1.110, 1.142])
"""Visits by day of the week, from Monday, against the mean."""

HOUR = np.array([7, 4, 4, 2, 1, 2, 7, 14, 21, 30, 45, 60, 67, 68, 71, 77, 90, 100, 94, 79, 65, 48, 30, 15], float)
"""Visits by hour of the day."""

SEARCH, REORDER, COMPLEMENT, ADVERT, FRAUD, IDLE = range(6)
"""Where an offer came from; idle are those a search brought up of what is known and not needed again yet."""

BASE = np.array([0.4, 0.4, 0.4, 0.0, 1.0, 0.0])
"""Probability that an offer is taken at reference prices, by where it came from; an advert brings its own."""

REORDER_SHARE = 0.28
SECOND_PAGE_SHARE = 0.25
FAVOURITE_SHARE = 0.5
COMPLEMENT_SHARE = 0.12
CHECKOUT = 0.9
TAKEOVER = 4
"""Kind of a visit by somebody who took over an honest account; other kinds are the roles of people."""


@dataclass(frozen=True)
class Visits:
    """Visits by number, in order of their start (microseconds since midnight of the day).

    `elsewhere` tells those that only a click on an ad elsewhere on the web brings.
    """

    user: np.ndarray
    start: np.ndarray
    kind: np.ndarray
    needs: np.ndarray
    location: np.ndarray
    elsewhere: np.ndarray

    def part(self, first: int, last: int) -> "Visits":
        return Visits(*(getattr(self, name)[first:last] for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.user)

    def with_more(self, more: "Visits") -> "Visits":
        """These visits and `more`, in order of their start."""
        order = np.argsort(np.concatenate([self.start, more.start]), kind="stable")
        names = self.__dataclass_fields__
        return Visits(*(np.concatenate([getattr(self, name), getattr(more, name)])[order] for name in names))

    def taking_place(self, brought: np.ndarray) -> "Visits":
        """The visits once it is known which of those elsewhere an ad has brought; the others look for nothing."""
        return replace(self, needs=np.where(self.elsewhere & ~brought, 0, self.needs))


def day_of_year(params: SimulationParams, day: int) -> int:
    """Days since New Year."""
    return (params.start.timetuple().tm_yday - 1 + day) % 365


def weekday(params: SimulationParams, day: int) -> int:
    """Day of the week, 0 for Monday."""
    return (params.start.weekday() + day) % 7


def day_factor(params: SimulationParams, day: int) -> float:
    """How many visits a day draws against the mean: by weekday and by season, fullest before Christmas."""
    of_year = day_of_year(params, day)
    christmas = 0.25 * np.exp(-(((of_year - 350) / 10.0) ** 2))
    return float(WEEKDAY[weekday(params, day)] * (1.0 + 0.05 * np.cos(2 * np.pi * (of_year - 340) / 365) + christmas))


def visits(
    params: SimulationParams, folk: People, day: int, takeovers: float, fraud_hour: float, random: np.random.Generator
) -> Visits:
    """The visits of a day. `takeovers` is the expected share of visits by thieves of accounts."""
    honest = folk.role == HONEST
    rate = np.where(folk.active(day), folk.rate * np.where(honest, day_factor(params, day), 1.0), 0.0)
    user = np.repeat(np.arange(folk.users), random.poisson(rate))
    kind = folk.role[user]
    customers = user[kind == HONEST]
    stolen = random.binomial(len(customers), takeovers)
    victims = customers[random.integers(0, max(len(customers), 1), stolen)] if stolen else customers[:0]
    user, kind = np.concatenate([user, victims]), np.concatenate([kind, np.full(stolen, TAKEOVER)])
    count = len(user)
    hour = hours_of_day(count, random)
    hour = np.where(kind != HONEST, (fraud_hour + random.normal(0, 2.0, count)) % 24, hour)
    wanted = params.needs_per_visit * folk.basket[user] * np.exp(random.normal(0, 1.2, count))
    wanted = np.where(kind != HONEST, 1 + random.integers(0, 3, count), wanted)
    needs = np.clip(np.floor(wanted + random.random(count)), 1, MOST_NEEDS).astype(int)
    start = _starts(hour)
    location = np.where(kind == TAKEOVER, random.integers(0, params.locations, count), folk.location[user])
    order = np.argsort(start, kind="stable")
    return Visits(user[order], start[order], kind[order], needs[order], location[order], np.zeros(count, bool))


def hours_of_day(count: int, random: np.random.Generator) -> np.ndarray:
    """When people are there, in hours since midnight."""
    return random.choice(24, count, p=HOUR / HOUR.sum()) + random.random(count)


def moments_of_day(count: int, random: np.random.Generator) -> np.ndarray:
    """When people are there, as starts of visits."""
    return _starts(hours_of_day(count, random))


def _starts(hour: np.ndarray) -> np.ndarray:
    # A visit ends on the day it began.
    return np.minimum((hour * 3600).astype(np.int64), 86_400 - (NEED_SECONDS * MOST_NEEDS + 600)) * SECOND_US


@dataclass(frozen=True)
class Pages:
    """Searches and what they showed: `visit`, `leaf`, `time` and `random` by search; the others by impression.

    `time` counts as in Visits. `propensity` is the probability with which the item got its position.
    """

    visit: np.ndarray
    leaf: np.ndarray
    time: np.ndarray
    random: np.ndarray
    search: np.ndarray
    item: np.ndarray
    position: np.ndarray
    propensity: np.ndarray


@dataclass(frozen=True)
class Offers:
    """Items looked at closely, one row each: visit, item, time, where from, position (0 without) and place in the
    person's memory (-1 without)."""

    visit: np.ndarray
    item: np.ndarray
    time: np.ndarray
    source: np.ndarray
    position: np.ndarray
    slot: np.ndarray

    def __len__(self) -> int:
        return len(self.visit)

    def where(self, chosen: np.ndarray) -> "Offers":
        return Offers(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    @staticmethod
    def joined(parts: list["Offers"]) -> "Offers":
        return Offers(*(np.concatenate([getattr(p, n) for p in parts]) for n in Offers.__dataclass_fields__))


def needs(trips: Visits) -> tuple[np.ndarray, np.ndarray]:
    """Visit and time of each need."""
    visit = np.repeat(np.arange(len(trips)), trips.needs)
    place = np.arange(len(visit)) - np.repeat(np.cumsum(trips.needs) - trips.needs, trips.needs)
    # Who comes by an ad looks at its product first.
    place += trips.elsewhere[visit]
    return visit, trips.start[visit] + place * (NEED_SECONDS * SECOND_US)


def pages(
    params: SimulationParams,
    folk: People,
    goods: Catalogue,
    rows: Shelves,
    weight: np.ndarray,
    trips: Visits,
    visit: np.ndarray,
    time: np.ndarray,
    random: np.random.Generator,
) -> Pages:
    """The pages that searches (a visit and a time each) bring up; `weight` says how much each leaf is wanted today."""
    count, user = len(visit), trips.user[visit]
    cumulative = np.cumsum(weight) / weight.sum()
    common = np.minimum(np.searchsorted(cumulative, random.random(count), side="right"), len(weight) - 1)
    width = folk.favourites.shape[1]
    own = folk.favourites[user, (width * random.random(count) ** 1.3).astype(int)]
    leaf = np.where(random.random(count) < FAVOURITE_SHARE, own, common)
    size = params.page_size
    length = rows.count[leaf]
    second = (random.random(count) < SECOND_PAGE_SHARE) & (length > size)
    shuffled = random.random(count) < params.random_page_share
    place = np.where(second, size, 0)[:, None] + np.arange(size)
    shown = place < length[:, None]
    policy = rows.item[np.minimum(rows.start[leaf][:, None] + place, len(rows.item) - 1)]
    item = policy.copy()
    mixed = np.flatnonzero(shuffled)
    if len(mixed):
        order = _shuffle(length[mixed], random)
        drawn = order[np.arange(len(mixed))[:, None], np.minimum(place[mixed], order.shape[1] - 1)]
        item[mixed] = rows.item[np.minimum(rows.start[leaf[mixed]][:, None] + drawn, len(rows.item) - 1)]
    share = params.random_page_share
    propensity = np.where(item == policy, 1 - share, 0.0) + share / np.maximum(length, 1)[:, None]
    search, _ = np.nonzero(shown)
    return Pages(visit, leaf, time, shuffled, search, item[shown], place[shown] + 1, propensity[shown])


def _shuffle(length: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Rows of random permutations of 0 … length - 1, each filled up with what is beyond."""
    width = int(length.max())
    keys = random.random((len(length), width), dtype=np.float32)
    keys[np.arange(width) >= length[:, None]] = 2.0
    return np.argsort(keys, axis=1)


def due(since: np.ndarray, gap_days: np.ndarray) -> np.ndarray:
    """Probability that a product is needed again so many days after the need was last looked into."""
    return 1 - np.exp(-((since / gap_days) ** 1.5))


def opened(
    folk: People,
    goods: Catalogue,
    trips: Visits,
    shown: Pages,
    memory_item: np.ndarray,
    memory_day: np.ndarray,
    day: int,
    random: np.random.Generator,
) -> Offers:
    """The impressions that are looked at and found relevant; what is remembered is not needed before it is due."""
    looked = np.flatnonzero(random.random(len(shown.item)) < demand.examination(shown.position))
    item, search = shown.item[looked], shown.search[looked]
    user = trips.user[shown.visit[search]]
    affinity = np.einsum("ij,ij->i", folk.taste[user], goods.taste[item])
    liked = random.random(len(looked)) < demand.relevance(affinity, goods.appeal[item])
    search, item, position, user = search[liked], item[liked], shown.position[looked[liked]], user[liked]
    same = memory_item[user] == item[:, None]
    slot = np.where(same.any(axis=1), same.argmax(axis=1), -1)
    again = random.random(len(item)) < due(np.maximum(day - memory_day[user, slot], 0), goods.gap_days[item])
    needed = (slot < 0) | again
    source, slot = np.where(needed, SEARCH, IDLE), np.where(needed, slot, -1)
    time = shown.time[search] + (2 + position) * SECOND_US
    return Offers(shown.visit[search], item, time, source, position, slot)


def remembered(
    trips: Visits,
    visit: np.ndarray,
    time: np.ndarray,
    memory_item: np.ndarray,
    memory_day: np.ndarray,
    gap_days: np.ndarray,
    live: np.ndarray,
    day: int,
    random: np.random.Generator,
) -> Offers:
    """Needs met from memory: a product bought before, where it is still sold and due again."""
    user = trips.user[visit]
    slot = random.integers(0, memory_item.shape[1], len(visit))
    item = memory_item[user, slot]
    since = day - memory_day[user, slot]
    again = random.random(len(visit)) < due(since, gap_days[item])
    use = (item >= 0) & live[item] & again
    # Somebody with a short memory tries another place of it.
    item = item[use].astype(np.int64)
    zeros = np.zeros(len(item), np.int64)
    return Offers(visit[use], item, time[use] + SECOND_US, zeros + REORDER, zeros, slot[use])
