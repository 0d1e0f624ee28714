"""What pages would have earned in the order that a method prefers, from the log of the pages that were shown.

A shop that logs its impressions with the probability with which each product got its place (`events.propensity`) can
judge another order without showing it. The decision is which product stands at a place of the page that a search
brought up; the choice is among all products that the same search showed to anybody in the test period. What comes of
it is a click (the product was opened in that visit) or a purchase. The model of rewards, for the estimators that need
one, is the rate of the place times how the product does against the places it had; it is fitted on the other half of
the pages.
"""

from datetime import datetime

import numpy as np
import pandas as pd

from ecomine import policy_value
from ecomine.domain import Inputs
from ecomine.recommendation.candidates import rank_within

COLUMNS = ("page", "query", "position", "propensity", "clicked", "bought")
MOST = 300_000
"""Impressions kept; of a larger log whole visits are drawn by hash."""

SMOOTHING = 5.0
"""Expected clicks that a product's own rate is drawn towards 1 with."""


def logged(inputs: Inputs, after: datetime, until: datetime) -> pd.DataFrame | None:
    """Impressions with a propensity in (after, until]: user_id, item_id, `COLUMNS`; None where there are none.

    `page` numbers a search's result in one visit; clicked and bought are 1 where the visit opened or bought it.
    """
    events = inputs.tables.get("events")
    needed = {"user_id", "item_id", "session_id", "event_type", "position", "propensity", "query"}
    if events is None or needed - set(events.columns):
        return None
    frame = events.query(
        "events",
        f"""WITH here AS (SELECT * FROM events
            WHERE event_timestamp > TIMESTAMP '{after}' AND event_timestamp <= TIMESTAMP '{until}'),
        shown AS (SELECT * FROM here
            WHERE event_type = 'impression' AND propensity > 0 AND position > 0 AND user_id IS NOT NULL
                AND item_id IS NOT NULL AND session_id IS NOT NULL),
        kept AS (SELECT * FROM shown
            WHERE hash(session_id) % greatest(1, (SELECT count(*) // {MOST} + 1 FROM shown)) = 0),
        acts AS (SELECT session_id, item_id, max((event_type = 'view')::INTEGER) AS clicked,
                    max((event_type = 'purchase')::INTEGER) AS bought
            FROM here WHERE event_type IN ('view', 'purchase') GROUP BY session_id, item_id)
        SELECT user_id, item_id,
            dense_rank() OVER (ORDER BY session_id, coalesce("query", ''), event_timestamp) AS page,
            coalesce("query", '') AS "query", position::INTEGER AS position, propensity::DOUBLE AS propensity,
            coalesce(clicked, 0)::INTEGER AS clicked, coalesce(bought, 0)::INTEGER AS bought
        FROM kept LEFT JOIN acts USING (session_id, item_id) ORDER BY page, position, item_id""",
    ).df()
    return None if frame.empty else frame


def worth(shown: pd.DataFrame, lists: pd.DataFrame, popular: pd.Series, seed: int) -> pd.DataFrame:
    """Clicks and purchases an impression in the order of `lists` (user_id, item_id, rank), judged off-policy.

    Products that are on nobody's list come after those that are, by `popular` (share of sales by item_id). Columns
    measure (clicked, bought), estimator, value, low, high, effective, why; estimator `logged` is what the shown order
    itself brought.
    """
    place, choice = _places(shown, lists, popular)
    target = (place == shown["position"].to_numpy()).astype(float)
    page = shown["page"].to_numpy()
    found = []
    for measure in ("clicked", "bought"):
        reward = shown[measure].to_numpy(float)
        predicted, expected = _model(shown, reward, choice)
        log = policy_value.Log(reward, shown["propensity"].to_numpy(float), target, predicted, expected, page)
        same = policy_value.Log(reward, np.ones(len(shown)), np.ones(len(shown)), unit=page)
        on_policy = policy_value.estimate(same, "ips", seed=seed, least_effective=0)
        found.append(pd.DataFrame([{"measure": measure, "estimator": "logged", **vars(on_policy)}]))
        found.append(policy_value.table(log, seed=seed).assign(measure=measure))
    columns = ["measure", "estimator", "value", "low", "high", "effective", "why"]
    return pd.concat(found, ignore_index=True)[columns]


def _places(shown: pd.DataFrame, lists: pd.DataFrame, popular: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """For each impression the place its product would have, and the code of the product that would be at its place.

    The code is a place in the sorted ids of the products shown; -1 where a page has fewer products than places.
    """
    item, items = pd.factorize(shown["item_id"], sort=True)
    query = pd.factorize(shown["query"], sort=True)[0]
    searches, search = np.unique(
        np.stack([pd.factorize(shown["user_id"], sort=True)[0], query]), axis=1, return_inverse=True
    )
    choices = np.unique(np.stack([query, item]), axis=1)
    begin = np.searchsorted(choices[0], np.arange(query.max(initial=-1) + 2))
    size = np.diff(begin)[searches[1]]
    owner = np.repeat(np.arange(searches.shape[1]), size)
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    option = choices[1][begin[searches[1]][owner] + within]
    first = pd.Series(shown["user_id"].to_numpy()).groupby(search).first()
    keys = pd.MultiIndex.from_arrays([first.to_numpy()[owner], np.asarray(items)[option]])
    rank = lists.set_index(["user_id", "item_id"])["rank"].reindex(keys).to_numpy(float)
    share = popular.reindex(items).fillna(0.0).to_numpy()
    preference = np.where(np.isnan(rank), share[option] / 2, 2.0 + 1.0 / np.where(np.isnan(rank), 1.0, rank))
    place = rank_within(owner, preference).astype(np.int64)
    width = max(len(items), 1)
    by_item = pd.Series(place, index=owner.astype(np.int64) * width + option)
    by_place = pd.Series(option, index=owner.astype(np.int64) * width + place)
    position = shown["position"].to_numpy(np.int64)
    wanted = by_place.reindex(search.astype(np.int64) * width + np.minimum(position, width - 1))
    chosen = np.where(position < width, wanted.fillna(-1).to_numpy(), -1).astype(np.int64)
    return by_item.reindex(search.astype(np.int64) * width + item).to_numpy(), chosen


def _model(shown: pd.DataFrame, reward: np.ndarray, choice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expected reward of what was shown and of the product that would be in its place, from the other half of pages."""
    item, items = pd.factorize(shown["item_id"], sort=True)
    position = np.minimum(shown["position"].to_numpy(np.int64), 200)
    half = shown["page"].to_numpy() % 2
    predicted, expected = np.zeros(len(shown)), np.zeros(len(shown))
    for part in (0, 1):
        known, asked = half != part, half == part
        count = np.bincount(position[known], minlength=201)
        rate = (np.bincount(position[known], reward[known], 201) + reward[known].mean()) / (count + 1)
        due = np.bincount(item[known], rate[position[known]], len(items))
        ratio = (np.bincount(item[known], reward[known], len(items)) + SMOOTHING) / (due + SMOOTHING)
        predicted[asked] = rate[position[asked]] * ratio[item[asked]]
        expected[asked] = np.where(choice[asked] >= 0, rate[position[asked]] * ratio[choice[asked]], 0.0)
    return np.minimum(predicted, 1.0), np.minimum(expected, 1.0)
