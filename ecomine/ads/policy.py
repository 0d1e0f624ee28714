"""From what a contact would change to who is contacted: worth, rules, priorities and budgets.

`decide` takes candidates, one row a person, campaign and creative, and says of each whether it is chosen, and why not.
All tables are frames; what is not given is not asked about.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from ecomine.ads.params import PlacementRules
from ecomine.columns import require
from ecomine.errors import FeatureError

CHOSEN = "chosen"
NO_CONSENT = "no consent to advertising"
FLAGGED = "the account is flagged"
RUNNING_OUT = "the item is about to run out"
NOT_RUNNING = "the campaign is not running"
OFTEN_TODAY, OFTEN_THIS_WEEK = "contacted often enough today", "contacted often enough this week"
OFTEN_BY_IT = "contacted often enough by this campaign"
NOT_WORTH_IT = "not worth its cost"
BETTER = "another contact is better"
SPENT = "the budget is spent, or saved for later in the day"

COLUMNS = ("user_id", "campaign_id", "creative_id", "bid", "expected_incremental_profit", "chosen", "reason")
NEEDED = ("user_id", "campaign_id", "creative_id", "uplift", "value", "cost")

ALL_DAY = tuple(float(hour) for hour in np.full(24, 1 / 24))


@dataclass(frozen=True)
class Surroundings:
    """What placement must know beside the candidates, at the moment `now`.

    campaigns: campaign_id, start_date, and as far as there are end_date, budget (money of the day), spent (of it, so
    far), priority (greater first). consent: user_ids who agreed, None where all did. contacts: user_id, campaign_id,
    event_timestamp of earlier ones. flagged: user_ids that risk has flagged. stock: item_id and days_of_stock.
    traffic: shares of a day's traffic by hour.
    """

    now: datetime
    campaigns: pd.DataFrame
    consent: pd.Series | None = None
    contacts: pd.DataFrame | None = None
    flagged: pd.Series | None = None
    stock: pd.DataFrame | None = None
    traffic: tuple[float, ...] = field(default=ALL_DAY)


def worth(
    uplift: np.ndarray,
    value: np.ndarray,
    cost: np.ndarray,
    lifetime_value: np.ndarray | float = 0.0,
    lifetime_share: float = 0.0,
) -> np.ndarray:
    """Expected incremental profit of a contact: what it changes, times what a response is worth, less its cost.

    `uplift` is the rise of the probability of a response, `value` the margin of one; a response is also worth
    `lifetime_share` of the person's lifetime value.
    """
    return np.asarray(uplift * (value + lifetime_share * np.maximum(lifetime_value, 0.0)) - cost)


def decide(candidates: pd.DataFrame, around: Surroundings, rules: PlacementRules | None = None) -> pd.DataFrame:
    """Who is contacted with what: every candidate with `chosen` and `reason`, sorted; at most one is chosen a person.

    `candidates` has user_id, campaign_id, creative_id, uplift, value, cost (money a contact is expected to cost), and
    as far as there are bid, item_id and lifetime_value. Campaigns of higher priority choose first; within one priority
    a person goes to the contact of the greatest profit, and a campaign whose budget does not suffice keeps the contacts
    with the greatest profit a unit of money; who is left over may be chosen by the next best. Raises FeatureError where
    a column is missing.
    """
    rules = rules or PlacementRules()
    require(candidates.columns, NEEDED, "candidates", "Give one row a person, campaign and creative.")
    require(around.campaigns.columns, ("campaign_id", "start_date"), "campaigns")
    keys = ["user_id", "campaign_id", "creative_id"]
    if candidates.duplicated(keys).any():
        raise FeatureError(f"{int(candidates.duplicated(keys).sum()):,} candidates are there twice; expected one each.")
    rows = candidates.sort_values(keys, ignore_index=True)
    lifetime = rows["lifetime_value"].fillna(0.0).to_numpy(float) if "lifetime_value" in rows else 0.0
    cost = rows["cost"].to_numpy(float)
    profit = worth(rows["uplift"].to_numpy(float), rows["value"].to_numpy(float), cost, lifetime, rules.lifetime_share)
    reason = np.full(len(rows), "", dtype=object)
    for text, refused in _refusals(rows, profit, around, rules):
        reason[refused & (reason == "")] = text
    budget, priority = _money(rows, around, rules)
    chosen = _choose(rows, profit, cost, reason == "", budget, priority)
    reason[chosen] = CHOSEN
    taken = rows["user_id"].isin(rows.loc[chosen, "user_id"]).to_numpy()
    reason[(reason == "") & taken] = BETTER
    reason[reason == ""] = SPENT
    bid = rows["bid"].to_numpy(float) if "bid" in rows else cost
    return rows[keys].assign(bid=bid, expected_incremental_profit=profit, chosen=chosen, reason=reason)[list(COLUMNS)]


def _refusals(
    rows: pd.DataFrame, profit: np.ndarray, around: Surroundings, rules: PlacementRules
) -> list[tuple[str, np.ndarray]]:
    """Reasons not to contact, the gravest first, and whom each holds for."""
    no_one = np.zeros(len(rows), bool)
    campaigns = around.campaigns.set_index("campaign_id")
    if campaigns.index.has_duplicates:
        raise FeatureError("A campaign is in `campaigns` twice; expected one row each.")
    start = rows["campaign_id"].map(campaigns["start_date"])
    running = start.notna() & (start <= around.now)
    if "end_date" in campaigns:
        end = rows["campaign_id"].map(campaigns["end_date"])
        running &= end.isna() | (end > around.now)
    short = no_one
    if around.stock is not None and "item_id" in rows:
        days = rows["item_id"].map(around.stock.set_index("item_id")["days_of_stock"])
        short = (days < rules.least_days_of_stock).to_numpy(bool)
    return [
        (NO_CONSENT, no_one if around.consent is None else ~rows["user_id"].isin(around.consent).to_numpy()),
        (FLAGGED, no_one if around.flagged is None else rows["user_id"].isin(around.flagged).to_numpy()),
        (NOT_RUNNING, ~running.to_numpy(bool)),
        (RUNNING_OUT, short),
        *_capped(rows, around, rules),
        (NOT_WORTH_IT, ~(profit > rules.least_profit)),
    ]


def _capped(rows: pd.DataFrame, around: Surroundings, rules: PlacementRules) -> list[tuple[str, np.ndarray]]:
    if around.contacts is None:
        return []
    past = around.contacts[around.contacts["event_timestamp"] <= around.now]
    midnight = around.now.replace(hour=0, minute=0, second=0, microsecond=0)
    today = past[past["event_timestamp"] >= midnight].groupby("user_id").size()
    week = past[past["event_timestamp"] > around.now - timedelta(days=7)].groupby("user_id").size()
    pair = past.groupby(["user_id", "campaign_id"]).size()
    by_it = pair.reindex(pd.MultiIndex.from_frame(rows[["user_id", "campaign_id"]])).fillna(0).to_numpy()
    found = []
    for text, most, count in (
        (OFTEN_TODAY, rules.per_day, rows["user_id"].map(today).fillna(0).to_numpy()),
        (OFTEN_THIS_WEEK, rules.per_week, rows["user_id"].map(week).fillna(0).to_numpy()),
        (OFTEN_BY_IT, rules.per_campaign, by_it),
    ):
        if most is not None:
            found.append((text, count >= most))
    return found


def spendable(
    budget: np.ndarray, spent: np.ndarray, now: datetime, traffic: tuple[float, ...], slack: float
) -> np.ndarray:
    """Money that may be spent by now: the budget's share of the traffic so far, and the slack, less what is spent.

    >>> round(float(spendable(np.array([10.0]), np.array([4.0]), datetime(2024, 1, 1, 12), ALL_DAY, 0.0)[0]), 6)
    1.0
    """
    shares = np.asarray(traffic, float)
    if len(shares) != 24 or not np.isclose(shares.sum(), 1.0):
        raise FeatureError(f"`traffic` has {len(shares)} shares that add up to {shares.sum():g}; expected 24, of 1.")
    hour = now.hour + now.minute / 60 + now.second / 3600
    gone = float(np.interp(hour, np.arange(25), np.concatenate([[0.0], np.cumsum(shares)])))
    return np.maximum(np.minimum(gone + slack, 1.0) * budget - spent, 0.0)


def _money(rows: pd.DataFrame, around: Surroundings, rules: PlacementRules) -> tuple[pd.Series, np.ndarray]:
    """Money by campaign that may be spent now, and each candidate's priority."""
    campaigns = around.campaigns.set_index("campaign_id")
    nothing = pd.Series(0.0, campaigns.index)
    budget = campaigns["budget"].fillna(np.inf) if "budget" in campaigns else nothing + np.inf
    spent = campaigns["spent"].fillna(0.0) if "spent" in campaigns else nothing
    bounded = np.isfinite(budget.to_numpy(float))
    money = np.full(len(campaigns), np.inf)
    money[bounded] = spendable(
        budget.to_numpy(float)[bounded], spent.to_numpy(float)[bounded], around.now, around.traffic, rules.pacing_slack
    )
    first = campaigns["priority"].fillna(0.0) if "priority" in campaigns else nothing
    return pd.Series(money, campaigns.index), rows["campaign_id"].map(first).fillna(0.0).to_numpy(float)


