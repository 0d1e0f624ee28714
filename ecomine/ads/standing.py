"""Where campaigns and people stand at a moment: what a response is worth, what is left to spend, who was reached."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from ecomine.ads.bandits import LinThompson
from ecomine.ads.features import COST, KIND, NONE, campaigns_of, view
from ecomine.ads.params import AdsParams
from ecomine.domain import EVENT_TIMESTAMP, LABEL, Inputs

SEPARATOR = "__"
"""Between the view and the feature in the name of a feature column."""

SHRUNK_BY = 20.0
"""Responses that count as much for a campaign as what is known of its product or kind."""

WEEK = timedelta(days=7)
DRAWS = 400


def campaigns(inputs: Inputs, rows: pd.DataFrame, contacts: pd.DataFrame, params: AdsParams) -> pd.DataFrame:
    """A row a campaign: kind, dates, item_id, whether it runs, value of a response, expected cost of a contact, and
    `share`, the part of its possible contacts that its money suffices for.

    The value of a response is the mean margin of those learnt from, shrunk towards the margin of the advertised
    product, or else of the campaign's kind.
    """
    found = campaigns_of(inputs)
    found["running"] = (found["start_date"] <= inputs.as_of) & ~(found["end_date"] <= inputs.as_of)
    reached = rows[rows["treated"] > 0]
    answered = reached[reached[LABEL] > 0]
    overall = float(answered["money"].mean()) if len(answered) else 0.0
    by_kind = _shrunk(answered.groupby(KIND)["money"].agg(["sum", "count"]), overall)
    prior = found[KIND].map(by_kind).fillna(overall)
    product = found["price"] * found["margin"].fillna(params.margin)
    prior = product.where(found["item_id"].notna() & product.notna(), prior)
    own = answered.groupby("campaign_id")["money"].agg(["sum", "count"]).reindex(found["campaign_id"]).fillna(0.0)
    total, count = own["sum"].to_numpy(float), own["count"].to_numpy(float)
    found["value"] = np.maximum((total + SHRUNK_BY * prior.to_numpy(float)) / (count + SHRUNK_BY), 0.0)
    paid = reached[reached[COST].notna()]
    cost = found[KIND].map(paid.groupby(KIND)[COST].mean())
    cost = cost.fillna(float(paid[COST].mean()) if len(paid) else np.nan).fillna(found["cost_per_contact"])
    found["expected_cost"] = cost.fillna(params.contact_cost).to_numpy(float)
    made = contacts[contacts["treated"] > 0]
    found["spent"] = found["campaign_id"].map(made.groupby("campaign_id")["cost"].sum()).fillna(0.0)
    found["item_id"] = found["item_id"].fillna(NONE)
    found["to_come"] = _to_come(found, contacts, inputs.as_of)
    found["left"] = np.maximum(found["budget"] - found["spent"], 0.0)
    found["share"] = _share(found, params)
    columns = ["campaign_id", KIND, "start_date", "end_date", "item_id", "running", "value", "expected_cost", "to_come",
               "left", "share"]  # fmt: skip
    return found[columns]


def _shrunk(sums: pd.DataFrame, mean: float) -> pd.Series:
    return (sums["sum"] + SHRUNK_BY * mean) / (sums["count"] + SHRUNK_BY)


def _to_come(found: pd.DataFrame, contacts: pd.DataFrame, as_of: datetime) -> np.ndarray:
    """Possible contacts until the end of each campaign, at the pace so far; null where it has no end or had none."""
    first = found["campaign_id"].map(contacts.groupby("campaign_id")["moment"].min())
    days = np.maximum((as_of - first).dt.total_seconds().to_numpy(float) / 86_400, 1.0)
    a_day = found["campaign_id"].map(contacts.groupby("campaign_id").size()).to_numpy(float) / days
    return np.maximum((found["end_date"] - as_of).dt.total_seconds().to_numpy(float) / 86_400, 0.0) * a_day


def _share(found: pd.DataFrame, params: AdsParams) -> np.ndarray:
    """Money left over the money that all contacts to come would cost; `contact_share` where nothing is to be spent."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (found["left"] / (found["to_come"] * found["expected_cost"])).to_numpy(float)
    share = np.where(found["left"] <= 0, 0.0, share)
    # What is drawn by chance costs money too.
    paced = np.clip(share - params.exploration_share, 0.0, 1.0)
    return np.where(found["running"].to_numpy(bool) & ~np.isnan(share), paced, params.contact_share)


