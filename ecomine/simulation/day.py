"""One day of the shop: the morning's prices and shelves, the visits part by part, the evening's orders."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ecomine.params import SimulationParams
from ecomine.simulation import ads, demand, risk, sessions, stock, trade
from ecomine.simulation.ads import Campaign, Contacts
from ecomine.simulation.catalogue import Catalogue, Shelves, shelves
from ecomine.simulation.people import HONEST, MEMORY, People
from ecomine.simulation.prices import WeekPrices, rivals_react, week_prices
from ecomine.simulation.randomness import stream
from ecomine.simulation.risk import Payments, Tactic
from ecomine.simulation.sessions import SECOND_US, Offers, Pages, Visits
from ecomine.simulation.state import State
from ecomine.simulation.stock import Stock
from ecomine.simulation.trade import Lines, Market

VISITS_AT_ONCE = 20_000
"""Visits whose events are in memory together; part of what makes a day's draws, so it never changes."""

SALES_SMOOTHING = 0.05
REVIEW_SHARE = 0.12


@dataclass(frozen=True)
class Morning:
    """What holds for a whole day."""

    day: int
    live: np.ndarray
    week: WeekPrices
    market: Market
    shelves: Shelves
    leaf_weight: np.ndarray
    campaigns: list[Campaign]
    held_out: dict[int, np.ndarray]
    tactic: Tactic


@dataclass(frozen=True)
class Part:
    """What a part of a day's visits did; `first` is the number of its first visit in the day.

    `trips` holds the visits that ads elsewhere could bring too; they have needs only where one did. `by_ad` are the
    lines that an ad brought, in such a visit all; `without_ad` and `with_ad` say for each contact whether the item
    would be bought; `reviews` is (visit, item, rating).
    """

    first: int
    trips: Visits
    pages: Pages
    offers: Offers
    took: np.ndarray
    wished: np.ndarray
    lines: Lines
    by_ad: np.ndarray
    unit_price: np.ndarray
    coupon: np.ndarray
    contacts: Contacts
    without_ad: np.ndarray
    with_ad: np.ndarray
    order_visit: np.ndarray
    order_time: np.ndarray
    order_amount: np.ndarray
    payments: Payments
    reviews: tuple[np.ndarray, np.ndarray, np.ndarray]


