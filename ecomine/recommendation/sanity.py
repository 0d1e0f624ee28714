"""Limits that lists of recommendations must keep, whatever they are worth."""

import numpy as np
import pandas as pd

from ecomine.domain import Check, Inputs
from ecomine.recommendation.model import Recommender
from ecomine.recommendation.policy import blocked
from ecomine.recommendation.purchases import codes


def check(model: Recommender, decisions: pd.DataFrame, inputs: Inputs) -> list[Check]:
    """Every customer has a list of known, different items with scores, and the lists are not all the same."""
    length = inputs.params.list_length
    users = decisions["user_id"].nunique()
    doubled = int(decisions.duplicated(["user_id", "item_id"]).sum())
    longest = int(decisions.groupby("user_id").size().max()) if users else 0
    unknown = int((codes(model.finder.items, decisions["item_id"]) < 0).sum())
    unscored = int((~np.isfinite(decisions["score"].to_numpy(float))).sum())
    silent = int((decisions["reason"].isna() | (decisions["reason"] == "")).sum())
    without = len(model.finder.users) - users
    distinct = decisions["item_id"].nunique()
    shown = codes(model.finder.items, decisions["item_id"])
    shown = shown[shown >= 0]
    sold_out = int((~model.assortment.facts["available"].to_numpy(bool)[shown]).sum())
    barred = int(blocked(model, inputs.params)[shown].sum())
    unsound = int((~decisions["propensity"].between(0, 1, inclusive="right")).sum())
    # A single list for everybody is a broken ranker; a shop with few items or customers cannot show more than it has.
    needed = min(inputs.params.limits.different_items * length, len(model.finder.items) / 2, users)
    return [
        Check.none_of("items_listed_twice", doubled, "items are on the same list twice"),
        Check.at_most("list_length", longest, length, f"the longest list has {longest} items; at most {length}"),
        Check.none_of("unknown_items", unknown, "listed items were never sold"),
        Check.none_of("out_of_stock", sold_out, "listed items are out of stock"),
        Check.none_of("blocked", barred, "listed items are blocked"),
        Check.none_of("propensities", unsound, "propensities are not in (0, 1]"),
        Check.none_of("null_scores", unscored, "scores are null or infinite"),
        Check.none_of("no_reason", silent, "listed items have no reason"),
        Check.none_of("customers_without_list", without, "customers have no list"),
        Check(
            "different_items",
            float(distinct),
            float(needed),
            distinct >= needed and users > 0,
            f"{distinct:,} different items on {users:,} lists; at least {needed:.0f}",
        ),
    ]
