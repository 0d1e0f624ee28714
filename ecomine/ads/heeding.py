"""What ads mind of others: no ad for a product that runs out, no offer to an account that risk holds up."""

import numpy as np
import pandas as pd

from ecomine.ads import policy
from ecomine.ads.features import NONE
from ecomine.domain import Heed

PASSED = "allow"
"""The decision of risk that lets an account pass."""

MOSTLY = 0.5
"""Share of its places at which a product must be running out."""


def _running_out(inventory: pd.DataFrame) -> frozenset[str]:
    short = inventory.groupby("item_id")["about_to_run_out"].mean()
    return frozenset(short.index[short >= MOSTLY])


def _held_up(risk: pd.DataFrame) -> frozenset[str]:
    return frozenset(risk.loc[risk["decision"] != PASSED, "user_id"])


def _left_alone(decisions: pd.DataFrame, who: np.ndarray, reason: str) -> pd.DataFrame:
    """No contact for the rows of `who`; the propensity stays that of what was drawn before."""
    alone = decisions.copy()
    alone.loc[who, ["campaign_id", "creative_id", "item_id"]] = NONE
    alone.loc[who, ["bid", "expected_incremental_profit"]] = 0.0
    alone.loc[who, "reason"] = reason
    return alone


def _without_items(decisions: pd.DataFrame, items: frozenset[str]) -> pd.DataFrame:
    return _left_alone(decisions, decisions["item_id"].isin(items).to_numpy(), policy.RUNNING_OUT)


def _without_users(decisions: pd.DataFrame, users: frozenset[str]) -> pd.DataFrame:
    return _left_alone(decisions, decisions["user_id"].isin(users).to_numpy(), policy.FLAGGED)


HEEDS: dict[str, Heed] = {
    "inventory": Heed(_running_out, _without_items),
    "risk": Heed(_held_up, _without_users),
}