def morning(params: SimulationParams, goods: Catalogue, folk: People, state: State) -> Morning:
    """Prices, shelves and campaigns of the day that `state` stands before; changes nothing."""
    day = state.day
    live = goods.live(day)
    week = week_prices(params, goods, day // 7)
    active = ads.running(params, goods, day)
    return Morning(
        day=day,
        live=live,
        week=week,
        market=trade.market(params, goods, week, state.rivals, live, day),
        shelves=shelves(goods, live, state.sales),
        leaf_weight=goods.leaf_weight * demand.season(goods.department, sessions.day_of_year(params, day)),
        campaigns=active,
        held_out={one.number: ads.held_out(params, folk.users, one.number) for one in active},
        tactic=risk.tactic(params, goods, day),
    )


def parts(params: SimulationParams, goods: Catalogue, folk: People, state: State, today: Morning) -> Iterator[Part]:
    """The day's visits, VISITS_AT_ONCE at a time; stock, memories and campaigns of `state` go along."""
    random = stream(params.seed, "visits", today.day)
    way = today.tactic
    everyone = sessions.visits(params, folk, today.day, way.takeover_share, way.hour, random)
    if today.campaigns:
        away = stream(params.seed, "elsewhere", today.day)
        everyone = everyone.with_more(ads.elsewhere(folk, everyone, today.day, away))
    for number, first in enumerate(range(0, len(everyone), VISITS_AT_ONCE)):
        trips = everyone.part(first, first + VISITS_AT_ONCE)
        yield _part(params, goods, folk, state, today, trips, first, stream(params.seed, "part", today.day, number))


def _part(
    params: SimulationParams,
    goods: Catalogue,
    folk: People,
    state: State,
    today: Morning,
    trips: Visits,
    first: int,
    random: np.random.Generator,
) -> Part:
    contacts = ads.contacts(
        params,
        folk,
        goods,
        today.campaigns,
        today.held_out,
        state.spent,
        trips,
        state.last_order_day,
        today.day,
        random,
    )
    clicked = contacts.where(contacts.shown & contacts.click)
    comes = ~trips.elsewhere
    comes[clicked.visit] = True
    trips = trips.taking_place(comes)
    # Who comes by an ad decides on its product once, there: so what the ad does is the same whether it is shown or not.
    settled = np.full(len(trips), -1)
    brings = trips.elsewhere[clicked.visit]
    settled[clicked.visit[brings]] = clicked.item[brings]
    shown, offers = _offers(params, goods, folk, state, today, trips, random)
    offers = offers.where(offers.item != settled[offers.visit])
    took = trade.taken(folk, goods, today.market, trips, offers, random)
    more = trade.completed(goods, today.live, offers, took, random)
    more = more.where(more.item != settled[more.visit])
    took = np.concatenate([took, trade.taken(folk, goods, today.market, trips, more, random)])
    offers = Offers.joined([offers, more])
    leaves = (trips.kind == HONEST) & (random.random(len(trips)) >= sessions.CHECKOUT)
    # What would be bought without the ad, and with it: both are known to the truth, the shop sees one.
    organic = np.isin(
        contacts.visit * goods.items + contacts.item, offers.visit[took] * goods.items + offers.item[took]
    )
    stays = ~leaves[contacts.visit]
    without_ad, with_ad = organic & stays, (organic | (contacts.click & contacts.take)) & stays
    zeros = np.zeros(len(clicked.visit), np.int64)
    offers = Offers.joined(
        [
            offers,
            Offers(clicked.visit, clicked.item, clicked.time + SECOND_US, zeros + sessions.ADVERT, zeros, zeros - 1),
        ]
    )
    took = np.concatenate([took, clicked.take])
    lines = trade.checkout(goods, trips, offers, took, leaves, state.stock, today.tactic.extra_units, random)
    unit_price, coupon = _paid(goods, today, trips, lines, clicked)
    served = lines.served
    trade.remember(state, trips, offers, lines.where(served), random)
    amount = np.bincount(lines.visit[served], (unit_price * lines.units)[served], len(trips))
    last = np.zeros(len(trips), np.int64)
    last[lines.visit] = lines.time
    ordered = np.flatnonzero(np.bincount(lines.visit[served], minlength=len(trips)))
    user = trips.user[ordered]
    state.last_order_day[user] = today.day
    paid = risk.payments(
        folk, today.tactic, user, trips.kind[ordered], last[ordered], np.round(amount[ordered], 2), random
    )
    return Part(
        first=first,
        trips=trips,
        pages=shown,
        offers=offers,
        took=took,
        wished=~took & (random.random(len(took)) < 0.02),
        lines=lines,
        by_ad=(offers.source[lines.first] == sessions.ADVERT) | trips.elsewhere[lines.visit],
        unit_price=unit_price,
        coupon=coupon,
        contacts=contacts,
        without_ad=without_ad,
        with_ad=with_ad,
        order_visit=ordered,
        order_time=last[ordered],
        order_amount=np.round(amount[ordered], 2),
        payments=paid,
        reviews=_reviews(folk, goods, state, trips, comes, today.day, random),
    )


def _offers(
    params: SimulationParams,
    goods: Catalogue,
    folk: People,
    state: State,
    today: Morning,
    trips: Visits,
    random: np.random.Generator,
) -> tuple[Pages, Offers]:
    visit, time = sessions.needs(trips)
    crook = trips.kind[visit] != HONEST
    again = (random.random(len(visit)) < sessions.REORDER_SHARE) & ~crook
    search = ~again & ~crook
    shown = sessions.pages(
        params, folk, goods, today.shelves, today.leaf_weight, trips, visit[search], time[search], random
    )
    known = sessions.remembered(
        trips, visit[again], time[again], state.memory_item, state.memory_day, goods.gap_days, today.live,
        today.day, random,
    )  # fmt: skip
    stolen = risk.loot(goods, today.live, today.tactic, int(crook.sum()), random)
    zeros = np.zeros(len(stolen), np.int64)
    taken = Offers(visit[crook], stolen, time[crook] + SECOND_US, zeros + sessions.FRAUD, zeros, zeros - 1)
    return shown, Offers.joined(
        [
            sessions.opened(folk, goods, trips, shown, state.memory_item, state.memory_day, today.day, random),
            known,
            taken,
        ]
    )


def _paid(
    goods: Catalogue, today: Morning, trips: Visits, lines: Lines, clicked: Contacts
) -> tuple[np.ndarray, np.ndarray]:
    """Price of a unit after coupons, and the coupon: a campaign's number, -2 for the welcome coupon, -1 for none."""
    price = today.market.price[lines.item, trips.location[lines.visit]]
    coupon = np.full(len(price), -1)
    held = clicked.where(clicked.coupon)
    key = held.visit * goods.items + held.item
    order = np.argsort(key)
    at = np.searchsorted(key[order], wanted := lines.visit * goods.items + lines.item)
    found = at < len(key)
    found[found] = key[order][at[found]] == wanted[found]
    coupon[found] = held.campaign[order][at[found]]
    coupon = np.where(trips.kind[lines.visit] == risk.ABUSER, -2, coupon)
    return np.where(coupon != -1, np.round(price * (1 - ads.COUPON_DEPTH), 2), price), coupon


def _reviews(
    folk: People,
    goods: Catalogue,
    state: State,
    trips: Visits,
    comes: np.ndarray,
    day: int,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    visit = np.flatnonzero(comes & (random.random(len(trips)) < REVIEW_SHARE))
    slot = random.integers(0, MEMORY, len(visit))
    noise = random.normal(0, 0.9, len(visit))
    user = trips.user[visit]
    bought = state.memory_bought[user, slot]
    fit = (bought >= 0) & (bought < day) & (trips.kind[visit] == HONEST)
    visit, user, slot, noise = visit[fit], user[fit], slot[fit], noise[fit]
    item = state.memory_item[user, slot].astype(np.int64)
    liking = np.einsum("ij,ij->i", folk.taste[user], goods.taste[item])
    return visit, item, np.clip(np.round(3.7 + 0.1 * liking + 0.3 * goods.appeal[item] + noise), 1, 5)


def evening(params: SimulationParams, goods: Catalogue, state: State, today: Morning, sold: np.ndarray) -> Stock:
    """Orders to suppliers, rivals' reactions, bestsellers; `state` then stands before the next day.

    `sold` are the units that left, items × locations. Returns the stock of the evening, with what was ordered.
    """
    day = today.day
    counted = stock.reorder(params, goods, state.stock, sold, day)
    state.stock = stock.receive(counted)
    state.rivals = rivals_react(params, state.rivals, today.market.log_ratio.mean(axis=1), day)
    total = sold.sum(axis=1)
    state.sales = np.where(today.live, (1 - SALES_SMOOTHING) * state.sales + SALES_SMOOTHING * total, state.sales)
    state.spent = {number: money for number, money in state.spent.items() if number in today.held_out}
    state.day = day + 1
    return counted
