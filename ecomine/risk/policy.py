"""From scores to decisions: the cheapest action for each payment, and the queue that analysts work through."""

import numpy as np
import pandas as pd

from ecomine.risk import rules
from ecomine.risk.decisions import ALLOW, BLOCK, REVIEW
from ecomine.risk.features import DAY, PAID_AT, STAKE
from ecomine.risk.model import Guard
from ecomine.risk.params import RiskParams

DECISION_COLUMNS = (
    "payment_id", "day", "paid_at", "user_id", "amount", "mode", "score", "decision", "queue", "expected_loss",
    "saved_by_review", "rules", "reason_1", "reason_2", "reason_3",
)  # fmt: skip
"""score: probability of fraud or, without labels, −log10 of the share of orders as strange. queue: place among what is
to be looked at on its day, from 1, by the money that a look is expected to save; 0 for what is not. rules: names of
those that hit, with commas."""


def judge(model: Guard, frame: pd.DataFrame, params: RiskParams) -> pd.DataFrame:
    """What is thought of each row by itself: score, cost of each action, saved_by_review, rules, reasons.

    Raises FeatureError where a feature the model learned from is missing, SettingsError for a rule that cannot be.
    """
    probability, score = model.score(frame)
    costs = model.costs(probability, frame[STAKE].to_numpy(float), params)
    hit = {name: rules.hits(rule, frame) for name, rule in model.rules(params).items()}
    names = np.full(len(frame), "", object)
    for name, flags in hit.items():
        names[flags] = np.where(names[flags] == "", name, names[flags] + f", {name}")
    quick = np.minimum(costs[ALLOW], costs[BLOCK])
    return pd.DataFrame(
        {
            "score": np.asarray(score, float),
            **{name: costs[name] for name in (ALLOW, REVIEW, BLOCK)},
            "saved_by_review": quick - costs[REVIEW],
            "rules": names,
            **model.reasons(frame),
        },
        index=frame.index,
    )


def decide(model: Guard, frame: pd.DataFrame, params: RiskParams) -> pd.DataFrame:
    """Decisions: columns DECISION_COLUMNS, a row a payment, sorted by day, place in the queue, then payment_id.

    Looks go where they save most, `capacity` a day at most; what rules hit is looked at first, where blocking it is not
    cheaper.
    """
    told = judge(model, frame, params)
    action, place = queued(told, frame, params.capacity)
    loss = np.select([action == REVIEW, action == BLOCK], [told[REVIEW], told[BLOCK]], told[ALLOW])
    decisions = pd.DataFrame(
        {
            "payment_id": frame["payment_id"].astype(object),
            "day": frame[DAY].astype(object),
            "paid_at": frame[PAID_AT],
            "user_id": frame["user_id"].astype(object),
            "amount": frame[STAKE].astype(float),
            "mode": model.mode,
            "score": told["score"],
            "decision": action,
            "queue": place,
            "expected_loss": np.asarray(loss, float),
            **{name: told[name] for name in ("saved_by_review", "rules", "reason_1", "reason_2", "reason_3")},
        }
    )
    last = decisions["queue"].where(decisions["queue"] > 0, np.iinfo(np.int64).max)
    order = np.lexsort((decisions["payment_id"].to_numpy(), last, decisions["day"].to_numpy()))
    return decisions.iloc[order].reset_index(drop=True)[list(DECISION_COLUMNS)]


def queued(told: pd.DataFrame, frame: pd.DataFrame, capacity: int) -> tuple[np.ndarray, np.ndarray]:
    """The action of each row, and its place in the queue of its day, 0 where it is not looked at."""
    saved = told["saved_by_review"].to_numpy(float)
    blocks = (told[BLOCK] < told[ALLOW]).to_numpy()
    forced = (told["rules"] != "").to_numpy() & ~blocks
    wanted = (saved > 0) | forced
    day = frame[DAY].to_numpy(object)
    number = pd.factorize(day, sort=True)[0]
    order = np.lexsort((frame["payment_id"].to_numpy(), -saved, ~forced, ~wanted, number))
    fresh = np.append(True, number[order][1:] != number[order][:-1]) if len(order) else np.empty(0, bool)
    begins = np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - begins + 1
    looked = wanted & (rank <= capacity)
    # The place tells expected money alone: rules decide what gets in, not what comes first.
    by_money = np.lexsort((frame["payment_id"].to_numpy(), -saved, ~looked, number))
    place = np.empty(len(order), np.int64)
    place[by_money] = np.arange(len(order)) - begins + 1
    action = np.where(looked, REVIEW, np.where(blocks, BLOCK, ALLOW)).astype(object)
    return action, np.where(looked, place, 0)
