"""Frames to draw: whom a ranking finds, what a budget buys, what policies are worth by the log."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ecomine import policy_value
from ecomine.ads.features import KIND
from ecomine.ads.model import Placement
from ecomine.ads.uplift_metrics import qini_curve

POINTS = 100
"""Points of a curve, at most."""

SAMPLES, CONFIDENCE = 200, 0.95
NOBODY = "nobody"


def qini(scores: Mapping[str, np.ndarray], treated: np.ndarray, outcome: np.ndarray) -> pd.DataFrame:
    """method, share (of the people, best first), gained: answers that come a thousand people, where the share is
    reached; the last of each method is the effect of reaching everybody. `random` is the straight line to it.

    See `uplift_metrics.qini_curve`; the answers gained among the treated of a share are told of as many as all people.
    """
    parts, count = [], len(treated)
    for name in sorted(scores):
        people, gained = qini_curve(scores[name], treated, outcome)
        at = np.unique(np.linspace(0, len(people) - 1, min(POINTS, len(people))).astype(int))
        parts.append(pd.DataFrame({"method": name, "share": people[at] / count, "gained": gained[at]}))
    ends = pd.DataFrame({"method": "random", "share": [0.0, 1.0], "gained": [0.0, float(parts[0]["gained"].iloc[-1])]})
    curve = pd.concat([*parts, ends], ignore_index=True)
    return curve.assign(gained=curve["gained"] * 1000 / max(float(treated.sum()), 1.0))


def budget(scored: pd.DataFrame, gain: np.ndarray) -> pd.DataFrame:
    """What more money buys, contacts of the greatest expected profit a unit of money first.

    Columns share (of the contacts), contacts, spent, expected and realised (money they bring less what they cost, as
    told before and as it came) and marginal (expected profit of the last contact a unit of money).
    """
    cost = scored["cost"].to_numpy(float)
    profit = (scored["uplift"] * scored["value"]).to_numpy(float) - cost
    rate = profit / np.maximum(cost, 1e-9)
    order = np.argsort(-rate, kind="stable")
    at = np.unique(np.linspace(1, len(order), min(POINTS, len(order))).astype(int)) - 1
    return pd.DataFrame(
        {
            "share": (at + 1) / len(order),
            "contacts": at + 1,
            "spent": np.cumsum(cost[order])[at],
            "expected": np.cumsum(profit[order])[at],
            "realised": np.cumsum(gain[order])[at],
            "marginal": rate[order][at],
        }
    )


def campaigns(model: Placement) -> pd.DataFrame:
    """The campaigns that run: campaign_id, kind, value of an answer, expected_cost of a contact, contacts to come,
    money left, share of the contacts that it suffices for, and cut, the least profit that a contact must bring.
    """
    running = model.campaigns[model.campaigns["running"]]
    named = ["campaign_id", KIND, "value", "expected_cost", "to_come", "left", "share", "cut"]
    return running[named].sort_values("campaign_id", ignore_index=True)


def off_policy(
    reward: np.ndarray, treated: np.ndarray, chance: np.ndarray, with_it: np.ndarray, without: np.ndarray,
    user: np.ndarray, methods: Mapping[str, np.ndarray], seed: int,
) -> pd.DataFrame:  # fmt: skip
    """method, estimator, value (money a contact that could be made), low, high, effective; null where the log of
    contacts cannot tell.

    chance: with which each was contacted; with_it, without: money that the model expects of each; methods: the
    probability with which each would contact. `nobody` contacts nobody. See `ecomine.policy_value`.
    """
    action = treated > 0
    parts = []
    for name, share in {**methods, NOBODY: np.zeros(len(reward))}.items():
        share = np.clip(share, 0.0, 1.0)
        log = policy_value.Log(
            reward,
            np.where(action, chance, 1 - chance),
            np.where(action, share, 1 - share),
            np.where(action, with_it, without),
            share * with_it + (1 - share) * without,
            user,
        )
        table = policy_value.table(log, confidence=CONFIDENCE, samples=SAMPLES, seed=seed)
        parts.append(table.drop(columns="why").assign(method=name))
    told = pd.concat(parts, ignore_index=True)
    return told[["method", "estimator", "value", "low", "high", "effective"]]
