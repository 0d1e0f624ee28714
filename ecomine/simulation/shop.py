"""A shop from its first day to any later one, written in a stream, continued where it stopped."""

import dataclasses
import json
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ecomine.errors import SettingsError
from ecomine.params import SimulationParams
from ecomine.simulation import day as days
from ecomine.simulation import dirt, risk, rows, truth
from ecomine.simulation.catalogue import Catalogue, catalogue
from ecomine.simulation.day import Morning, Part
from ecomine.simulation.people import HONEST, People, after_taste_change, people, ties
from ecomine.simulation.randomness import stream
from ecomine.simulation.sessions import DAY_US
from ecomine.simulation.state import State, first_state
from ecomine.simulation.write import BLOCK_DAYS, BlockWriter
from ecomine.store import replacing, write_json

MANIFEST = "shop.json"
"""In the folder of raw tables: the settings that made them, and how many days are complete."""

CHECKPOINT = "checkpoint"
"""In the folder of the truth: the shop after its last full block of days."""

CHARGE_BACK, DEFAULT = 0, 1


@dataclasses.dataclass(frozen=True)
class Shop:
    """What does not change from day to day. `later` are the people once their tastes have changed, if ever."""

    params: SimulationParams
    goods: Catalogue
    folk: People
    later: People | None
    ties: tuple[np.ndarray, np.ndarray, np.ndarray]
    queries: pa.Array
    epoch: int

    @classmethod
    def of(cls, params: SimulationParams) -> "Shop":
        goods = catalogue(params)
        folk = people(params, goods)
        epoch = int((params.start - datetime(1970, 1, 1)).total_seconds()) * 1_000_000
        later = after_taste_change(params, goods, folk)[0] if params.taste_change_day else None
        return cls(params, goods, folk, later, ties(params, folk), pa.array(goods.leaf_name, pa.string()), epoch)

    def folk_of(self, day: int) -> People:
        return self.later if self.later and day >= self.params.taste_change_day else self.folk


def simulate(
    params: SimulationParams, raw: Path, truth_folder: Path, say: Callable[[str], None] = lambda text: None
) -> int:
    """Simulate up to `params.days`, from where the folders stand; returns the number of days added.

    A shop continued has the same bytes as one simulated at once. Raises SettingsError where another shop is there.
    """
    done = completed_days(params, raw)
    if done >= params.days:
        return 0
    shop = Shop.of(params)
    checkpoint = truth_folder / CHECKPOINT
    if done == 0:
        truth.write_constants(truth_folder, shop.goods, shop.folk)
        if params.taste_change_day:
            truth.write_taste_change(truth_folder, params, shop.goods, shop.folk)
    # A block that was left half way is simulated again from its first day.
    state = State.load(checkpoint) if done >= BLOCK_DAYS else first_state(params, shop.goods, shop.folk)
    while state.day < params.days:
        first, last = state.day, min(state.day + BLOCK_DAYS, params.days)
        events = 0
        with ExitStack() as stack:
            own = stack.enter_context(BlockWriter(raw, first))
            hidden = stack.enter_context(BlockWriter(truth_folder, first))
            while state.day < last:
                events += simulate_day(shop, state, own, hidden)
        if last - first == BLOCK_DAYS:
            with replacing(checkpoint) as path:
                state.save(path)
        with replacing(truth_folder / "orders.parquet") as path:
            truth.write_orders(path, shop.goods, state)
        _write_manifest(params, raw, last)
        say(f"day {last:,} of {params.days:,}: {events:,} events more")
    return params.days - done


