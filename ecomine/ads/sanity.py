"""Limits that contacts must keep, whatever they are worth."""

from datetime import timedelta

import numpy as np
import pandas as pd

from ecomine.ads.features import NONE, contacts_of, view
from ecomine.ads.model import Placement
from ecomine.ads.placing import EXPLORED
from ecomine.domain import EVENT_TIMESTAMP, Check, Inputs

GROUPS = ("age_group", "income_group", "region")
FACTORS = (0.5, 1.0, 2.0)


def check(model: Placement, decisions: pd.DataFrame, inputs: Inputs) -> list[Check]:
    """Everybody is decided on once; consent, caps and money are heeded; scores are calibrated and blind to names."""
    reached = decisions[decisions["campaign_id"] != NONE]
    everybody = len(model.users)
    running = model.campaigns.loc[model.campaigns["running"], "campaign_id"]
    profit = reached.loc[reached["reason"] != EXPLORED, "expected_incremental_profit"].to_numpy(float)
    least = inputs.params.rules.least_profit
    error, noise = (model.validated.get(f"calibration_{name}", 0.0) for name in ("error", "noise"))
    named = "response" if not model.claims else "uplift"
    return [
        Check.none_of("people_without_decision", everybody - decisions["user_id"].nunique(), "people have no decision"),
        Check.none_of("people_twice", int(decisions["user_id"].duplicated().sum()), "people have two decisions"),
        Check.none_of("not_running", int((~reached["campaign_id"].isin(running)).sum()), "contacts by no campaign"),
        Check.none_of("no_consent", without_consent(reached, inputs), "contacts of people who did not agree"),
        Check.none_of("too_often", too_often(reached, inputs), "contacts of people who were contacted often enough"),
        Check.none_of("over_budget", over_budget(model, reached), "campaigns would spend more than they have"),
        Check.none_of("not_worth_it", int((profit <= least).sum()), "contacts are not expected to pay"),
        Check.none_of(
            "propensities",
            int((~decisions["propensity"].between(0, 1, inclusive="right")).sum()),
            "propensities are not in (0, 1]",
        ),
        Check.none_of("bids", int((reached["bid"] <= 0).sum() - _explored(reached)), "contacts have no bid"),
        Check.none_of("no_reason", int((decisions["reason"] == "").sum()), "decisions have no reason"),
        Check.none_of("claims", int((decisions["method"] != named).sum()), "decisions claim an uplift that is none"),
        Check.at_most(
            "calibration",
            error,
            inputs.params.limits.calibration_error + noise,
            f"chances of a response are off by {error:.3f} on average, on later campaigns of the training time; true "
            f"ones would be by {noise:.3f}, by chance",
        ),
        Check.none_of("names_matter", names_matter(model), "people who are alike but in name are told apart"),
        Check.none_of("dearer_pays_more", dearer_pays_more(model), "campaigns are worth more when they cost more"),
        Check.none_of("groups_harmed", len(harmed(reached, inputs)), "groups of people are contacted at a loss"),
    ]


def _explored(reached: pd.DataFrame) -> int:
    return int(((reached["bid"] <= 0) & (reached["reason"] == EXPLORED)).sum())


def without_consent(reached: pd.DataFrame, inputs: Inputs) -> int:
    """Contacts of people whose row in `users` does not say that they agreed, where the shop asks for consent at all."""
    if "marketing_consent" not in view(inputs, "users"):
        return 0
    told = inputs.connection.sql(
        "SELECT user_id, bool_and(marketing_consent) AS agreed FROM ads_users WHERE marketing_consent IS NOT NULL "
        "GROUP BY user_id"
    ).df()
    agreed = told.loc[told["agreed"].astype(bool), "user_id"]
    return int((~reached["user_id"].isin(agreed)).sum()) if len(told) else 0


def too_often(reached: pd.DataFrame, inputs: Inputs) -> int:
    """Contacts that break a cap, counted from the shop's own table of contacts."""
    rules, as_of = inputs.params.rules, pd.Timestamp(inputs.as_of)
    made = contacts_of(inputs)
    made = made[made["treated"] > 0]
    today = made[made["moment"] >= as_of.normalize()].groupby("user_id").size()
    week = made[made["moment"] > as_of - timedelta(days=7)].groupby("user_id").size()
    pair = made.groupby(["user_id", "campaign_id"]).size()
    by_it = pair.reindex(pd.MultiIndex.from_frame(reached[["user_id", "campaign_id"]])).fillna(0).to_numpy()
    broken = np.zeros(len(reached), bool)
    for most, count in (
        (rules.per_day, reached["user_id"].map(today).fillna(0).to_numpy()),
        (rules.per_week, reached["user_id"].map(week).fillna(0).to_numpy()),
        (rules.per_campaign, by_it),
    ):
        if most is not None:
            broken |= count >= most
    return int(broken.sum())


def over_budget(model: Placement, reached: pd.DataFrame) -> int:
    """Campaigns whose contacts to come would, decided as these are, cost more than is left of their budget."""
    place = model.campaigns.set_index("campaign_id")
    part = reached.groupby("campaign_id").size() / max(len(model.users), 1)
    place = place.reindex(part.index)
    spent = part * place["to_come"] * place["expected_cost"]
    return int((spent > place["left"] + place["expected_cost"] + 1e-9).sum())


def _usual(model: Placement, campaigns: pd.DataFrame) -> pd.DataFrame:
    """A request for a person of the usual features and each campaign."""
    frame = pd.DataFrame({name: model.usual[name] for name in model.features}, index=range(len(campaigns)))
    day = pd.Timestamp(model.as_of).value / 86_400e9
    days = [name for name in model.features if name.endswith("_day")]
    frame[days] = day - frame[days]
    return frame.assign(
        user_id="a", campaign_id=campaigns["campaign_id"].to_numpy(object), kind=campaigns["kind"].to_numpy(object),
        elsewhere=0.0, **{EVENT_TIMESTAMP: pd.Timestamp(model.as_of).as_unit("us")},
    )  # fmt: skip


def names_matter(model: Placement) -> int:
    """Campaigns for which two people who differ in nothing but their id get different scores."""
    running = model.campaigns[model.campaigns["running"]]
    asked = _usual(model, running)
    both = [model.score(asked.assign(user_id=name)).drop(columns="user_id") for name in ("a", "z")]
    return int((both[0] != both[1]).any(axis=1).sum())


def dearer_pays_more(model: Placement) -> int:
    """Campaigns whose contact of the usual person would be worth more, or bid higher, at a higher cost."""
    running = model.campaigns[model.campaigns["running"]]
    scored = model.score(_usual(model, running))
    profit = np.stack([scored["uplift"] * scored["value"] - factor * scored["cost"] for factor in FACTORS])
    return int((np.diff(profit, axis=0) > 1e-12).any(axis=0).sum())


def harmed(reached: pd.DataFrame, inputs: Inputs) -> list[str]:
    """Groups by age, income or region whose contacts are, all together, expected to lose money."""
    there = [name for name in GROUPS if name in view(inputs, "users")]
    if not there:
        return []
    columns = ", ".join(f"any_value({name}) AS {name}" for name in there)
    people = inputs.connection.sql(f"SELECT user_id, {columns} FROM ads_users GROUP BY user_id").df()
    rows = reached.merge(people, on="user_id", how="left")
    found = []
    for name in there:
        groups = rows.groupby(name)["expected_incremental_profit"].agg(["sum", "size"])
        lost = groups[(groups["sum"] < 0) & (groups["size"] >= inputs.params.limits.least_group)]
        found += [f"{name} {group}" for group in lost.index]
    return found
