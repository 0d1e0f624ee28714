"""Campaigns: whom a known policy would reach, who is held out, what an auction costs, what a contact changes.

On a visit one running campaign may bid for a place, and so it may elsewhere on the web, for some of the customers who
do not visit today. Where the bid beats the rivals' highest, the place is the campaign's at their price (second price).
Then two coins are thrown, both known to the shop: is the person held out of the campaign (for as long as it runs), and
does the policy show the ad to people such as this one? `propensity` is the probability of both going well. Only then
the ad is shown; otherwise the contact is recorded as held back. A click on an ad elsewhere brings a visit that would
not have been: all that happens in it is the ad's doing.
"""

from dataclasses import dataclass

import numpy as np

from ecomine.params import SimulationParams
from ecomine.simulation import demand
from ecomine.simulation.catalogue import Catalogue
from ecomine.simulation.people import HONEST, People
from ecomine.simulation.randomness import stream
from ecomine.simulation.sessions import SECOND_US, Visits, moments_of_day

EVERY_DAYS, LASTS_DAYS = 14, 28
KINDS = ("display", "coupon")
COUPON_DEPTH = 0.15
CREATIVES = 2
RECENT_DAYS = 10
SHOWN_TO_RECENT, SHOWN_TO_OTHERS = 0.5, 0.8
"""The policy: how often a winning ad is shown to who bought within RECENT_DAYS, and to others."""

RIVAL_BID_MEDIAN, RIVAL_BID_SPREAD = 0.035, 0.6
PLACES = 3
ELSEWHERE_SHARE = 0.08
"""Share of the customers without a visit today who could see an ad elsewhere."""

ELSEWHERE_CLICK = 0.35
"""How often an ad is clicked elsewhere, against the shop's own pages."""

ELSEWHERE_NEEDS = 1.5
"""Things looked for, on average, in a visit that an ad brought, beside the advertised product."""


@dataclass(frozen=True)
class Campaign:
    """One campaign: it advertises one product; days count from the shop's first, money is the shop's."""

    number: int
    kind: int
    first_day: int
    item: int
    budget: float
    bid: float

    @property
    def end_day(self) -> int:
        return self.first_day + LASTS_DAYS


