"""Limits that decisions on payments must keep, whatever they save."""

import numpy as np
import pandas as pd

from ecomine.domain import Check, Inputs
from ecomine.risk.decisions import ALLOW, BLOCK, REVIEW
from ecomine.risk.features import FEAST_KEYS, FRAUD, OWN
from ecomine.risk.model import Guard

GROUPS = ("age_group", "income_group", "household", "region")


def check(model: Guard, decisions: pd.DataFrame, inputs: Inputs) -> list[Check]:
    """Each payment that waits has one decision and place, equal ones score alike, few are blocked, of no group more."""
    limits, waiting = inputs.params.limits, model.requests()
    odd = ~decisions["decision"].isin([ALLOW, REVIEW, BLOCK])
    numbers = decisions[["score", "expected_loss"]].to_numpy(float)
    wrong = ~np.isfinite(numbers).all(axis=1) | (numbers < 0).any(axis=1)
    if model.mode == FRAUD:
        wrong |= numbers[:, 0] > 1
    silent = (decisions["decision"] != ALLOW) & (decisions["reason_1"] == "") & (decisions["rules"] == "")
    lacking = len(waiting) - int(waiting["payment_id"].isin(decisions["payment_id"]).sum())
    blocked = float((decisions["decision"] == BLOCK).mean()) if len(decisions) else 0.0
    expected = abs(float(np.log(max(model.calibration, 1e-9))))
    return [
        Check.none_of("nothing_decided", int(not len(decisions)), "empty tables of decisions"),
        Check.none_of("payments_without_decision", lacking, "payments that wait have no decision"),
        Check.none_of("payments_twice", int(decisions["payment_id"].duplicated().sum()), "payments are there twice"),
        Check.none_of("unknown_decisions", int(odd.sum()), "decisions are none of allow, review, block"),
        Check.none_of("scores", int(wrong.sum()), "scores or losses are no sensible numbers"),
        Check.none_of("no_reason", int(silent.sum()), "payments are stopped without a reason"),
        Check.none_of("queue", queue_faults(decisions, inputs.params.capacity), "days have a queue out of order"),
        Check.none_of("equals_apart", equals_apart(model, decisions), "groups of equal payments have several scores"),
        Check.at_most("blocked", blocked, limits.blocked, f"{blocked:.2%} of the payments are blocked"),
        Check.at_most(
            "calibration",
            float(np.exp(expected)),
            limits.calibration,
            f"{model.calibration:.2f} frauds are expected for one that is known, among the likeliest tenth",
        ),
        Check.none_of("groups_harmed", harmed(decisions, inputs), "groups are blocked more often than chance explains"),
    ]


def queue_faults(decisions: pd.DataFrame, capacity: int) -> int:
    """Days whose queue is longer than analysts can work through, or not numbered from 1 by the money saved."""
    listed = decisions[decisions["decision"] == REVIEW]
    wrong = set(decisions.loc[(decisions["decision"] != REVIEW) & (decisions["queue"] != 0), "day"])
    listed = listed.sort_values(["day", "queue"], kind="stable")
    place = listed.groupby("day").cumcount() + 1
    rises = listed.groupby("day")["saved_by_review"].diff().fillna(0.0) > 1e-9
    wrong |= set(listed.loc[(place != listed["queue"]) | rises | (place > capacity), "day"])
    return len(wrong)


def equals_apart(model: Guard, decisions: pd.DataFrame) -> int:
    """Groups of waiting payments that look the same in every way and yet have different scores."""
    names = [*OWN[model.mode], *FEAST_KEYS]
    rows = model.requests()[["payment_id", *names]].merge(decisions[["payment_id", "score"]], on="payment_id")
    if rows.empty:
        return 0
    same = pd.util.hash_pandas_object(rows[names].astype(str), index=False)
    scores = rows["score"].groupby(same.to_numpy()).agg(["min", "max"])
    return int((scores["max"] - scores["min"] > 1e-9).sum())


def harmed(decisions: pd.DataFrame, inputs: Inputs) -> int:
    """Groups of customers, as far as they are known, that are blocked so many times as often as all, beyond chance."""
    if "users" not in inputs.tables or decisions.empty:
        return 0
    people = inputs.tables["users"].df().set_index("user_id")
    blocked = (decisions["decision"] == BLOCK).to_numpy(float)
    limits = inputs.params.limits
    usual, count = float(blocked.mean()), 0
    for column in (name for name in GROUPS if name in people):
        group = decisions["user_id"].map(people[column])
        table = pd.Series(blocked).groupby(group.to_numpy(object)).agg(["mean", "size"])
        noise = limits.chance * np.sqrt(max(usual * (1 - usual), 1e-12) / table["size"])
        count += int((table["mean"] > limits.harm * usual + noise).sum()) if len(table) > 1 else 0
    return count
