"""From worth to decisions: one row a person, the campaign that reaches them or none, its bid, and why.

Each person is decided on alone, so that a single question gets the answer of the whole table. Money that does not
suffice for everybody is felt through the campaign's cut: the profit that a contact must be worth (see `standing.cuts`);
a bid is lowered by the same price of money. A declared share of decisions is drawn evenly among what is allowed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from ecomine.ads import policy
from ecomine.ads.features import NONE
from ecomine.ads.model import Placement
from ecomine.ads.params import AdsParams
from ecomine.ads.policy import Surroundings

DECISION_COLUMNS = (
    "user_id", "campaign_id", "creative_id", "item_id", "bid", "expected_incremental_profit", "propensity", "method",
    "reason",
)  # fmt: skip
"""`campaign_id` is none where nobody is to be contacted; `method` says whether the profit is that of an uplift."""

EXPLORED = "drawn by chance, to learn from it"
LEFT_ALONE = "left alone by chance, to learn from it"
NO_CAMPAIGN = "no campaign is running"
UNKNOWN = "the person is not known, so nobody knows whether they agreed"
CUT = "the money goes to others, who are worth more"
OPEN = (policy.CHOSEN, policy.BETTER, policy.NOT_WORTH_IT, policy.SPENT)
"""Reasons of candidates that no rule forbids."""

WHOLE = "counted as if every response was the contact's doing, since nobody was held back by chance"


@dataclass(frozen=True)
class Situation:
    """What is known beside the model when somebody is decided on.

    now: the moment, that of the model by default; contacts (user_id, campaign_id, event_timestamp) made since;
    exhausted: campaigns that have spent their money since; draw: names the drawing of lots. The same name gives the
    same lots.
    """

    now: datetime | None = None
    contacts: pd.DataFrame | None = None
    exhausted: Sequence[str] = ()
    draw: str = ""


AS_KNOWN = Situation()


def decide(model: Placement, frame: pd.DataFrame, params: AdsParams, situation: Situation = AS_KNOWN) -> pd.DataFrame:
    """Decisions: columns DECISION_COLUMNS, a row a person, sorted by user_id.

    Raises FeatureError where a feature the model learned from is missing.
    """
    scored = model.score(frame)
    if scored.empty:
        return pd.DataFrame(columns=list(DECISION_COLUMNS))
    rows = candidates(model, scored, params, situation)
    users, lot = np.unique(rows["user_id"].to_numpy(object)), f"{situation.draw} {model.seed}"
    taken = drawn(chances(rows, params.exploration_share), users, lot)
    return told(model, rows, taken, users, lot)


def candidates(model: Placement, scored: pd.DataFrame, params: AdsParams, situation: Situation) -> pd.DataFrame:
    """A row a person and campaign, sorted, with profit, bid, whether no rule forbids it, and whether it is wanted."""
    now, made = situation.now or model.as_of, model.contacts
    if situation.contacts is not None and len(situation.contacts):
        made = pd.concat([made, situation.contacts], ignore_index=True)
    running = model.campaigns[model.campaigns["running"]]
    known = scored[scored["campaign_id"].isin(running["campaign_id"])].reset_index(drop=True)
    later = model.fatigue.later[model.fatigue.histories(known["user_id"].to_numpy(object), made, now)]
    around = Surroundings(
        now,
        running[["campaign_id", "start_date", "end_date"]],
        consent=model.users.loc[model.users["consent"], "user_id"],
        contacts=made,
    )
    # What a contact takes from those to come is part of its cost.
    asked = known.assign(creative_id=NONE, cost=known["cost"] + later)
    judged = policy.decide(asked, around, params.rules)
    keys = ["user_id", "campaign_id"]
    rows = judged.drop(columns="bid").merge(known, on=keys, how="left")
    share = rows["campaign_id"].map(running.set_index("campaign_id")["share"]).to_numpy(float)
    broke = (share <= 0) | rows["campaign_id"].isin(situation.exhausted).to_numpy(bool)
    rows.loc[rows["reason"].isin(OPEN) & broke, "reason"] = policy.SPENT
    rows["allowed"] = rows["reason"].isin(OPEN) & ~broke
    profit, cost = rows["expected_incremental_profit"].to_numpy(float), rows["cost"].to_numpy(float)
    least = np.maximum(rows["cut"].to_numpy(float), params.rules.least_profit)
    rows["wanted"] = rows["allowed"] & (profit >= least) & (profit > params.rules.least_profit)
    # The price of money: what a contact must earn beyond its cost, a unit of cost (Balseiro, Besbes, Weintraub 2015).
    price = np.divide(np.maximum(least, 0.0), cost, out=np.zeros(len(rows)), where=cost > 0)
    rows["bid"] = np.maximum(profit + cost, 0.0) / (1.0 + price)
    nobody = scored.loc[~scored["user_id"].isin(rows["user_id"]), ["user_id"]].drop_duplicates()
    if len(nobody):
        rows = pd.concat([rows, nobody.assign(campaign_id=NONE, allowed=False, wanted=False, reason=NO_CAMPAIGN)])
    return rows.sort_values(keys, ignore_index=True)


def chances(rows: pd.DataFrame, explore: float) -> pd.DataFrame:
    """The options of each person: what no rule forbids, and none, which comes last; with the probability of each.

    Columns row (place in `rows`, −1 for none), user (number), chance.
    """
    user = pd.factorize(rows["user_id"], sort=True)[0]
    count = int(user.max()) + 1
    allowed, wanted = rows["allowed"].to_numpy(bool), rows["wanted"].to_numpy(bool)
    profit = np.where(wanted, rows["expected_incremental_profit"].to_numpy(float), -np.inf)
    order = np.lexsort((np.arange(len(rows)), -profit, user))
    first = order[np.unique(user[order], return_index=True)[1]]
    best = np.where(wanted[first], first, -1)
    number = 1 + np.bincount(user, allowed.astype(float), count)
    place = np.append(np.flatnonzero(allowed), np.full(count, -1))
    whose = np.append(user[allowed], np.arange(count))
    options = pd.DataFrame({"row": place, "user": whose, "last": place < 0})
    options = options.sort_values(["user", "last", "row"], ignore_index=True).drop(columns="last")
    share = explore / number[options["user"]]
    is_best = options["row"].to_numpy() == best[options["user"]]
    return options.assign(chance=share + np.where(is_best, 1 - explore, 0.0), best=is_best)


def lots(users: np.ndarray, draw: str) -> np.ndarray:
    """A number in [0, 1) a person: the same for the same person and drawing, whoever else is asked about."""
    keys = pd.Series([draw + " "], dtype=object).repeat(len(users)).to_numpy(object) + users.astype(str).astype(object)
    return np.asarray(pd.util.hash_array(keys, categorize=False) >> np.uint64(11), float) / 2.0**53


def drawn(options: pd.DataFrame, users: np.ndarray, draw: str) -> pd.DataFrame:
    """The option that each of `users`, in the order of their numbers, gets by lot."""
    user, chance = options["user"].to_numpy(), options["chance"].to_numpy(float)
    total = np.cumsum(chance)
    before = np.concatenate([[0.0], total])[np.unique(user, return_index=True)[1]]
    upto = total - before[user]
    last = np.append(np.diff(user) > 0, True)
    hit = (lots(users, draw)[user] < upto) | last
    return options.iloc[np.flatnonzero(hit)].drop_duplicates("user").reset_index(drop=True)


def told(model: Placement, rows: pd.DataFrame, taken: pd.DataFrame, users: np.ndarray, draw: str) -> pd.DataFrame:
    """The decisions in their columns: creatives drawn as often as they may be the best, and reasons in words."""
    reached = taken["row"].to_numpy() >= 0
    chosen = rows.iloc[np.where(reached, taken["row"].to_numpy(), 0)].reset_index(drop=True)
    creative, share = _creatives(model, chosen["campaign_id"].to_numpy(object), lots(users, f"creative {draw}"))
    item = chosen["campaign_id"].map(model.campaigns.set_index("campaign_id")["item_id"]).fillna(NONE)
    best = taken["best"].to_numpy(bool)
    reason = np.where(reached, np.where(best, _why(model, chosen), EXPLORED), LEFT_ALONE).astype(object)
    alone = ~reached & best
    reason[alone] = _why_not(model, rows, users)[alone]
    numbers = {
        name: np.where(reached, chosen[name].fillna(0.0).to_numpy(float), 0.0)
        for name in ("bid", "expected_incremental_profit")
    }
    return pd.DataFrame(
        {
            "user_id": users,
            "campaign_id": np.where(reached, chosen["campaign_id"], NONE),
            "creative_id": np.where(reached, creative, NONE),
            "item_id": np.where(reached, item, NONE),
            **numbers,
            "propensity": taken["chance"].to_numpy(float) * np.where(reached, share, 1.0),
            "method": model.method,
            "reason": reason,
        }
    )[list(DECISION_COLUMNS)]


def _creatives(model: Placement, campaign: np.ndarray, lot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A creative of each campaign in `campaign`, by lot, and its probability."""
    offers = model.creatives
    total = offers["chance"].cumsum().to_numpy(float)
    names, first = np.unique(offers["campaign_id"].to_numpy(object).astype(str), return_index=True)
    if not len(names):
        return np.full(len(campaign), NONE, object), np.ones(len(campaign))
    count = np.diff(np.append(np.sort(first), len(offers)))[np.argsort(np.argsort(first))]
    before = np.concatenate([[0.0], total])[first]
    at = np.searchsorted(names, campaign.astype(str))
    known = (at < len(names)) & (names[np.minimum(at, len(names) - 1)] == campaign.astype(str))
    at = np.minimum(at, len(names) - 1)
    place = np.searchsorted(total, before[at] + lot * (total[first[at] + count[at] - 1] - before[at]), side="right")
    place = np.clip(place, first[at], first[at] + count[at] - 1)
    chance = offers["chance"].to_numpy(float)[place]
    return np.where(known, offers["creative_id"].to_numpy(object)[place], NONE), np.where(known, chance, 1.0)