def _choose(
    rows: pd.DataFrame, profit: np.ndarray, cost: np.ndarray, open_: np.ndarray, budget: pd.Series, priority: np.ndarray
) -> np.ndarray:
    """Rounds of proposals: each person's best open contact, of which a campaign keeps what its money suffices for.

    A contact that a campaign cannot pay for is closed, and its person proposes the next best: deferred acceptance (Gale
    and Shapley 1962), with campaigns that prefer profit a unit of money. Each round closes a contact or is the last.
    """
    user = pd.factorize(rows["user_id"])[0]
    campaign = budget.index.get_indexer(rows["campaign_id"])
    money = np.append(budget.to_numpy(float), 0.0)
    kept = np.zeros(len(rows), bool)
    # What alone costs more than there is would only stand in the way of those behind it.
    open_ = open_ & (cost <= money[campaign] + 1e-9)
    # By person, priority, profit; ties by the sorted keys.
    order = np.lexsort((np.arange(len(rows)), -profit, -priority, user))
    rate = profit / np.maximum(cost, 1e-12)
    while True:
        offers = order[open_[order]]
        best = offers[np.unique(user[offers], return_index=True)[1]]
        queue = best[np.lexsort((best, -rate[best], campaign[best]))]
        total = np.cumsum(cost[queue])
        first = np.unique(campaign[queue], return_index=True)[1]
        before = np.zeros(len(queue))
        before[first] = np.concatenate([[0.0], total])[first]
        within = total - np.maximum.accumulate(before) <= money[campaign[queue]] + 1e-9
        kept[:] = False
        kept[queue[within]] = True
        if within.all():
            return kept
        open_[queue[~within]] = False