def cuts(campaigns: pd.DataFrame, kind: np.ndarray, uplift: np.ndarray) -> np.ndarray:
    """The profit of a contact which, in each campaign, `share` of the people learnt from exceed."""
    level, share = np.zeros(len(campaigns)), campaigns["share"].to_numpy(float)
    for name, here in campaigns.groupby(KIND).indices.items():
        own = np.sort(uplift[kind == name] if (kind == name).any() else uplift)
        level[here] = np.interp((1 - share[here]) * (len(own) - 1), np.arange(len(own)), own)
    return np.asarray(level * campaigns["value"].to_numpy(float) - campaigns["expected_cost"].to_numpy(float))


def recent(contacts: pd.DataFrame, campaigns: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """Contacts made of the last seven days, and all of the campaigns that run: what frequency caps count."""
    running = campaigns.loc[campaigns["running"], "campaign_id"]
    kept = (contacts["treated"] > 0) & ((contacts["moment"] > as_of - WEEK) | contacts["campaign_id"].isin(running))
    made = contacts.loc[kept, ["user_id", "campaign_id", "moment"]].rename(columns={"moment": EVENT_TIMESTAMP})
    return made.sort_values(["user_id", "campaign_id", EVENT_TIMESTAMP], ignore_index=True)


def creatives(contacts: pd.DataFrame, campaigns: pd.DataFrame, seed: int) -> pd.DataFrame:
    """campaign_id, creative_id and `chance`: how often each is shown, as often as it may be the best (Thompson).

    Learnt from clicks where they are known, else from purchases, of contacts made so far.
    """
    made = contacts[contacts["treated"] > 0]
    clicks = made["clicked"].notna().any()
    made = made.assign(reward=made["clicked" if clicks else "converted"].fillna(0.0))
    parts = []
    for campaign in campaigns.loc[campaigns["running"], "campaign_id"]:
        own = made[made["campaign_id"] == campaign]
        arm, names = pd.factorize(own["creative_id"], sort=True)
        if not len(names):
            names, arm = np.array([NONE], object), np.zeros(0, int)
        noise = max(float(own["reward"].std(ddof=0)) if len(own) else 0.0, 0.05)
        bandit = LinThompson(len(names), 1, ridge=1.0, explore=0.05, seed=seed, noise=noise, draws=DRAWS)
        bandit.learn(np.ones((len(own), 1)), arm, own["reward"].to_numpy(float))
        chance = bandit.chances(np.ones((1, 1)))[0]
        parts.append(pd.DataFrame({"campaign_id": campaign, "creative_id": names, "chance": chance / chance.sum()}))
    empty = pd.DataFrame({"campaign_id": [], "creative_id": [], "chance": np.zeros(0)}).astype(
        {"campaign_id": object, "creative_id": object}
    )
    return pd.concat(parts, ignore_index=True) if parts else empty


def users(inputs: Inputs) -> pd.DataFrame:
    """Everybody known: user_id and whether they agreed to be contacted (all did, where the shop does not say)."""
    names = [name for name in ("users", "order_lines", "ad_impressions") if "user_id" in view(inputs, name)]
    everybody = " UNION ".join(f"SELECT DISTINCT user_id FROM ads_{name}" for name in names)
    agreed, join = "true", ""
    if "marketing_consent" in view(inputs, "users"):
        (told,) = inputs.connection.sql("SELECT count(marketing_consent) FROM ads_users").fetchall()[0]
        if told:
            agreed = "coalesce(c.agreed, false)"
            join = """LEFT JOIN (SELECT user_id, bool_and(coalesce(marketing_consent, false)) AS agreed FROM ads_users
                GROUP BY 1) c USING (user_id)"""
    return inputs.connection.sql(
        f"SELECT user_id, {agreed} AS consent FROM ({everybody}) {join} WHERE user_id IS NOT NULL ORDER BY user_id"
    ).df()
