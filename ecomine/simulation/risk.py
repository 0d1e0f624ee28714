"""Payments and who is behind them; charge-backs that come late; credit and who does not pay it back.

Thieves pay with stolen cards, rings share devices and addresses, some take over honest accounts, some open accounts
to use a welcome coupon again and again. Their tactics (hour, department, size, and whether cards are tested with small
sums first) change every `TACTIC_DAYS`. A fraud is told to the shop weeks later, or never.
"""

from dataclasses import dataclass

import numpy as np

from ecomine.params import SimulationParams
from ecomine.simulation import people, sessions
from ecomine.simulation.catalogue import Catalogue
from ecomine.simulation.people import ABUSER, HONEST, RING, THIEF, People
from ecomine.simulation.randomness import stream
from ecomine.simulation.sessions import TAKEOVER

TACTIC_DAYS = 45
MATURITY_DAYS = 90
"""A payment not complained of for so long is taken for honest."""

TOLD = {THIEF: 0.92, RING: 0.9, TAKEOVER: 0.95, ABUSER: 0.6}
"""Share of frauds of each kind that the shop ever hears of."""

KINDS = (*people.ROLES, "account take-over", "card testing")
"""Names of the kinds of payment, by number."""

TESTING = 5
METHODS = ("card", "wallet", "transfer", "credit")
METHOD_SHARE = (0.68, 0.18, 0.09, 0.05)
CREDIT_DAYS = 60
CARDS = 3
DEVICE_SHARED, CARD_SHARED = 0.5, 0.2
"""How often people of a household that shares use the device, and the card, of the first of them."""

DEVICE_POOL, ADDRESS_POOL = 40, 25
STRANGER = 10_000_000_000
"""Numbers from here on are devices, addresses and networks of nobody who is a customer."""


@dataclass(frozen=True)
class Tactic:
    """How fraud works for a while."""

    number: int
    takeover_share: float
    hour: float
    department: int
    extra_units: float
    tests_cards: bool
    picks_dear: float


def tactic(params: SimulationParams, goods: Catalogue, day: int) -> Tactic:
    """The tactic of a day, a function of the seed."""
    number = day // TACTIC_DAYS
    random = stream(params.seed, "tactic", number)
    return Tactic(
        number=number,
        takeover_share=params.fraud_share * float(random.uniform(0.05, 0.35)),
        hour=float(random.uniform(0, 24)),
        department=int(random.choice(np.unique(goods.department))),
        extra_units=float(random.uniform(0.2, 2.0)),
        tests_cards=bool(random.random() < 0.5),
        picks_dear=float(random.uniform(0.5, 2.0)),
    )


def loot(goods: Catalogue, live: np.ndarray, way: Tactic, count: int, random: np.random.Generator) -> np.ndarray:
    """What fraudsters order: products of the tactic's department, dear ones rather."""
    weight = goods.reference_price**way.picks_dear * live * np.where(goods.item_department == way.department, 1.0, 0.1)
    cumulative = np.cumsum(weight) / weight.sum()
    return np.minimum(np.searchsorted(cumulative, random.random(count), side="right"), goods.items - 1)


@dataclass(frozen=True)
class Payments:
    """Attempts to pay, one row each; `order` is the row of the order, -1 for tests of cards."""

    order: np.ndarray
    user: np.ndarray
    time: np.ndarray
    amount: np.ndarray
    method: np.ndarray
    card: np.ndarray
    device: np.ndarray
    network: np.ndarray
    address: np.ndarray
    kind: np.ndarray
    told_after_us: np.ndarray


def payments(
    folk: People,
    way: Tactic,
    user: np.ndarray,
    kind: np.ndarray,
    time: np.ndarray,
    amount: np.ndarray,
    random: np.random.Generator,
) -> Payments:
    """One attempt for each order (given by arrays), and small attempts before it where cards are tested."""
    count = len(user)
    method = random.choice(len(METHODS), count, p=METHOD_SHARE)
    method = np.where((kind != HONEST) & (kind != ABUSER), 0, method)
    card = user * CARDS + random.choice(CARDS, count, p=[0.85, 0.12, 0.03])
    device = user * 2 + (random.random(count) < 0.12)
    network = folk.household[user] * 2 + (random.random(count) < 0.25)
    address = folk.household[user].copy()
    # Drawn apart, so that all else of a shop stays as it is without sharing.
    own = random.spawn(1)[0].random((2, count))
    head = np.searchsorted(folk.household, folk.household[user])
    sharing = folk.shares[user] & (kind == HONEST)
    device = np.where(sharing & (own[0] < DEVICE_SHARED), head * 2, device)
    card = np.where(sharing & (own[1] < CARD_SHARED), head * CARDS, card)
    group = folk.group[user]
    # A ring works from two devices and one drop address; so do accounts that share a welcome.
    together = (group >= 0) & (kind != TAKEOVER)
    pool = STRANGER + group * 4
    device = np.where(together, pool + random.integers(0, 2, count), device)
    address = np.where(together, pool, address)
    network = np.where(together, pool + random.integers(0, 2, count), network)
    robbed = (kind == THIEF) | (kind == RING)
    card = np.where(robbed, random.integers(0, folk.users, count) * CARDS, card)
    taken_over = kind == TAKEOVER
    base = STRANGER * 2 + way.number * 1000
    device = np.where(taken_over, base + random.integers(0, DEVICE_POOL, count), device)
    address = np.where(taken_over, base + random.integers(0, ADDRESS_POOL, count), address)
    network = np.where(taken_over, base + random.integers(0, DEVICE_POOL, count), network)
    order = np.arange(count)
    tests = np.repeat(order[robbed], random.poisson(2.0, robbed.sum())) if way.tests_cards else order[:0]
    small = np.round(random.uniform(0.5, 2.5, len(tests)), 2)
    ahead = random.integers(5, 900, len(tests)) * sessions.SECOND_US
    first = np.concatenate([tests, order])
    told = _told_after(np.concatenate([kind[tests], kind]), random)
    return Payments(
        order=np.concatenate([np.full(len(tests), -1), order]),
        user=user[first],
        time=np.concatenate([np.maximum(time[tests] - ahead, 0), time + 2 * sessions.SECOND_US]),
        amount=np.concatenate([small, amount]),
        method=method[first],
        card=card[first],
        device=device[first],
        network=network[first],
        address=address[first],
        kind=np.concatenate([np.full(len(tests), TESTING), kind]),
        told_after_us=told,
    )


def _told_after(kind: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Microseconds until a fraud is told; -1 where it never is, or there is none."""
    days = 3.0 + random.gamma(3.0, 9.0, len(kind))
    share = np.array([TOLD.get(number, 0.0) for number in range(len(KINDS))])[kind]
    return np.where(random.random(len(kind)) < share, (days * sessions.DAY_US).astype(np.int64), -1)


def default_chance(folk: People, user: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """True probability that credit of `amount` is not paid back: by income, household and the sum."""
    score = -2.3 - 0.45 * folk.income[user] + 0.25 * (folk.household_size[user] - 1) + 0.6 * np.log1p(amount / 20.0)
    return 1.0 / (1.0 + np.exp(-score))
