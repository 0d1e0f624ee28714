"""Allow, review or block: what each costs by the probability of fraud, and which reviews the analysts have time for."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

ALLOW, REVIEW, BLOCK = "allow", "review", "block"


@dataclass(frozen=True)
class Costs:
    """Money. missed: share of the amount lost by a fraud that is let through; fee: lost on top, once a charge-back;
    blocked: share of the amount lost where an honest customer is blocked; annoyance: lost on top, once a block;
    review: an analyst's look; caught: share of the frauds that a look finds.
    """

    missed: float = 1.0
    fee: float = 15.0
    blocked: float = 0.3
    annoyance: float = 10.0
    review: float = 3.0
    caught: float = 0.95


def expected_costs(probability: np.ndarray, amount: np.ndarray, costs: Costs) -> pd.DataFrame:
    """What each action is expected to cost, in money: columns allow, review, block (Elkan 2001)."""
    return pd.DataFrame(costs_by_action(probability, amount, costs))


def costs_by_action(probability: np.ndarray, amount: np.ndarray, costs: Costs) -> dict[str, np.ndarray]:
    """`expected_costs` as arrays by action."""
    allow = probability * (costs.missed * amount + costs.fee)
    return {
        ALLOW: allow,
        REVIEW: costs.review + (1.0 - costs.caught) * allow,
        BLOCK: (1.0 - probability) * (costs.blocked * amount + costs.annoyance),
    }


def decide_payments(
    payments: pd.DataFrame, probability: np.ndarray, costs: Costs, capacity: int, flagged: np.ndarray | None = None
) -> pd.DataFrame:
    """The cheapest action for each payment, with `capacity` reviews a day at most.

    payments: `payment_id`, `event_timestamp`, `amount`. Reviews go to the payments of a day where they save most money
    against the better of allowing and blocking; payments `flagged` by rules come first where a review is not dearer
    than blocking, and are never allowed unseen while there is capacity. Columns: payment_id, event_timestamp, amount,
    probability, action, expected_loss (of the action), saved_by_review, queue (place in the day's list from 1, null
    where not reviewed). Ties are broken by payment_id.
    """
    amount = payments["amount"].to_numpy(float)
    costs_of = expected_costs(np.asarray(probability, float), amount, costs)
    quick = np.minimum(costs_of[ALLOW], costs_of[BLOCK]).to_numpy()
    saved = quick - costs_of[REVIEW].to_numpy()
    forced = np.zeros(len(payments), bool) if flagged is None else np.asarray(flagged, bool)
    forced &= (costs_of[ALLOW] <= costs_of[BLOCK]).to_numpy()
    wanted = (saved > 0) | forced
    day = payments["event_timestamp"].dt.normalize().to_numpy()
    order = np.lexsort((payments["payment_id"].to_numpy(), -saved, ~forced, ~wanted, day))
    fresh = np.append(True, day[order][1:] != day[order][:-1]) if len(order) else np.empty(0, bool)
    begins = np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - begins + 1
    reviewed = wanted & (place <= capacity)
    blocked = ~reviewed & (costs_of[BLOCK] < costs_of[ALLOW]).to_numpy()
    action = np.where(reviewed, REVIEW, np.where(blocked, BLOCK, ALLOW))
    loss = np.where(reviewed, costs_of[REVIEW], np.where(blocked, costs_of[BLOCK], costs_of[ALLOW]))
    return pd.DataFrame(
        {
            "payment_id": payments["payment_id"].to_numpy(),
            "event_timestamp": payments["event_timestamp"].to_numpy(),
            "amount": amount,
            "probability": probability,
            "action": action,
            "expected_loss": loss,
            "saved_by_review": saved,
            "queue": pd.array(np.where(reviewed, place, 0), dtype="Int64"),
        },
        index=payments.index,
    ).assign(queue=lambda frame: frame["queue"].where(frame["queue"] > 0))


def review_queue(decisions: pd.DataFrame) -> pd.DataFrame:
    """Payments to look at, by day and by the money that a look is expected to save."""
    listed = decisions[decisions["action"] == REVIEW]
    day = listed["event_timestamp"].dt.normalize()
    return listed.assign(day=day).sort_values(["day", "queue"], kind="stable").drop(columns="day")


def money(actions: Mapping[str, np.ndarray], fraud: np.ndarray, amount: np.ndarray, costs: Costs) -> pd.DataFrame:
    """What ways of acting turned out to cost, a row a way.

    Columns: missed, blocked, reviews, total, and saved, against allowing everything. actions: name of the way →
    action of each payment. A review finds `costs.caught` of the frauds, on average.
    """
    fraud, amount = np.asarray(fraud, bool), np.asarray(amount, float)
    loss = costs.missed * amount + costs.fee
    everything = float(loss[fraud].sum())
    rows = []
    for name, action in actions.items():
        action = np.asarray(action, object)
        slipped = float(loss[fraud & (action == ALLOW)].sum())
        slipped += (1.0 - costs.caught) * float(loss[fraud & (action == REVIEW)].sum())
        stopped = ~fraud & (action == BLOCK)
        blocked = float((costs.blocked * amount[stopped] + costs.annoyance).sum())
        reviews = costs.review * float((action == REVIEW).sum())
        total = slipped + blocked + reviews
        rows.append((name, slipped, blocked, reviews, total, everything - total))
    return pd.DataFrame(rows, columns=["way", "missed", "blocked", "reviews", "total", "saved"])
