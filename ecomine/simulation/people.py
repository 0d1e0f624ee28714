"""Who comes: tastes, lives, habits, sensitivity to prices, homes and ties. Drawn once, an entry a person.

Visits follow "buy till you die": while a customer is active, visits are a Poisson process of the customer's own rate,
gamma distributed over the people of a kind; the active time is exponential. Source: Fader, Hardie and Lee, Counting
your customers the easy way (2005).
"""

from dataclasses import dataclass, replace

import numpy as np

from ecomine.params import SimulationParams
from ecomine.simulation import kinds
from ecomine.simulation.catalogue import TASTES, Catalogue
from ecomine.simulation.randomness import stream

FAVOURITES = 30
"""Categories that a person looks into by habit."""

MEMORY = 32
"""Products that a person remembers and buys again."""

MEAN_LIFE_DAYS = 700.0
CHUNK = 50_000
HONEST, THIEF, RING, ABUSER = range(4)
ROLES = ("honest", "stolen cards", "ring", "promotion abuse")
DEVICES = ("desktop", "mobile", "tablet", "app")
REFERRERS = ("direct", "search engine", "newsletter", "social media", "partner", "ad", "reorder list")
AGES = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
INCOMES = ("under 15K", "15-35K", "35-50K", "50-75K", "75-100K", "over 100K")


@dataclass(frozen=True)
class People:
    """Arrays by person; days count from the shop's first, `end_day` is the first day of no more visits.

    shares: whether those of the household use one another's devices and cards.
    """

    signup_day: np.ndarray
    end_day: np.ndarray
    kind: np.ndarray
    rate: np.ndarray
    segment: np.ndarray
    taste: np.ndarray
    favourites: np.ndarray
    location: np.ndarray
    household: np.ndarray
    household_size: np.ndarray
    age: np.ndarray
    income: np.ndarray
    consent: np.ndarray
    device: np.ndarray
    referrer: np.ndarray
    basket: np.ndarray
    role: np.ndarray
    group: np.ndarray
    shares: np.ndarray

    @property
    def users(self) -> int:
        return len(self.rate)

    def active(self, day: int) -> np.ndarray:
        return (self.signup_day <= day) & (day < self.end_day)


def people(params: SimulationParams, goods: Catalogue) -> People:
    """Everybody who may ever come. Signups do not depend on the number of days, so that a shop can be continued."""
    random = stream(params.seed, "people")
    users = params.users
    household, household_size = _households(random, users)
    homes = int(household.max()) + 1
    before = random.random(users) < 0.75
    signup = np.where(before, -1 - random.integers(0, 1000, users), random.exponential(300, users).astype(int))
    life = np.maximum(np.ceil(random.exponential(MEAN_LIFE_DAYS, users)).astype(int), 2)
    own = kinds.habits(stream(params.seed, "kinds"), users)
    # Nobody visits more often than every few hours.
    rate = np.minimum(own.rate * params.visits_per_year / 365.25, 4.0)
    role, group = _fraudsters(random, users, params.fraud_share)
    crook = role != HONEST
    signup = np.where(crook, random.exponential(200, users).astype(int), signup)
    # A ring opens its accounts within a few days.
    opened = random.exponential(200, users).astype(int)
    signup = np.where(group >= 0, opened[np.maximum(group, 0)] + random.integers(0, 6, users), signup)
    life = np.where(crook, random.integers(20, 90, users), life)
    rate = np.where(crook, random.uniform(0.05, 0.25, users), rate)
    return People(
        signup_day=signup,
        end_day=np.maximum(signup, 0) + life,
        kind=own.kind,
        rate=rate,
        segment=own.segment,
        taste=(taste := random.normal(0, 1, (users, TASTES)).astype(np.float32)),
        favourites=_favourites(random, taste, goods),
        location=random.choice(params.locations, homes, p=_shares(params.locations))[household],
        household=household,
        household_size=household_size,
        age=random.integers(0, len(AGES), users),
        income=random.choice(len(INCOMES), homes, p=[0.1, 0.22, 0.22, 0.24, 0.14, 0.08])[household],
        consent=random.random(users) < 0.8,
        device=random.choice(len(DEVICES), users, p=[0.4, 0.35, 0.07, 0.18]),
        referrer=random.choice(5, users, p=[0.45, 0.25, 0.15, 0.1, 0.05]),
        basket=own.basket,
        role=role,
        group=group,
        shares=(stream(params.seed, "sharing").random(homes) < params.household_sharing)[household],
    )


