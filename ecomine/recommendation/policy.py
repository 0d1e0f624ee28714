"""From scores to lists: the best few for each customer, each with its reason in words."""

import numpy as np
import pandas as pd

from ecomine.recommendation.candidates import rank_within
from ecomine.recommendation.model import Recommender
from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.purchases import codes

DECISION_COLUMNS = ("user_id", "rank", "item_id", "score", "reason")


def top(rows: pd.DataFrame, score: np.ndarray, k: int) -> pd.DataFrame:
    """The `k` rows of each user with the highest score, ties by item_id, with `score` and `rank` from 1.

    Sorted by user_id and rank.
    """
    # Sorting ids as category codes is many times faster than as text and gives the same order.
    user, item = (pd.factorize(rows[name], sort=True)[0] for name in ("user_id", "item_id"))
    order = np.lexsort((item, user))
    ranks = np.empty(len(rows))
    ranks[order] = rank_within(user[order], np.asarray(score)[order])
    kept = np.flatnonzero(ranks <= k)
    kept = kept[np.lexsort((ranks[kept], user[kept]))]
    lists = rows.iloc[kept].reset_index(drop=True)
    return lists.assign(score=np.asarray(score)[kept], rank=ranks[kept].astype(np.int64))


def decide(model: Recommender, frame: pd.DataFrame, params: RecommendationParams) -> pd.DataFrame:
    """Lists of at most `params.list_length` products: columns `DECISION_COLUMNS`, sorted by user_id and rank.

    Raises FeatureError where a feature the model learned from is missing.
    """
    lists = top(frame, model.score(frame), params.list_length)
    lists["reason"] = reasons(model, lists)
    return lists[list(DECISION_COLUMNS)]


def reasons(model: Recommender, lists: pd.DataFrame) -> np.ndarray:
    """Why each row is on its list: bought before, goes with something bought, or popular."""
    texts = np.full(len(lists), "popular this month", object)
    orders, days = lists["personal_orders"].to_numpy(float), lists["personal_days"].to_numpy(float)
    finder = model.finder
    related = np.flatnonzero((orders == 0) & (lists["copurchase_score"].to_numpy(float) > 0))
    users = codes(finder.users, lists["user_id"].iloc[related])
    cause = finder.copurchase.because(users, codes(finder.items, lists["item_id"].iloc[related]))
    known = cause >= 0
    texts[related[known]] = "often bought with " + model.titles[cause[known]].astype(object)
    again = np.flatnonzero(orders > 0)
    texts[again] = _habit(orders[again].astype(np.int64), np.floor(days[again]).astype(np.int64))
    return texts


def _habit(orders: np.ndarray, days: np.ndarray) -> np.ndarray:
    ago = np.select([days < 1, days == 1], ["today", "yesterday"], days.astype(str).astype(object) + " days ago")
    times = np.where(orders == 1, "bought once, ", "bought " + orders.astype(str).astype(object) + " times, last ")
    return np.asarray(times + ago, object)
