"""What ads mind of others: no ad for a product that runs out, no offer to an account that risk holds up."""

import pandas as pd

from ecomine.ads import policy
from ecomine.ads.placing import left_alone
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


def _without_items(decisions: pd.DataFrame, items: frozenset[str]) -> pd.DataFrame:
    return left_alone(decisions, decisions["item_id"].isin(items).to_numpy(), policy.RUNNING_OUT)


def _without_users(decisions: pd.DataFrame, users: frozenset[str]) -> pd.DataFrame:
    return left_alone(decisions, decisions["user_id"].isin(users).to_numpy(), policy.FLAGGED)


HEEDS: dict[str, Heed] = {
    "inventory": Heed(_running_out, _without_items),
    "risk": Heed(_held_up, _without_users),
}