def completed_days(params: SimulationParams, raw: Path) -> int:
    """Days that are there already; raises SettingsError where they are another shop's, or no simulated shop's."""
    file = raw / MANIFEST
    if not file.is_file():
        other = sorted(path.name for path in raw.glob("*.parquet")) if raw.is_dir() else []
        if other:
            raise SettingsError(
                f"{raw} holds {', '.join(other[:3])}, not a simulated shop; choose another folder: --out."
            )
        return 0
    there = json.loads(file.read_text())
    wanted = _settings(params)
    # A setting that is younger than the shop had the value that changes nothing.
    kept = {**_settings(SimulationParams()), **there["settings"]}
    differ = {name: (kept[name], value) for name, value in wanted.items() if kept[name] != value}
    if differ:
        told = ", ".join(f"{name} {old} there, {new} asked" for name, (old, new) in sorted(differ.items()))
        raise SettingsError(
            f"{raw} holds another simulated shop ({told}). Choose another folder with --out, or replace it: --force."
        )
    return int(there["days"])


def _settings(params: SimulationParams) -> dict[str, Any]:
    named = dataclasses.asdict(params)
    named.pop("days")
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in named.items()}


def _write_manifest(params: SimulationParams, raw: Path, done: int) -> None:
    with replacing(raw / MANIFEST) as path:
        write_json(path, {"settings": _settings(params), "days": done})


def simulate_day(shop: Shop, state: State, own: BlockWriter, hidden: BlockWriter) -> int:
    """One day into the writers of the shop and of the truth; returns the number of events."""
    params, goods, folk = shop.params, shop.goods, shop.folk_of(state.day)
    today = days.morning(params, goods, folk, state)
    midnight = shop.epoch + today.day * DAY_US
    before = None if today.day % 7 == 0 else state.stock.on_hand.copy()
    shape = (goods.items, params.locations)
    wanted, organic, sold = np.zeros(shape, int), np.zeros(shape, int), np.zeros(shape, int)
    spoil = stream(params.seed, "dirt", today.day)
    event_id, payment_id = today.day * 1_000_000_000, today.day * rows.PAYMENTS_PER_DAY
    first_event = event_id
    if state.late is not None:
        own.write("events", state.late)
        state.late = None
    for part in days.parts(params, goods, folk, state, today):
        lines = part.lines
        place = part.trips.location[lines.visit]
        np.add.at(wanted, (lines.item, place), lines.units)
        free = (part.trips.kind[lines.visit] == HONEST) & ~part.by_ad
        np.add.at(organic, (lines.item[free], place[free]), lines.units[free])
        np.add.at(sold, (lines.item[lines.served], place[lines.served]), lines.units[lines.served])
        events = rows.site_events(folk, part, today.day, midnight, event_id, shop.queries)
        event_id += events.num_rows
        _write_spoilt(shop, state, own, hidden, "events", events, spoil)
        _write_spoilt(shop, state, own, hidden, "order_lines", rows.order_lines(part, today, midnight), spoil)
        paid = rows.payments(part, today.day, midnight, payment_id)
        hidden.write("payments", truth.payments(part, payment_id))
        _write_credit(shop, state, own, hidden, part, paid)
        _note_charge_backs(state, part, midnight, payment_id)
        _write_spoilt(shop, state, own, hidden, "payments", paid, spoil)
        payment_id += paid.num_rows
        _write_contacts(own, hidden, shop, part, today, midnight)
    if params.dirt:
        found = dirt.bots(np.flatnonzero(today.live), midnight, event_id, today.day, params.dirt, shop.queries, spoil)
        if found:
            own.write("events", dirt.worded(found[0]))
            hidden.write("dirt", found[1])
            event_id += found[0].num_rows
    state.organic += organic
    state.exposure += np.where(today.live[:, None], today.market.expected_factor(goods), 0.0)
    hidden.write("demand", truth.demand_of_day(today, wanted, organic, sold))
    own.write("competitor_prices", rows.rival_prices(goods, state.rivals, today, midnight))
    counted = days.evening(params, goods, state, today, sold)
    own.write("stock", rows.stock_levels(goods, counted, before, today.live, midnight))
    own.write("items", rows.new_items(goods, today.day, shop.epoch))
    own.write("users", rows.new_users(folk, today.day, shop.epoch))
    own.write("social_edges", rows.new_ties(shop.ties, folk, today.day))
    own.write("campaigns", rows.campaigns([one for one in today.campaigns if one.first_day == today.day], midnight))
    if today.day % 7 == 0:
        own.write("promotions", rows.promotions(params, goods, today, midnight))
    _write_reports(state, own, midnight + DAY_US)
    return event_id - first_event


