"""What happened as rows of the canonical tables, the way the shop's own systems would keep them.

Ids are numbers here; the source `simulated` makes them text. Labels come as tables of their own, `charge_backs` and
`defaults`, on the day on which the shop hears of them.
"""

import numpy as np
import pyarrow as pa

from ecomine.params import SimulationParams
from ecomine.simulation import ads, events, people, prices, risk, sessions
from ecomine.simulation.ads import Campaign
from ecomine.simulation.catalogue import Catalogue
from ecomine.simulation.day import Morning, Part
from ecomine.simulation.events import EventLog
from ecomine.simulation.people import People
from ecomine.simulation.sessions import DAY_US, SECOND_US
from ecomine.simulation.stock import Stock
from ecomine.simulation.write import nullable, text

VISITS_PER_DAY = 10_000_000
"""Sessions and orders of day d are numbered from d · VISITS_PER_DAY."""

PAYMENTS_PER_DAY = 100_000_000
QUANTITIES = (*(str(number) for number in range(100)), "two", "1x", "-", "?")
"""Quantities as the order system writes them; those from 100 on are no numbers."""

KINDS_OF_TIE = ("household", "friend", "shared address")
CREDIT_METHOD = risk.METHODS.index("credit")


def moments(values: np.ndarray) -> pa.Array:
    """Microseconds since 1970 as timestamps."""
    return pa.array(np.asarray(values, np.int64), pa.timestamp("us"))


def sessions_of(part: Part, day: int) -> np.ndarray:
    """The number of each visit, which is its session's and its order's."""
    return day * VISITS_PER_DAY + part.first + np.arange(len(part.trips))