def _why(model: Placement, chosen: pd.DataFrame) -> np.ndarray:
    """What speaks for each contact, in words."""
    if chosen.empty:
        return np.zeros(0, object)
    share, value, cost = (
        np.char.mod(text, chosen[name].fillna(0.0).to_numpy(float)).astype(object)
        for text, name in (("%.3f", "uplift"), ("%.2f", "value"), ("%.2f", "cost"))
    )
    what = "raises the chance of a purchase by " if model.claims else "answers with probability "
    words = what + share + ", worth " + value + " each, for " + cost
    return np.asarray(words if model.claims else words + "; " + WHOLE, object)


def _why_not(model: Placement, rows: pd.DataFrame, users: np.ndarray) -> np.ndarray:
    """Why nobody contacts each of `users`: what is said of their best candidate."""
    user = pd.factorize(rows["user_id"], sort=True)[0]
    profit = rows["expected_incremental_profit"].fillna(-np.inf).to_numpy(float)
    order = np.lexsort((np.arange(len(rows)), -profit, ~rows["allowed"].to_numpy(bool), user))
    first = order[np.unique(user[order], return_index=True)[1]]
    best = rows.iloc[first]
    spared = best["allowed"].to_numpy(bool) & (best["reason"] != policy.NOT_WORTH_IT).to_numpy(bool)
    reason = np.where(spared, CUT, best["reason"].to_numpy(object)).astype(object)
    unknown = ~np.isin(users, model.users["user_id"].to_numpy(object))
    reason[unknown & (reason == policy.NO_CONSENT)] = UNKNOWN
    return reason


def left_alone(decisions: pd.DataFrame, who: np.ndarray, reason: str) -> pd.DataFrame:
    """Decisions without the contacts of the rows of `who`; the propensity stays that of what was drawn before."""
    alone = decisions.copy()
    who = who & (decisions["campaign_id"] != NONE).to_numpy(bool)
    alone.loc[who, ["campaign_id", "creative_id", "item_id"]] = NONE
    alone.loc[who, ["bid", "expected_incremental_profit"]] = 0.0
    alone.loc[who, "reason"] = reason
    return alone


def nobody(user_ids: Sequence[str], method: str, reason: str) -> pd.DataFrame:
    """Decisions that leave all of `user_ids` alone."""
    rows = pd.DataFrame({"user_id": np.array(user_ids, object)})
    return rows.assign(
        campaign_id=NONE, creative_id=NONE, item_id=NONE, bid=0.0, expected_incremental_profit=0.0, propensity=1.0,
        method=method, reason=reason,
    )[list(DECISION_COLUMNS)]  # fmt: skip