def campaign(params: SimulationParams, goods: Catalogue, number: int) -> Campaign:
    """The campaign of a number, a function of the seed: of a well-known product that is on sale as it runs."""
    random = stream(params.seed, "campaign", number)
    first = number * EVERY_DAYS
    fit = goods.live(first) & goods.live(first + LASTS_DAYS)
    best = np.flatnonzero(fit)[np.argsort(-goods.guess[fit], kind="stable")][: max(5, fit.sum() // 10)]
    weekly_visits = params.users * params.visits_per_year / 52
    return Campaign(
        number=number,
        kind=int(number % len(KINDS)),
        first_day=first,
        item=int(random.choice(best)),
        budget=round(float(weekly_visits * 0.05 * random.uniform(0.4, 1.2)), 2),
        bid=round(float(random.uniform(0.03, 0.09)), 4),
    )


def running(params: SimulationParams, goods: Catalogue, day: int) -> list[Campaign]:
    """The campaigns of a day, oldest first."""
    last = day // EVERY_DAYS
    found = [campaign(params, goods, number) for number in range(max(0, last - LASTS_DAYS // EVERY_DAYS), last + 1)]
    return [one for one in found if one.first_day <= day < one.end_day]


def held_out(params: SimulationParams, users: int, number: int) -> np.ndarray:
    """Who is held out of a campaign, an entry a person; the same on all its days."""
    return stream(params.seed, "held out", number).random(users) < params.holdout_share


def rival_bids(count: int, random: np.random.Generator) -> np.ndarray:
    """The highest bids of others in `count` auctions."""
    return np.round(RIVAL_BID_MEDIAN * np.exp(random.normal(0, RIVAL_BID_SPREAD, count)), 4)


def auction(bid: np.ndarray, rival: np.ndarray, first_price: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Whether each bid wins, and what a win costs: the rivals' highest bid, or the own one (`first_price`).

    >>> [column.tolist() for column in auction(np.array([0.05, 0.02]), np.array([0.03, 0.03]))]
    [[True, False], [0.03, 0.03]]
    """
    return bid > rival, bid if first_price else rival


def elsewhere(folk: People, here: Visits, day: int, random: np.random.Generator) -> Visits:
    """Visits that ads elsewhere on the web could bring: some active honest people who do not visit today anyhow.

    `needs` says what they would look for if they came.
    """
    free = folk.active(day) & (folk.role == HONEST)
    free[here.user] = False
    user = np.flatnonzero(free & (random.random(folk.users) < ELSEWHERE_SHARE))
    start = moments_of_day(len(user), random)
    needs = random.poisson(ELSEWHERE_NEEDS, len(user))
    return Visits(user, start, folk.role[user], needs, folk.location[user], np.ones(len(user), bool))


def chance(folk: People, goods: Catalogue, user: np.ndarray, item: np.ndarray, coupon: np.ndarray) -> tuple:
    """Probability of a click on an ad for `item`, and of taking the item after a click, by contact.

    Coupons work on people who mind prices; busy customers would have come to the product anyhow.
    """
    affinity = np.einsum("ij,ij->i", folk.taste[user], goods.taste[item])
    click = 1.0 / (1.0 + np.exp(-(-0.7 + 0.25 * affinity)))
    minds = demand.SENSITIVITY[folk.segment[user]]
    take = np.where(coupon, 0.45 * minds**2.5, 0.3) / (1.0 + 1.5 * folk.rate[user])
    return click, np.minimum(take, demand.MOST)


@dataclass(frozen=True)
class Contacts:
    """Auctions of a day's part, one row each; what happened, and what would have (`click`, `take`)."""

    visit: np.ndarray
    campaign: np.ndarray
    item: np.ndarray
    coupon: np.ndarray
    creative: np.ndarray
    place: np.ndarray
    time: np.ndarray
    bid: np.ndarray
    rival_bid: np.ndarray
    won: np.ndarray
    held_out: np.ndarray
    shown: np.ndarray
    propensity: np.ndarray
    click_chance: np.ndarray
    take_chance: np.ndarray
    click: np.ndarray
    take: np.ndarray

    def where(self, chosen: np.ndarray) -> "Contacts":
        return Contacts(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def contacts(
    params: SimulationParams,
    folk: People,
    goods: Catalogue,
    active: list[Campaign],
    out: dict[int, np.ndarray],
    spent: dict[int, float],
    trips: Visits,
    last_order_day: np.ndarray,
    day: int,
    random: np.random.Generator,
) -> Contacts:
    """Auctions for the visits of honest people who may be contacted; `spent` of each campaign grows by their cost."""
    count = len(trips)
    which = random.integers(0, max(len(active), 1), count)
    rival = rival_bids(count, random)
    coin, clicks, takes = random.random(count), random.random(count), random.random(count)
    creative, place = random.integers(0, CREATIVES, count), random.integers(1, PLACES + 1, count)
    visit = np.flatnonzero((trips.kind == HONEST) & folk.consent[trips.user]) if active else np.zeros(0, int)
    which, rival, coin, clicks, takes = which[visit], rival[visit], coin[visit], clicks[visit], takes[visit]
    user = trips.user[visit]
    number = np.array([one.number for one in active], int)[which] if active else which
    item = np.array([one.item for one in active], int)[which] if active else which
    bid = np.array([one.bid for one in active], float)[which] if active else rival
    coupon = np.array([KINDS[one.kind] == "coupon" for one in active], bool)[which] if active else which > 0
    away = np.zeros(len(visit), bool)
    for one in active:
        mine = number == one.number
        away[mine] = out[one.number][user[mine]]
    policy = np.where(day - last_order_day[user] <= RECENT_DAYS, SHOWN_TO_RECENT, SHOWN_TO_OTHERS)
    won, price = auction(bid, rival)
    shown = won & ~away & (coin < policy)
    for one in active:
        mine = np.flatnonzero((number == one.number) & shown)
        total = np.cumsum(price[mine]) + spent.get(one.number, 0.0)
        # Out of budget the campaign no longer bids, not even for those who are held back.
        over = mine[total > one.budget]
        if len(over):
            late = (number == one.number) & (np.arange(len(visit)) >= over[0])
            won[late] = shown[late] = False
        within = total[total <= one.budget]
        spent[one.number] = float(within[-1]) if len(within) else spent.get(one.number, 0.0)
    click_chance, take_chance = chance(folk, goods, user, item, coupon)
    click_chance = np.where(trips.elsewhere[visit], ELSEWHERE_CLICK * click_chance, click_chance)
    return Contacts(
        visit, number, item, coupon, creative[visit], place[visit], trips.start[visit] + SECOND_US, bid, rival, won,
        away, shown, policy * (1 - params.holdout_share), click_chance, take_chance,
        clicks < click_chance, takes < take_chance,
    )  # fmt: skip
