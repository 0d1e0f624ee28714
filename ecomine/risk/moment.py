"""What `velocity.py` tells, of one payment that is happening: plain loops over the payments of its own entities.

A payment in a thousandth of a second needs no columns. `Event` is a payment as few words as will do.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ecomine.risk.behaviour import DAY, HOUR
from ecomine.risk.timeline import SCALE
from ecomine.risk.velocity import COMPANY, ENTITIES, MEMORY, MET, METHODS, MOST, PAIRS, WINDOWS

NAN = float("nan")


class Event(NamedTuple):
    """A payment: time in microseconds since 1970, money in whole ten-thousandths, and the entities of ENTITIES."""

    time: int
    amount: int
    card_id: str | None
    user_id: str | None
    device_id: str | None
    address_id: str | None
    ip: str | None


PLACE = {name: Event._fields.index(name) for name in ENTITIES}


def features(payment: Event, method: str | None, past: Mapping[str, Sequence[Event]]) -> np.ndarray:
    """Features `velocity.names()` of a payment, float32.

    past: entity (of ENTITIES) → the payments of the payment's own card, device …, in order of time, none later than it
    and not itself; older ones than are needed may be among them.
    """
    values: list[float] = [
        payment.amount / SCALE,
        payment.time % DAY / HOUR,
        (payment.time // DAY + 3) % 7,
        METHODS.index(method) if method in METHODS else NAN,
    ]
    for name in ENTITIES:
        known = payment[PLACE[name]] is not None
        values += _use(payment, name, past.get(name, ())) if known else _unknown(name)
    for one, other in PAIRS:
        values += _pair(payment, one, other, past.get(one, ()))
    return np.array(values, np.float32)


def _unknown(name: str) -> list[float]:
    return [NAN] * (2 * len(WINDOWS) + 4 + len(COMPANY) * sum(other != name for other in MET))


def _use(payment: Event, name: str, past: Sequence[Event]) -> list[float]:
    now = payment.time
    events = [event for event in past[-(MOST - 1) :] if event.time > now - MEMORY]
    counts, sums = [], []
    for window in WINDOWS.values():
        opening, count, money = now - window, 1, payment.amount
        for event in reversed(events):
            if event.time <= opening:
                break
            count += 1
            money += event.amount
        counts.append(float(count))
        sums.append(money / SCALE)
    earlier = [event for event in events if event.time < now]
    mean = sum(event.amount for event in earlier) / len(earlier) if earlier else 0.0
    values = [
        *counts,
        *sums,
        float(len(events) + 1),
        (now - earlier[0].time) / DAY if earlier else 0.0,
        (now - earlier[-1].time) / HOUR if earlier else NAN,
        payment.amount / mean if mean > 0 else NAN,
    ]
    for other in (other for other in MET if other != name):
        place = PLACE[other]
        for window in COMPANY.values():
            met = {event[place] for event in past if event.time > now - window}
            met.add(payment[place])
            met.discard(None)
            values.append(float(len(met)))
    return values


def _pair(payment: Event, one: str, other: str, past: Sequence[Event]) -> list[float]:
    place, now = PLACE[other], payment.time
    if payment[PLACE[one]] is None or payment[place] is None:
        return [NAN, NAN]
    times = [event.time for event in past if event[place] == payment[place] and event.time > now - MEMORY]
    times = times[-(MOST - 1) :]
    return [float(len(times) + 1), (now - times[0]) / DAY if times else 0.0]
