"""On the test window: how much of what people bought was on their list, and what that was worth in money.

Compared are the candidate (`model`), the same rows by logistic regression (`linear`), what each person bought most
often (`personal_top`), the same with recent purchases counting more (`personal_recent`), both filled up with what is
popular, and what is popular (`popularity`). The money of a list is what the items listed brought in the window (margin
where costs are known, else what was spent): an upper bound of what it brings, the same for every method, so that their
difference is meaningful. Where the shop logs its pages, the order of pages is judged off-policy. `linear` is a
model on offer, not a baseline, so it has metrics but no money.
"""

import numpy as np
import pandas as pd

from ecomine import metrics
from ecomine.domain import LABEL, Evaluation
from ecomine.errors import NotEnoughDataError
from ecomine.recommendation import pages
from ecomine.recommendation.features import split_truth
from ecomine.recommendation.model import Recommender
from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.policy import preference, top

AT = (10, 20)
BASELINES = ("personal_top", "personal_recent", "popularity")


def evaluate(model: Recommender, frame: pd.DataFrame, truth: pd.DataFrame, params: RecommendationParams) -> Evaluation:
    """Metrics at 10 and 20 over everybody who bought something in the window; money at the length of the list.

    Raises NotEnoughDataError where nobody bought anything.
    """
    truth, shown = split_truth(truth)
    if truth.empty or frame.empty:
        raise NotEnoughDataError(
            f"The test window holds {len(truth):,} purchases and {len(frame):,} candidates; nothing can be measured. "
            "Bring a longer history or a longer horizon."
        )
    score = model.score(frame)
    scores = {
        "model": preference(model, frame, score, params),
        "linear": model.score_plainly(frame),
        "personal_top": filled_up(frame, "personal_orders"),
        "personal_recent": filled_up(frame, "personal_score"),
        "popularity": popularity(frame),
    }
    longest = max(*AT, params.list_length)
    lists = {name: top(frame[["user_id", "item_id"]], values, longest) for name, values in scores.items()}
    catalogue = len(model.finder.items)
    facts = model.assortment.facts.set_index(model.finder.items)
    values = {
        name: metrics.ranking_by_unit(lists[name], truth, params.list_length).set_index("user_id")["value"]
        for name in ("model", *BASELINES)
    }
    curves = {name: metrics.recall_curve(chosen, truth, longest) for name, chosen in lists.items()}
    measured = {
        name: metrics.ranking(chosen, truth, AT, catalogue)
        | {f"novelty@{k}": metrics.novelty(chosen, facts["popularity"], k) for k in AT}
        | {f"diversity@{k}": metrics.diversity(chosen, facts["category"], k) for k in AT}
        for name, chosen in lists.items()
    }
    judged = {}
    if shown is not None:
        whole = {name: top(frame[["user_id", "item_id"]], scores[name], len(frame)) for name in ("model", "popularity")}
        tables = {name: pages.worth(shown, ranked, facts["popularity"], model.seed) for name, ranked in whole.items()}
        judged["pages"] = pd.concat([table.assign(method=name) for name, table in tables.items()], ignore_index=True)
    return Evaluation(
        metrics=measured,
        values=pd.DataFrame(values).reset_index(),
        plots={
            "recall": pd.DataFrame({"k": np.arange(1, longest + 1), **curves}),
            "hits_by_score": metrics.calibration(score, frame[LABEL].to_numpy()),
            **judged,
            "segments": segments(lists, frame, truth, facts["popularity"], params.list_length),
        },
    )


RARE, FREQUENT = 3, 20
"""Products bought so far from which on somebody counts as a rare and as a frequent buyer; others are new."""

HEAD = 0.5
"""The most popular items that make up this share of sales are the head, the others the tail."""


def segments(
    lists: dict[str, pd.DataFrame], frame: pd.DataFrame, truth: pd.DataFrame, popular: pd.Series, k: int
) -> pd.DataFrame:
    """Measures at `k` by kind of user (new, rare, frequent) and of item (head, tail): a row a segment and method.

    Columns segment, method, units, recall, ndcg, hit. For a kind of item only such items count, listed and bought.
    """
    bought = frame.groupby("user_id")["personal_orders"].sum().reindex(truth["user_id"].unique(), fill_value=0.0)
    kind = pd.cut(bought, [-np.inf, RARE - 0.5, FREQUENT - 0.5, np.inf], labels=["new", "rare", "frequent"])
    falling = popular.sort_values(ascending=False, kind="stable")
    head = set(falling.index[falling.cumsum() - falling < HEAD * falling.sum()])
    in_head = truth["item_id"].isin(head)
    parts = {f"{name} users": truth[truth["user_id"].map(kind) == name] for name in kind.cat.categories}
    parts |= {"head items": truth[in_head], "tail items": truth[~in_head]}
    found = []
    for segment, part in parts.items():
        for method, chosen in lists.items():
            if part.empty:
                continue
            if segment.endswith("items"):
                chosen = chosen[chosen["item_id"].isin(head) == (segment == "head items")]
            units = metrics.ranking_by_unit(chosen, part, k)
            means = units[["recall", "ndcg", "hit"]].mean()
            found.append({"segment": segment, "method": method, "units": len(units), **means})
    return pd.DataFrame(found)


def popularity(frame: pd.DataFrame) -> np.ndarray:
    """Score of the baseline that shows everybody the same: what sells best."""
    return frame["popularity_score"].to_numpy(float)


def filled_up(frame: pd.DataFrame, column: str) -> np.ndarray:
    """Score of a baseline that lists what somebody bought, by `column`, ties and empty places by popularity."""
    popular = popularity(frame)
    share = popular / max(popular.max(), 1e-9)
    personal = frame[column].to_numpy(float)
    # Ranks leave room between equal values for the popularity that decides among them.
    return np.where(personal > 0, np.unique(personal, return_inverse=True)[1] + 0.5 * share, share - 1.0)