def _write_spoilt(
    shop: Shop,
    state: State,
    own: BlockWriter,
    hidden: BlockWriter,
    name: str,
    table: pa.Table,
    random: np.random.Generator,
) -> None:
    if not table.num_rows:
        return
    if name == "events":
        table = dirt.worded(table)
    if shop.params.dirt:
        table, faults = dirt.soil(name, table, shop.params.dirt, random)
        hidden.write("dirt", faults)
        if name == "events":
            table, away = dirt.late(table, shop.params.dirt, random)
            state.late = away if state.late is None else pa.concat_tables([state.late, away])
    own.write(name, table)


def _write_contacts(
    own: BlockWriter, hidden: BlockWriter, shop: Shop, part: Part, today: Morning, midnight: int
) -> None:
    """Contacts with what was sold of the advertised item in the same visit."""
    lines, goods = part.lines, shop.goods
    sold = lines.where(lines.served)
    key = sold.visit * goods.items + sold.item
    order = np.argsort(key)
    money = (part.unit_price * lines.units)[lines.served][order]
    asked = part.contacts.visit * goods.items + part.contacts.item
    at = np.minimum(np.searchsorted(key[order], asked), max(len(key) - 1, 0))
    served = key[order][at] == asked if len(key) else np.zeros(len(asked), bool)
    revenue = np.where(served, np.round(money[at], 2), 0.0) if len(key) else np.zeros(len(asked))
    own.write("ad_impressions", rows.contacts(part, today.day, midnight, served, revenue))
    hidden.write("contacts", truth.contacts(part, today.day))


def _note_charge_backs(state: State, part: Part, midnight: int, first_id: int) -> None:
    told = np.flatnonzero(part.payments.told_after_us >= 0)
    moment = midnight + part.payments.time[told] + part.payments.told_after_us[told]
    new = np.stack([first_id + told, moment, np.full(len(told), CHARGE_BACK)], axis=1)
    state.reports = np.concatenate([state.reports, new])


def _write_credit(shop: Shop, state: State, own: BlockWriter, hidden: BlockWriter, part: Part, paid: pa.Table) -> None:
    """Orders on credit open an account each; who will not pay is known to the truth at once, to the shop when due."""
    method = part.payments.method
    row = np.flatnonzero(method == rows.CREDIT_METHOD)
    if not len(row):
        return
    day = paid.column("event_timestamp").cast(pa.int64()).to_numpy()[row]
    number = paid.column("order_id").combine_chunks().take(pa.array(row))
    account = number.cast(pa.int64()).to_numpy(zero_copy_only=False)
    user, amount = part.payments.user[row], part.payments.amount[row]
    random = stream(shop.params.seed, "credit", int(account[0]))
    chance = risk.default_chance(shop.folk, user, amount)
    bad = random.random(len(row)) < chance
    due = day + (risk.CREDIT_DAYS + random.integers(1, 30, len(row))) * DAY_US
    own.write(
        "credit",
        pa.table({"account_id": account, "user_id": user, "event_timestamp": rows.moments(day), "amount": amount}),
    )
    hidden.write("credit", pa.table({"account_id": account, "chance": chance, "defaulted": bad}))
    new = np.stack([account[bad], due[bad], np.full(int(bad.sum()), DEFAULT)], axis=1)
    state.reports = np.concatenate([state.reports, new])


def _write_reports(state: State, own: BlockWriter, until: int) -> None:
    """What the shop is told before the moment `until`."""
    now = state.reports[:, 1] < until
    for kind, name, key in ((CHARGE_BACK, "charge_backs", "payment_id"), (DEFAULT, "defaults", "account_id")):
        told = state.reports[now & (state.reports[:, 2] == kind)]
        own.write(name, pa.table({key: told[:, 0], "reported": rows.moments(told[:, 1])}))
    state.reports = state.reports[~now]
