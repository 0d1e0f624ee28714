"""Which retrievers and which settings of the ranker: chosen on the last training windows, learned on those before."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ecomine import metrics
from ecomine.domain import EVENT_TIMESTAMP, LABEL, Range, Report, Tunable, over_time, unreported
from ecomine.errors import NotEnoughDataError
from ecomine.recommendation import candidates
from ecomine.recommendation.model import Recommender
from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.policy import top

OPTIONAL = ("new_items", "clicks", "rhythm", "rules", "item_knn")
"""Retrievers that a search may add to the three that must be there; the others cost more than a daily run has."""


WINDOWS = 2
"""Training windows at most that settings are judged by, the last one first."""


def _lists() -> tuple[list[str], ...]:
    """The needed retrievers with every choice of the optional ones."""
    chosen: list[list[str]] = [list(candidates.NEEDED)]
    for name in OPTIONAL:
        chosen += [[*names, name] for names in chosen]
    return tuple(chosen)


def widest(params: RecommendationParams) -> RecommendationParams:
    """Settings whose rows hold the candidates and opinions of every retriever on offer."""
    return replace(params, retrievers=[*candidates.NEEDED, *OPTIONAL])


def validate(
    frame: pd.DataFrame, params: RecommendationParams, seed: int, threads: int, report: Report = unreported
) -> float:
    """NDCG at the length of a list, averaged over the last training windows, each after those that were learned from.

    Rows that none of the chosen retrievers would have found are left out; purchases on them count as missed. Raises
    NotEnoughDataError where there is one window only.
    """
    moments = np.unique(frame[EVENT_TIMESTAMP])
    if len(moments) < 2:
        raise NotEnoughDataError(
            f"There is {len(moments)} training window; two are needed to choose settings. Raise "
            "recommendation.train_periods or bring a longer history."
        )
    found = np.zeros(len(frame), bool)
    for name in candidates.chosen(params):
        wanted = getattr(params, f"{name}_candidates", params.other_candidates)
        found |= frame[f"{name}_rank"].to_numpy(float) <= wanted
    time = frame[EVENT_TIMESTAMP].to_numpy()

    def judge(number: int) -> float:
        later, before = time == moments[-1 - number], time < moments[-1 - number]
        bought = frame.loc[later & (frame[LABEL] > 0).to_numpy(), ["user_id", "item_id"]].assign(value=0.0)
        model = Recommender(params, seed, threads).fit_ranker(frame[found & before], plain=False)
        seen = frame[found & later].reset_index(drop=True)
        lists = top(seen[["user_id", "item_id"]], model.score(seen), params.list_length)
        return float(metrics.ranking_by_unit(lists, bought, params.list_length)["ndcg"].mean())

    return over_time(min(len(moments) - 1, WINDOWS), judge, report)


TUNABLE = Tunable(
    space={
        "retrievers": _lists(),
        "learning_rate": Range(0.03, 0.3, log=True),
        "max_depth": Range(2, 8, whole=True),
        "min_child_weight": Range(0.5, 50, log=True),
        "pairs": Range(1, 12, whole=True),
        "subsample": Range(0.5, 1.0),
        "colsample": Range(0.3, 1.0),
    },
    widest=widest,
    validate=validate,
)
