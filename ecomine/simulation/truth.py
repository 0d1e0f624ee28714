"""The truth, for judges alone: a folder beside the raw tables that no source reads.

Once: `people`, `items`, `law.json`, and `taste_change` where there is one. After each block of days: `orders`, the best
reorder points and order-up-to levels at every location as demand on all days taught them. By day: `demand` (every live
item at every location: price, what moved demand, what was wanted without stock-outs, what was sold), `payments` (what
each was), `contacts` (every auction, and whether the advertised product would have been bought without and with the
ad; `brought` tells the visits that would not have been without it: such a contact's number is that of the session and
of its order), `credit` and `dirt`.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ecomine.params import SimulationParams
from ecomine.simulation import ads, demand, kinds, people, risk, sessions
from ecomine.simulation.catalogue import Catalogue
from ecomine.simulation.day import Morning, Part
from ecomine.simulation.people import People
from ecomine.simulation.rows import sessions_of
from ecomine.simulation.state import State
from ecomine.simulation.write import nullable, text
from ecomine.store import write_json


def write_constants(folder: Path, goods: Catalogue, folk: People) -> None:
    """What holds from the first day to the last."""
    from ecomine.simulation.oracle import optimal_price

    folder.mkdir(parents=True, exist_ok=True)
    items = {
        "item_id": np.arange(goods.items),
        "leaf": goods.leaf,
        "reference_price": goods.reference_price,
        "unit_cost": goods.cost,
        "optimal_price": optimal_price(goods.reference_price, goods.cost, goods.elasticity),
        "elasticity": goods.elasticity,
        "cross_elasticity": goods.cross,
        "complement_id": goods.complement,
        "complement_elasticity": goods.complementary,
        "rival_elasticity": goods.rival,
        "appeal": goods.appeal,
        "gap_days": goods.gap_days,
        "extra_units": goods.extra_units,
        "lead_days": goods.lead_days,
        "launch_day": goods.launch_day,
        "end_day": goods.end_day,
        **{f"taste_{k}": goods.taste[:, k] for k in range(goods.taste.shape[1])},
    }
    persons = {
        "user_id": np.arange(folk.users),
        "signup_day": folk.signup_day,
        "end_day": folk.end_day,
        "kind": text(folk.kind, kinds.KINDS),
        "visits_per_day": folk.rate,
        "sensitivity": demand.SENSITIVITY[folk.segment],
        "basket": folk.basket,
        "household": folk.household,
        "role": text(folk.role, people.ROLES),
        "group": nullable(folk.group),
        **{f"taste_{k}": folk.taste[:, k] for k in range(folk.taste.shape[1])},
    }
    pq.write_table(pa.table(items), folder / "items.parquet")
    pq.write_table(pa.table(persons), folder / "people.parquet", store_schema=False)
    law = {
        "position_power": demand.POSITION_POWER,
        "sensitivity": demand.SENSITIVITY.tolist(),
        "sensitivity_share": demand.SENSITIVITY_SHARE.tolist(),
        "display_boost": demand.DISPLAY_BOOST,
        "mailer_boost": demand.MAILER_BOOST,
        "checkout": sessions.CHECKOUT,
        "shown_to_recent": ads.SHOWN_TO_RECENT,
        "shown_to_others": ads.SHOWN_TO_OTHERS,
        "elsewhere_share": ads.ELSEWHERE_SHARE,
        "elsewhere_click": ads.ELSEWHERE_CLICK,
        "tactic_days": risk.TACTIC_DAYS,
    }
    write_json(folder / "law.json", law)


def write_taste_change(folder: Path, params: SimulationParams, goods: Catalogue, folk: People) -> None:
    """Who changes tastes on `params.taste_change_day`, and to which."""
    later, changes = people.after_taste_change(params, goods, folk)
    user = np.flatnonzero(changes)
    tastes = {f"taste_{k}": later.taste[user, k] for k in range(later.taste.shape[1])}
    day = np.full(len(user), params.taste_change_day, np.int32)
    pq.write_table(pa.table({"user_id": user, "day": day, **tastes}), folder / "taste_change.parquet")


def write_orders(file: Path, goods: Catalogue, state: State) -> None:
    """The best orders of every item that was ever on sale, at every location: levels, costs, expected profit a day."""
    from ecomine.simulation import oracle

    item, location = np.nonzero(state.exposure > 0)
    units = state.organic[item, location] / state.exposure[item, location]
    margin = goods.reference_price[item] - goods.cost[item]
    holding = oracle.HOLDING_SHARE * goods.cost[item]
    best = oracle.best_orders(units, goods.extra_units[item], goods.lead_days[item], margin, holding)
    orders = {
        "item_id": item,
        "location_id": location,
        "units_per_day": units,
        "lead_days": goods.lead_days[item],
        "margin": margin,
        "holding_cost": holding,
        "order_cost": np.full(len(item), oracle.ORDER_COST),
        "reorder_point": best.reorder_point.astype(np.int64),
        "order_up_to": best.order_up_to.astype(np.int64),
        "value_per_day": best.value,
    }
    pq.write_table(pa.table(orders), file)


def demand_of_day(today: Morning, wanted: np.ndarray, organic: np.ndarray, sold: np.ndarray) -> pa.Table:
    """Items × locations of a day as rows; `organic` is what honest people wanted without an ad."""
    item = np.flatnonzero(today.live)
    places = wanted.shape[1]
    row, column = np.repeat(item, places), np.tile(np.arange(places), len(item))
    market = today.market
    return pa.table(
        {
            "day": np.full(len(row), today.day, np.int32),
            "item_id": row,
            "location_id": column,
            "asked": market.asked[row, column],
            "price": market.price[row, column],
            "log_ratio": market.log_ratio[row, column],
            "context": market.context[row, column],
            "attention": (market.boost * market.season)[row],
            "tested": today.week.tested[row],
            "promoted": today.week.promoted[row],
            "wanted": wanted[row, column],
            "organic": organic[row, column],
            "sold": sold[row, column],
        }
    )


def payments(part: Part, first_id: int) -> pa.Table:
    kind = part.payments.kind
    return pa.table(
        {
            "payment_id": first_id + np.arange(len(kind)),
            "kind": text(kind, risk.KINDS),
            "is_fraud": kind > 0,
            "ever_told": part.payments.told_after_us >= 0,
        }
    )


def contacts(part: Part, day: int) -> pa.Table:
    seen = part.contacts
    return pa.table(
        {
            "impression_id": sessions_of(part, day)[seen.visit],
            "campaign_id": seen.campaign,
            "user_id": part.trips.user[seen.visit],
            "item_id": seen.item,
            "elsewhere": part.trips.elsewhere[seen.visit],
            "brought": part.trips.elsewhere[seen.visit] & seen.shown & seen.click,
            "bid": seen.bid,
            "rival_bid": seen.rival_bid,
            "won": seen.won,
            "held_out": seen.held_out,
            "shown": seen.shown,
            "propensity": seen.propensity,
            "click_chance": seen.click_chance,
            "take_chance": seen.take_chance,
            "without_ad": part.without_ad,
            "with_ad": part.with_ad,
        }
    )
