"""Payments that are happening: what a guard remembers and what came since, put together and judged in a millisecond.

No frames on this way: for one row they cost more than all that is computed. What is told equals `policy.judge` on the
same rows, bit by bit; a test holds them to each other.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    look_up: Callable[[pd.DataFrame], Any],
    params: RiskParams,
) -> list[Told]:
    """Decisions on payments, in their order; each sees those before it in the list.

    since: payments later than the model's as_of, in order of time. look_up: adds online features, see OnlineReader.
    Raises FeatureError where a feature the model learned from is missing.
    """
    own = own_values(model, payments, methods, since)
    keys = {name: [event[PLACE[name]] for _, event in payments] for name in FEAST_KEYS}
    found = look_up(pd.DataFrame(keys))
    require(found.features, model.features, "rows", READ)
    whole = np.column_stack([own, np.asarray(found.values, np.float32)])
    names = [*OWN[FRAUD], *found.features]
    places = {name: place for place, name in enumerate(names)}
    values = whole[:, [places[name] for name in model.events.names]]
    probability = model.events.predict_values(values)
    parts = model.events.contributed(values)
    hit = rules_hit(model, params, names, whole)
    costs = model.costs(probability, np.array([event.amount / SCALE for _, event in payments]), params)
    allow, review, block = (costs[name] for name in (ALLOW, REVIEW, BLOCK))
    saved = np.minimum(allow, block) - review
    told = []
    for row in range(len(payments)):  # five hundred at most
        action = act(model, float(allow[row]), float(block[row]), float(saved[row]), bool(hit[row]))
        told.append(
            Told(
                decision=action,
                score=float(probability[row]),
                reasons=_reasons(model.events.names, values[row], parts[row]),
                rules=hit[row],
                expected_loss=float({ALLOW: allow, REVIEW: review, BLOCK: block}[action][row]),
                saved_by_review=float(saved[row]),
            )
        )
    return told


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


def _reasons(names: Sequence[str], values: np.ndarray, parts: np.ndarray) -> list[str]:
    best = np.argsort(-parts.astype(float), kind="stable")[:REASONS]
    shown = [(names[place], float(values[place])) for place in best if parts[place] > 0]
    return [f"{name} = {'unknown' if value != value else format(value, '.4g')}" for name, value in shown]


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
