"""From scores to lists: the best few for each customer, each with its reason in words.

A list is what the model scores highest after the shop has had its say: what is out of stock, blocked, or bought already
and not the kind of thing that is bought again leaves it; margin may weigh in; a further product of the same category
counts less than the first; and a declared share of places explores.
"""

import numpy as np
import pandas as pd

from ecomine.recommendation.candidates import rank_within
from ecomine.recommendation.exploration import KEYS, places
from ecomine.recommendation.model import Recommender
from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.purchases import codes

BOUGHT = "bought "
"""How the reason of a product begins that the customer has bought before."""

DECISION_COLUMNS = ("user_id", "rank", "item_id", "score", "propensity", "reason")


def top(rows: pd.DataFrame, score: np.ndarray, k: int) -> pd.DataFrame:
    """The `k` rows of each user with the highest score, ties by item_id, with `score` and `rank` from 1.

    Sorted by user_id and rank.
    """
    # Sorting ids as category codes is many times faster than as text and gives the same order.
    user, item = (pd.factorize(rows[name], sort=True)[0] for name in ("user_id", "item_id"))
    kept, ranks = best(user, item, np.asarray(score), k)
    lists = rows.iloc[kept].reset_index(drop=True)
    return lists.assign(score=np.asarray(score)[kept], rank=ranks)


def best(user: np.ndarray, item: np.ndarray, score: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """As `top`, on codes of users and items: places of the rows, sorted by user and rank, and their ranks."""
    order = np.lexsort((item, user))
    ranks = np.empty(len(user))
    ranks[order] = rank_within(user[order], score[order])
    kept = np.flatnonzero(ranks <= k)
    kept = kept[np.lexsort((ranks[kept], user[kept]))]
    return kept, ranks[kept].astype(np.int64)


def decide(model: Recommender, frame: pd.DataFrame, params: RecommendationParams) -> pd.DataFrame:
    """Lists of at most `params.list_length` products: columns `DECISION_COLUMNS`, sorted by user_id and rank.

    `propensity` is the probability with which the product got its place. Raises FeatureError where a feature the model
    learned from is missing.
    """
    score = model.score(frame)
    kept = np.flatnonzero(allowed(model, frame, params))
    worth = preference(model, frame, score, params)[kept]
    # On arrays, since frames of a few rows cost more than what is done with them.
    columns = {name: frame[name].to_numpy() for name in KEYS}
    user, item = (pd.factorize(columns[name][kept], sort=True)[0] for name in ("user_id", "item_id"))
    listed, rank = best(user, item, worth, params.list_length + params.exploration_pool)
    kept, user = kept[listed], user[listed]
    rows, propensity, explored = places(
        {name: values[kept] for name, values in columns.items()},
        user, rank, params.list_length, params.exploration_share, model.seed,
    )  # fmt: skip
    kept, rank = kept[rows], rank[rank <= params.list_length]
    reason = np.where(explored, "shown by chance, to learn from it", reasons(model, frame, kept))
    values = (columns["user_id"][kept], rank, columns["item_id"][kept], score[kept], propensity, reason)
    return pd.DataFrame(dict(zip(DECISION_COLUMNS, values, strict=True)))


def allowed(model: Recommender, frame: pd.DataFrame, params: RecommendationParams) -> np.ndarray:
    """Whether each row may be shown: in stock, not blocked, and not bought already unless it is bought repeatedly."""
    item = codes(model.finder.items, frame["item_id"])
    bought = frame["personal_orders"].to_numpy(float) > 0
    repeats = model.assortment.facts["repeat_rate"].to_numpy(float)[item] >= params.repeatable_rate
    return np.asarray(~barred(model, params)[item] & (~bought | repeats), bool)


def barred(model: Recommender, params: RecommendationParams) -> np.ndarray:
    """Whether each item of the assortment may be shown to nobody: it is out of stock, or blocked."""
    return np.asarray(~model.assortment.facts["available"].to_numpy(bool) | blocked(model, params))


def blocked(model: Recommender, params: RecommendationParams) -> np.ndarray:
    """Whether each item of the assortment is one, or is in a category, that `params.blocked` names."""
    names = set(params.blocked)
    category = model.assortment.facts["category"]
    inside = np.zeros(len(category), bool)
    for name in names:  # a few settings, never rows
        inside |= ((category == name) | category.str.startswith(f"{name} > ")).to_numpy()
    return np.asarray(inside | np.isin(model.finder.items, np.array(sorted(names), object)))


def preference(model: Recommender, frame: pd.DataFrame, score: np.ndarray, params: RecommendationParams) -> np.ndarray:
    """What lists are sorted by: the score, with margin and diversity as the settings weigh them.

    The score is on the scale of log odds, so `margin_weight` · log(margin / median margin) turns it towards expected
    profit, and the n-th product of a category on a list counts `diversity` · log(n) less (a submodular discount of
    the kind of Nemhauser, Wolsey and Fisher 1978, whose greedy solution is this sorting).
    """
    if params.margin_weight == 0 and params.diversity == 0:
        return score
    facts, item = model.assortment.facts, codes(model.finder.items, frame["item_id"])
    worth = np.asarray(score, float)
    if params.margin_weight > 0:
        margin = facts["margin"].to_numpy(float)
        positive = margin[margin > 0]
        ratio = np.maximum(margin / (np.median(positive) if len(positive) else 1.0), 0.01)
        worth = worth + params.margin_weight * np.nan_to_num(np.log(ratio))[item]
    if params.diversity > 0:
        user = pd.factorize(frame["user_id"])[0].astype(np.int64)
        category, names = pd.factorize(facts["category"])
        known = (names != "")[category][item]
        place = rank_within(user * len(names) + category[item], worth)
        worth = worth - params.diversity * np.where(known, np.log(place), 0.0)
    return worth


def reasons(model: Recommender, frame: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """Why each of the `rows` of a frame is on its list: bought before, goes with something bought, or popular."""

    def of(name: str, within: np.ndarray | slice = slice(None)) -> np.ndarray:
        return frame[name].to_numpy()[rows[within]]

    texts = np.full(len(rows), "popular this month", object)
    orders, days = of("personal_orders").astype(float), of("personal_days").astype(float)
    finder = model.finder
    related = np.flatnonzero((orders == 0) & (of("copurchase_score").astype(float) > 0))
    users = codes(finder.users, of("user_id", related))
    cause = finder.copurchase.because(users, codes(finder.items, of("item_id", related)))
    known = cause >= 0
    texts[related[known]] = "often bought with " + model.assortment.titles[cause[known]].astype(object)
    if "clicks_rank" in frame:
        opened = model.finder.opened(of("user_id"), of("item_id"))
        texts[np.flatnonzero((orders == 0) & opened)] = "looked at, not bought yet"
    if "new_items_score" in frame:
        fresh = np.flatnonzero((orders == 0) & (of("new_items_score").astype(float) > 0))
        texts[fresh] = "new, and of the kind that is bought here"
    again = np.flatnonzero(orders > 0)
    texts[again] = _habit(orders[again].astype(np.int64), np.floor(days[again]).astype(np.int64))
    return texts


def _habit(orders: np.ndarray, days: np.ndarray) -> np.ndarray:
    ago = np.select([days < 1, days == 1], ["today", "yesterday"], days.astype(str).astype(object) + " days ago")
    times = np.where(orders == 1, f"{BOUGHT}once, ", BOUGHT + orders.astype(str).astype(object) + " times, last ")
    return np.asarray(times + ago, object)
