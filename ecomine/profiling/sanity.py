"""Limits that profiles must keep, whatever they are worth."""

import numpy as np
import pandas as pd

from ecomine.domain import Check, Inputs
from ecomine.profiling.model import Profiler

PROBABILITIES = ("alive", "churn", "buy", "session_purchase")


def check(model: Profiler, decisions: pd.DataFrame, inputs: Inputs) -> list[Check]:
    """Everybody has one profile, probabilities and intervals are such, segments tell, the total can be believed."""
    limits, people = inputs.params.limits, len(model.people)
    doubled = int(decisions["user_id"].duplicated().sum())
    chances = decisions[list(PROBABILITIES)].to_numpy(float)
    wrong = int((~((chances >= 0) & (chances <= 1))).sum())
    money = decisions[["value_low", "value", "value_high"]].to_numpy(float)
    ordered = np.isfinite(money).all(axis=1) & (np.diff(money, axis=1) >= 0).all(axis=1) & (money[:, 0] >= 0)
    crossed = int((~ordered).sum())
    silent = int((decisions["value_reason"] == "").sum())
    widest = float(decisions["segment"].value_counts(normalize=True).max()) if len(decisions) else 1.0
    total, spent = float(money[:, 1].sum()), _spent(inputs)
    times = total / spent if spent > 0 else 1.0
    return [
        Check.none_of(
            "customers_without_profile", people - decisions["user_id"].nunique(), "customers have no profile"
        ),
        Check.none_of("customers_twice", doubled, "customers have more than one profile"),
        Check.none_of("probabilities", wrong, "probabilities are not between 0 and 1"),
        Check.none_of("intervals", crossed, "values are not within their interval, negative or null"),
        Check.none_of("no_reason", silent, "profiles have no reason"),
        Check(
            "widest_segment",
            widest,
            limits.widest_segment,
            widest <= limits.widest_segment,
            f"{widest:.0%} of the customers are in one segment; at most {limits.widest_segment:.0%}",
        ),
        Check(
            "total_value",
            times,
            limits.most_total,
            limits.least_total <= times <= limits.most_total,
            f"the value of all is {times:.2f} times what was spent in the {inputs.params.horizon_days} days before; "
            f"between {limits.least_total:g} and {limits.most_total:g}",
        ),
    ]


def _spent(inputs: Inputs) -> float:
    found = (
        inputs.tables["order_lines"]
        .filter(
            f"event_timestamp <= TIMESTAMP '{inputs.as_of}' AND event_timestamp > TIMESTAMP '{inputs.as_of}' - "
            f"INTERVAL {inputs.params.horizon_days} DAY"
        )
        .query("lines", "SELECT coalesce(SUM(CAST(quantity * unit_price AS DECIMAL(18, 4))), 0) FROM lines")
        .fetchall()
    )
    return float(found[0][0])
