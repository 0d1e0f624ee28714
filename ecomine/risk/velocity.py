"""How fast and with whom a card, a device, a person … pays, up to and with a payment: for many payments at once.

`moment.py` tells the same of one payment that is happening, from the few payments that have something in common with
it; tests hold both to each other bit by bit. So nothing is looked at that needs all payments of the shop, nothing older
than MEMORY, and of an entity no more than its latest MOST payments.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.risk.behaviour import DAY, HOUR, SECOND, short, whole
from ecomine.risk.timeline import SCALE, Clock, Timeline, coded, microseconds, paired

ENTITIES = ("card_id", "user_id", "device_id", "address_id", "ip")
"""Who or what takes part in a payment; a source may lack any of them but the user."""

WINDOWS: Mapping[str, int] = {"10m": 600 * SECOND, "1h": HOUR, "1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
"""In microseconds."""

MEMORY = 90 * DAY
MOST = 500
"""Payments of an entity that are looked at: one with more of them is no person."""

COMPANY = {"1d": DAY, "30d": 30 * DAY}
"""Windows in which an entity's company is counted."""

MET = ("card_id", "user_id", "device_id")
"""Entities that are counted as company."""

PAIRS = (("user_id", "card_id"), ("user_id", "device_id"), ("user_id", "address_id"), ("card_id", "device_id"))
METHODS = ("card", "wallet", "transfer", "credit")


@dataclass(frozen=True)
class _Payments:
    """Payments in order of time: microseconds, rank on the clock, money in whole ten-thousandths, codes of entities."""

    clock: Clock
    time: np.ndarray
    rank: np.ndarray
    amount: np.ndarray
    codes: Mapping[str, np.ndarray]


def names() -> list[str]:
    """The features, in order."""
    columns = ["amount", "hour", "weekday", "method_number"]
    for name in ENTITIES:
        one = short(name)
        columns += [f"{one}_payments_{w}" for w in WINDOWS] + [f"{one}_amount_{w}" for w in WINDOWS]
        columns += [f"{one}_{what}" for what in ("payments", "age_days", "hours_since_before", "amount_to_mean")]
        columns += [f"{one}_{short(other)}s_{w}" for other in MET if other != name for w in COMPANY]
    return columns + [
        f"{short(one)}_{short(other)}_{what}" for one, other in PAIRS for what in ("payments", "age_days")
    ]


def velocities(payments: pd.DataFrame, asked: np.ndarray | None = None) -> pd.DataFrame:
    """Features `names()` of the payments asked for (flags; all by default), in their order, as float32.

    payments: `payment_id`, `event_timestamp`, `amount`, `user_id` and what there is of ENTITIES and `method`. A payment
    sees the payments up to its own moment. An entity that is not known makes its features null.
    """
    require(payments.columns, ("payment_id", "event_timestamp", "amount", "user_id"), "payments")
    order = np.lexsort((payments["payment_id"].to_numpy(), microseconds(payments["event_timestamp"])))
    flags = np.ones(len(payments), bool) if asked is None else np.asarray(asked, bool)
    rows = np.flatnonzero(flags[order])
    ordered = payments.iloc[order]
    time = microseconds(ordered["event_timestamp"])
    clock = Clock(time)
    nobody = np.full(len(ordered), -1, np.int64)
    codes = {name: coded(ordered[name]) if name in ordered else nobody for name in ENTITIES}
    money = whole(ordered["amount"].to_numpy(float))
    known = _Payments(clock, time, clock.rank(time), money, codes)
    method = ordered["method"] if "method" in ordered else pd.Series(np.nan, ordered.index, object)
    columns: dict[str, np.ndarray] = {
        "amount": money[rows] / SCALE,
        "hour": time[rows] % DAY / HOUR,
        "weekday": (time[rows] // DAY + 3) % 7,  # the first of January 1970 was a Thursday
        "method_number": method.map({name: number for number, name in enumerate(METHODS)}).to_numpy(float)[rows],
    }
    for name in ENTITIES:
        there = codes[name][rows] >= 0
        found = _use(known, name, rows)
        columns |= {f"{short(name)}_{what}": np.where(there, values, np.nan) for what, values in found.items()}
    for pair in PAIRS:
        columns |= _pair(known, *pair, rows)
    place = np.argsort(order[rows])
    wanted = {name: columns[name][place].astype(np.float32) for name in names()}
    return pd.DataFrame(wanted, index=payments.index[flags])


def _use(known: _Payments, name: str, rows: np.ndarray) -> dict[str, np.ndarray]:
    code = known.codes[name]
    line = Timeline.of(code, known.rank, len(known.clock))
    asked, rank, now = code[rows], known.rank[rows], known.time[rows]
    end, here = line.until(asked, rank), line.before(asked, rank)

    def since(window: int, until: np.ndarray) -> np.ndarray:
        """Place of the first payment of the window, of the latest MOST ones before a place."""
        return np.maximum(line.before(asked, known.clock.opening(window)[rank]), np.maximum(until - MOST, 0))

    money = line.sums(known.amount)
    first = since(MEMORY, end)
    before = np.minimum(first, here)
    seen = here - before
    times = np.append(known.time[line.order], 0)
    mean = np.divide(money[here] - money[before], seen, where=seen > 0, out=np.full(len(rows), np.nan))
    columns: dict[str, np.ndarray] = {}
    for label, window in WINDOWS.items():
        start = since(window, end)
        columns[f"payments_{label}"] = (end - start).astype(float)
        columns[f"amount_{label}"] = (money[end] - money[start]) / SCALE
    columns |= {
        "payments": (end - first).astype(float),
        "age_days": np.where(seen > 0, (now - times[before]) / DAY, 0.0),
        "hours_since_before": np.where(seen > 0, (now - times[np.maximum(here - 1, 0)]) / HOUR, np.nan),
        "amount_to_mean": np.divide(known.amount[rows], mean, where=mean > 0, out=np.full(len(rows), np.nan)),
    }
    for other in (other for other in MET if other != name):
        behind, ahead = _gaps(known, code, known.codes[other])
        for label, window in COMPANY.items():
            opened, closed = line.sums(behind >= window), line.sums(ahead >= window)
            zero = line.before(asked, 0)
            start = line.before(asked, known.clock.opening(window)[rank])
            columns[f"{short(other)}s_{label}"] = opened[end] - opened[zero] - closed[start] + closed[zero]
    return columns


def _gaps(known: _Payments, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each payment, time since the same two met before and until they meet again; -1 where either is unknown."""
    line = Timeline.of(paired(one, other), known.rank, len(known.clock))
    behind, ahead = np.full(len(one), -1, np.int64), np.full(len(one), -1, np.int64)
    behind[line.order], ahead[line.order] = line.gaps(known.time)
    return behind, ahead


def _pair(known: _Payments, one: str, other: str, rows: np.ndarray) -> dict[str, np.ndarray]:
    code = paired(known.codes[one], known.codes[other])
    line = Timeline.of(code, known.rank, len(known.clock))
    asked, rank = code[rows], known.rank[rows]
    end = line.until(asked, rank)
    first = np.maximum(line.before(asked, known.clock.opening(MEMORY)[rank]), np.maximum(end - MOST, 0))
    times = np.append(known.time[line.order], 0)
    named = {"payments": (end - first).astype(float), "age_days": (known.time[rows] - times[first]) / DAY}
    return {
        f"{short(one)}_{short(other)}_{what}": np.where(asked >= 0, values, np.nan) for what, values in named.items()
    }