def after_taste_change(params: SimulationParams, goods: Catalogue, folk: People) -> tuple[People, np.ndarray]:
    """The same people with the tastes and habitual categories of later, and who has new ones.

    From `params.taste_change_day` on; what people remember of earlier purchases stays with them.
    """
    random = stream(params.seed, "taste change")
    changes = random.random(folk.users) < params.taste_change_share
    new = random.normal(0, 1, folk.taste.shape).astype(np.float32)
    taste = np.where(changes[:, None], new, folk.taste)
    favourites = np.where(changes[:, None], _favourites(random, taste, goods), folk.favourites)
    return replace(folk, taste=taste, favourites=favourites), changes


def _households(random: np.random.Generator, users: int) -> tuple[np.ndarray, np.ndarray]:
    sizes = random.choice([1, 2, 3, 4], users, p=[0.62, 0.25, 0.08, 0.05])
    household = np.repeat(np.arange(users), sizes)[:users]
    return household, np.bincount(household)[household]


def _fraudsters(random: np.random.Generator, users: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Role of each account, and for accounts that work together the number of their first one, else -1."""
    role = np.where(random.random(users) < share / 3, THIEF, HONEST)
    group = np.full(users, -1)
    for kind in (RING, ABUSER):
        size = 6
        starts = np.flatnonzero(random.random(users) < share / 3 / size)
        member = (starts[:, None] + np.arange(size)).ravel()
        leader = np.repeat(starts, size)
        inside = member < users
        role[member[inside]], group[member[inside]] = kind, leader[inside]
    return role, group


def _favourites(random: np.random.Generator, taste: np.ndarray, goods: Catalogue) -> np.ndarray:
    """For each person the categories nearest to their taste among some that popularity drew."""
    users, width = len(taste), min(FAVOURITES, goods.leaves)
    cumulative = np.cumsum(goods.leaf_weight) / goods.leaf_weight.sum()
    found = np.empty((users, width), np.int32)
    for start in range(0, users, CHUNK):
        part = taste[start : start + CHUNK]
        drawn = np.searchsorted(cumulative, random.random((len(part), 3 * width)), side="right")
        drawn = np.minimum(drawn, goods.leaves - 1)
        liking = np.einsum("uk,ulk->ul", part, goods.leaf_taste[drawn])
        best = np.argsort(-liking, axis=1, kind="stable")[:, :width]
        found[start : start + CHUNK] = np.take_along_axis(drawn, best, axis=1)
    return found


def _shares(count: int) -> np.ndarray:
    share = 1.0 / np.arange(1, count + 1) ** 0.7
    return share / share.sum()


def first_memory(params: SimulationParams, folk: People, goods: Catalogue) -> tuple[np.ndarray, np.ndarray]:
    """What people bought elsewhere before: product and day (before 0) of the first half of their memories.

    Two arrays people × MEMORY; -1 stands for nothing yet.
    """
    random = stream(params.seed, "memory")
    users, half = folk.users, MEMORY // 2
    order = np.lexsort((-goods.guess, goods.leaf))
    count = np.bincount(goods.leaf, minlength=goods.leaves)
    start = np.cumsum(count) - count
    item = np.full((users, MEMORY), -1, np.int32)
    day = np.full((users, MEMORY), -1, np.int32)
    which = (folk.favourites.shape[1] * random.random((users, half)) ** 1.5).astype(int)
    leaf = np.take_along_axis(folk.favourites, which, axis=1)
    place = (count[leaf] * random.random((users, half)) ** 2.5).astype(int)
    item[:, :half] = order[start[leaf] + place]
    day[:, :half] = -random.integers(0, 90, (users, half))
    return item, day


def ties(params: SimulationParams, folk: People) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Person, other person and kind (0 household, 1 friend, 2 shared address), both ways, sorted, each once."""
    random = stream(params.seed, "ties")
    number = np.arange(folk.users)
    pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for kind, cluster in ((0, folk.household), (2, folk.group)):
        for step in (1, 2, 3, 4, 5):
            left = number[: max(folk.users - step, 0)]
            same = (cluster[left] == cluster[left + step]) & (cluster[left] >= 0)
            pairs.append((left[same], left[same] + step, np.full(same.sum(), kind)))
    friends = random.integers(0, folk.users, (2, int(1.5 * folk.users)))
    friends = friends[:, friends[0] != friends[1]]
    pairs.append((friends[0], friends[1], np.full(friends.shape[1], 1)))
    one, other, which = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    both = np.stack([np.concatenate([one, other]), np.concatenate([other, one]), np.concatenate([which, which])])
    unique = np.unique(both, axis=1)
    return unique[0], unique[1], unique[2]