def site_events(folk: People, part: Part, day: int, midnight: int, first_id: int, queries: pa.Array) -> pa.Table:
    """Searches, impressions, views, carts, wishes, purchases and reviews."""
    trips, shown, offers, lines, log = part.trips, part.pages, part.offers, part.lines, EventLog()
    session = sessions_of(part, day)
    device, referrer = folk.device[trips.user], folk.referrer[trips.user]
    referrer = np.where(trips.elsewhere, people.REFERRERS.index("ad"), referrer)

    def add(kind: int, visit: np.ndarray, time: np.ndarray, **more: np.ndarray) -> None:
        more.setdefault("referrer", referrer[visit])
        log.add(kind, session[visit], trips.user[visit], midnight + time, device=device[visit], **more)

    add(events.SEARCH, shown.visit, shown.time, query=shown.leaf)
    visit = shown.visit[shown.search]
    add(
        events.IMPRESSION, visit, shown.time[shown.search] + SECOND_US, item=shown.item,
        query=shown.leaf[shown.search], position=shown.position, propensity=shown.propensity,
    )  # fmt: skip
    source = referrer[offers.visit]
    source = np.where(offers.source == sessions.REORDER, people.REFERRERS.index("reorder list"), source)
    source = np.where(offers.source == sessions.ADVERT, people.REFERRERS.index("ad"), source)
    add(events.VIEW, offers.visit, offers.time, item=offers.item, position=offers.position, referrer=source)
    carts, wishes = part.took, part.wished
    add(events.CART, offers.visit[carts], offers.time[carts] + 6 * SECOND_US, item=offers.item[carts])
    add(events.WISHLIST, offers.visit[wishes], offers.time[wishes] + 4 * SECOND_US, item=offers.item[wishes])
    bought = lines.where(lines.served)
    add(events.PURCHASE, bought.visit, bought.time, item=bought.item)
    visit, item, rating = part.reviews
    add(events.REVIEW, visit, trips.start[visit] + SECOND_US // 2, item=item, rating=rating)
    return log.table(first_id, queries)


def order_lines(part: Part, today: Morning, midnight: int) -> pa.Table:
    lines, trips, served = part.lines.where(part.lines.served), part.trips, part.lines.served
    location, paid = trips.location[lines.visit], part.unit_price[served]
    asked, coupon = today.market.asked[lines.item, location], part.coupon[served]
    codes = pa.array(coupon, mask=coupon == -1).cast(pa.string())
    return pa.table(
        {
            "order_id": sessions_of(part, today.day)[lines.visit],
            "user_id": trips.user[lines.visit],
            "item_id": lines.item,
            "location_id": location,
            "event_timestamp": moments(midnight + lines.time),
            "quantity": text(np.minimum(lines.units, 99), QUANTITIES),
            "unit_price": paid,
            "list_price": asked,
            "discount": np.round((asked - paid) * lines.units, 2),
            "coupon_id": codes,
        }
    )


def payments(part: Part, day: int, midnight: int, first_id: int) -> pa.Table:
    paid = part.payments
    session = sessions_of(part, day)[part.order_visit]
    order = np.where(paid.order >= 0, np.append(session, -1)[paid.order], -1)
    return pa.table(
        {
            "payment_id": first_id + np.arange(len(paid.order)),
            "order_id": nullable(order),
            "user_id": paid.user,
            "event_timestamp": moments(midnight + paid.time),
            "amount": paid.amount,
            "method": text(paid.method, risk.METHODS),
            "card_id": nullable(paid.card, paid.method < 2),
            "device_id": paid.device,
            "ip": paid.network,
            "address_id": paid.address,
        }
    )


def contacts(part: Part, day: int, midnight: int, served: np.ndarray, revenue: np.ndarray) -> pa.Table:
    """Ads shown or held back; `served` and `revenue` say for each contact whether and how much of the item was sold."""
    won = part.contacts.won
    seen = part.contacts.where(won)
    session = sessions_of(part, day)[seen.visit]
    return pa.table(
        {
            "impression_id": session,
            "campaign_id": seen.campaign,
            "user_id": part.trips.user[seen.visit],
            "creative_id": seen.campaign * ads.CREATIVES + seen.creative,
            "event_timestamp": moments(midnight + seen.time),
            # Elsewhere on the web the shop is not told where its ad stands.
            "position": nullable(seen.place, ~part.trips.elsewhere[seen.visit]),
            "propensity": seen.propensity,
            "cost": np.where(seen.shown, seen.rival_bid, 0.0),
            "treated": seen.shown,
            "clicked": seen.shown & seen.click,
            "converted": served[won],
            "revenue": revenue[won],
        }
    )


def campaigns(started: list[Campaign], midnight: int) -> pa.Table:
    """The campaigns that start today."""
    return pa.table(
        {
            "campaign_id": np.array([one.number for one in started], np.int64),
            "kind": pa.array([ads.KINDS[one.kind] for one in started], pa.string()),
            "start_date": moments(np.full(len(started), midnight)),
            "end_date": moments(np.full(len(started), midnight + ads.LASTS_DAYS * DAY_US)),
            "budget": np.array([one.budget for one in started], float),
            "cost_per_contact": np.array([one.bid for one in started], float),
            "item_id": np.array([one.item for one in started], np.int64),
        }
    )


def promotions(params: SimulationParams, goods: Catalogue, today: Morning, midnight: int) -> pa.Table:
    """Promotions and price tests that start today, by item and location; for what is on sale."""
    week = today.week
    active = (week.promoted | week.tested) & today.live
    item = np.repeat(np.flatnonzero(active), params.locations)
    location = np.tile(np.arange(params.locations), int(active.sum()))
    pick = stream_of_words(item)
    return pa.table(
        {
            "item_id": item,
            "location_id": location,
            "start_date": moments(np.full(len(item), midnight)),
            "end_date": moments(np.full(len(item), midnight + 7 * DAY_US)),
            "price": week.price[item, location],
            "display": text(np.where(week.displayed[item], pick, -1), prices.DISPLAYS),
            "mailer": text(np.where(week.mailed[item], pick, -1), prices.MAILERS),
            "kind": text(week.tested[item].astype(int), ("promotion", "price test")),
        }
    )


def stream_of_words(item: np.ndarray) -> np.ndarray:
    """Which of two words an item's display and mailer get."""
    return item % 2


def stock_levels(
    goods: Catalogue, counted: Stock, before: np.ndarray | None, live: np.ndarray, midnight: int
) -> pa.Table:
    """Stock in the evening, where it changed since `before` (on hand, items × locations); None asks for all."""
    changed = np.ones_like(counted.on_hand, bool) if before is None else (counted.on_hand != before)
    item, location = np.nonzero(changed & (live[:, None] | (counted.on_hand > 0)))
    return pa.table(
        {
            "item_id": item,
            "location_id": location,
            "event_timestamp": moments(np.full(len(item), midnight + DAY_US - SECOND_US)),
            "on_hand": counted.on_hand[item, location],
            "on_order": counted.on_order[item, location],
            "lead_time_days": goods.lead_days[item],
        }
    )


def rival_prices(goods: Catalogue, rivals: np.ndarray, today: Morning, midnight: int) -> pa.Table:
    """Rivals' prices of the items that are looked up today: each item once a week."""
    item = np.flatnonzero(today.live & (np.arange(goods.items) % 7 == today.day % 7))
    rival = np.repeat(np.arange(len(rivals)), len(item))
    item = np.tile(item, len(rivals))
    price = np.round(goods.reference_price[item] * np.exp(rivals[rival, item]), 2)
    return pa.table(
        {
            "item_id": item,
            "competitor": text(rival, prices.RIVALS),
            "event_timestamp": moments(np.full(len(item), midnight + 6 * 3600 * SECOND_US)),
            "price": price,
        }
    )


def new_items(goods: Catalogue, day: int, epoch: int) -> pa.Table:
    """Products launched today; on the first day also those from before."""
    item = np.flatnonzero(goods.launch_day <= 0 if day == 0 else goods.launch_day == day)
    return pa.table(
        {
            "item_id": item,
            "category": pa.array(goods.categories(item), pa.string()),
            "brand": goods.brand[item],
            "title": pa.array(goods.titles(item), pa.string()),
            "unit_cost": goods.cost[item],
            "launch_date": moments(epoch + goods.launch_day[item] * DAY_US),
        }
    )


def new_users(folk: People, day: int, epoch: int) -> pa.Table:
    """Accounts opened today; on the first day also those from before."""
    user = np.flatnonzero(folk.signup_day <= 0 if day == 0 else folk.signup_day == day)
    sizes = ["nobody", "1 person", *(f"{number} people" for number in range(2, 10))]
    regions = [f"region {number}" for number in range(int(folk.location.max()) + 1)]
    return pa.table(
        {
            "user_id": user,
            "signup_date": moments(epoch + folk.signup_day[user] * DAY_US),
            "age_group": text(folk.age[user], people.AGES),
            "income_group": text(folk.income[user], people.INCOMES),
            "household": text(np.minimum(folk.household_size[user], 9), sizes),
            "region": text(folk.location[user], regions),
            "marketing_consent": folk.consent[user],
        }
    )


def new_ties(ties: tuple[np.ndarray, np.ndarray, np.ndarray], folk: People, day: int) -> pa.Table:
    """Ties between people of whom the later one opened the account today."""
    one, other, kind = ties
    since = np.maximum(np.maximum(folk.signup_day[one], folk.signup_day[other]), 0)
    now = since == day
    return pa.table({"user_id": one[now], "other_user_id": other[now], "kind": text(kind[now], KINDS_OF_TIE)})
