"""Payments that are happening: what a guard remembers and what came since, put together and judged in a millisecond.

No frames on this way: for one row they cost more than all that is computed. What is told equals `policy.judge` on the
same rows, bit by bit; a test holds them to each other.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from ecomine.columns import READ, require
from ecomine.risk import rules
from ecomine.risk.decisions import ALLOW, BLOCK, REVIEW
from ecomine.risk.features import FEAST_KEYS, FRAUD, OWN
from ecomine.risk.model import Guard
from ecomine.risk.moment import PLACE, Event, features
from ecomine.risk.params import RiskParams
from ecomine.risk.timeline import SCALE
from ecomine.risk.velocity import ENTITIES

Known = tuple[str, Event]
"""A payment_id and its payment."""

REASONS = 3


@dataclass(frozen=True)
class Told:
    """What to do with a payment; expected_loss is that of the decision."""

    decision: str
    score: float
    reasons: list[str]
    rules: list[str]
    expected_loss: float
    saved_by_review: float


def judge_live(
    model: Guard,
    payments: Sequence[Known],
    methods: Sequence[str | None],
    since: Sequence[Known],
    look_up: Callable[[Mapping[str, Sequence[Any]]], Any],
    params: RiskParams,
) -> list[Told]:
    """Decisions on payments, in their order; each sees those before it in the list.

    since: payments later than the model's as_of, in order of time. look_up: adds online features, see OnlineReader.
    Raises FeatureError where a feature the model learned from is missing.
    """
    own = own_values(model, payments, methods, since)
    found = look_up({name: [event[PLACE[name]] for _, event in payments] for name in FEAST_KEYS})
    names, places = _places(tuple(found.features), tuple(model.features), tuple(model.events.names))
    whole = np.concatenate([own, np.asarray(found.values, np.float32)], axis=1)
    values = whole[:, places]
    probability = model.events.predict_values(values)
    hit = rules_hit(model, params, names, whole)
    costs = model.costs(probability, np.array([event.amount / SCALE for _, event in payments]), params)
    allow, review, block = (costs[name].tolist() for name in (ALLOW, REVIEW, BLOCK))
    saved = (np.minimum(costs[ALLOW], costs[BLOCK]) - costs[REVIEW]).tolist()
    actions = [act(model, *row[:3], bool(row[3])) for row in zip(allow, block, saved, hit, strict=True)]
    reasons = _reasons(model, values)
    return [
        Told(
            decision=action,
            score=score,
            reasons=reasons[row],
            rules=hit[row],
            expected_loss={ALLOW: allow, REVIEW: review, BLOCK: block}[action][row],
            saved_by_review=saved[row],
        )
        for row, (action, score) in enumerate(zip(actions, probability.tolist(), strict=True))
    ]


@lru_cache(16)
def _places(
    found: tuple[str, ...], wanted: tuple[str, ...], learned: tuple[str, ...]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of own and found features, and where those that the model learned from stand among them."""
    require(found, wanted, "rows", READ)
    names = (*OWN[FRAUD], *found)
    places = {name: place for place, name in enumerate(names)}
    return names, np.array([places[name] for name in learned])


def act(model: Guard, allow: float, block: float, saved: float, hit: bool) -> str:
    """The action for a payment that is happening: a look where that saves what the last look of a usual day saves.

    Where a rule hits what would be allowed, it is looked at.
    """
    if (saved > 0 and saved >= model.review_price) or (hit and allow <= block):
        return REVIEW
    return BLOCK if block < allow else ALLOW


def rules_hit(model: Guard, params: RiskParams, names: Sequence[str], values: np.ndarray) -> list[list[str]]:
    """Names of the rules that each row hits."""
    known = model.rules(params)
    if not known:
        return [[] for _ in values]
    wanted = sorted({name for rule in known.values() for name in rule.features})
    places = {name: place for place, name in enumerate(names)}
    frame = pd.DataFrame({name: values[:, places[name]] for name in wanted})
    flags = {name: rules.hits(rule, frame) for name, rule in known.items()}
    return [[name for name, hits in flags.items() if hits[row]] for row in range(len(values))]


def _reasons(model: Guard, values: np.ndarray) -> list[list[str]]:
    """What raises the score of each row most, up to REASONS of it."""
    names, told = model.events.names, []
    parts = model.events.contributed(values)
    best = np.argsort(-parts.astype(float), axis=1, kind="stable")[:, :REASONS]
    for row, places in enumerate(best):  # of five hundred rows at most
        shown = [(names[place], float(values[row, place])) for place in places if parts[row, place] > 0]
        told.append([f"{name} = {'unknown' if value != value else format(value, '.4g')}" for name, value in shown])
    return told


def own_values(
    model: Guard, payments: Sequence[Known], methods: Sequence[str | None], since: Sequence[Known]
) -> np.ndarray:
    """OWN[FRAUD] of the payments (rows × columns, float32), in their order; each sees those before it in the list.

    since: payments later than the model's as_of, in order of time.
    """
    assert model.memory is not None, "a guard of orders has no memory of payments"
    later: dict[tuple[str, str], list[Known]] = defaultdict(list)

    def note(payment: Known) -> None:
        for name in ENTITIES:
            value = payment[1][PLACE[name]]
            if value is not None:
                later[name, str(value)].append(payment)

    asked = {payment_id for payment_id, _ in payments}
    for one in since:
        if one[0] not in asked:
            note(one)
    values = np.empty((len(payments), len(OWN[FRAUD])), np.float32)
    for number, ((payment_id, event), method) in enumerate(zip(payments, methods, strict=True)):
        before = model.memory.past(event, payment_id)
        past = {}
        for name, known in before.items():
            fresh = [
                other
                for other in later.get((name, str(event[PLACE[name]])), ())
                if other[0] != payment_id and other[1].time <= event.time
            ]
            seen = {id_ for id_, _ in known}
            past[name] = [other for _, other in known] + [other for id_, other in fresh if id_ not in seen]
        values[number] = np.concatenate([features(event, method, past), model.memory.ring(event)])
        note((payment_id, event))
    return values
