"""Choosing retrievers and trees for a two-stage recommender by validation inside the data it will learn from."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from ecomine.recommendation.candidates import rank_within
from ecomine.recommendation.interactions import Interactions, hold_out
from ecomine.recommendation.pairs import PairFinder, agreement
from ecomine.recommendation.rankers import Lists
from ecomine.recommendation.two_stage import TwoStageRecommender

MOST_USERS = 5000
"""Users whose lists are compared; more change the choice by less than its error."""

_ALWAYS = "popularity"
"""The retriever that answers for people unknown, and is never left out."""


def search(
    recommender: TwoStageRecommender, data: Interactions, k: int, minutes: float, trials: int | None
) -> TwoStageRecommender:
    """The settings with the best NDCG@k on what is held out of `data`, within `minutes`; at least as given.

    One cut gives the validation; the ranker's training rows come from what is left, cut again. The retrievers are
    fitted once a cut, and each trial (Optuna, a seeded tree-structured Parzen estimator, Bergstra et al. 2011) takes
    some of them and other trees; the first takes the recommender as given. With `trials` the result depends on nothing
    but the data and the seed; a budget in minutes ends where the clock says.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    begun = time.monotonic()
    known, future = hold_out(data, recommender.cut(data)[0], 0, recommender.seed, recommender.cut(data)[1])
    frame, lists = recommender.training(known)
    names = tuple(recommender.choice(known))
    finder = recommender.finder_of(known).fit(known)
    users = np.unique(future.user)
    if len(users) > MOST_USERS:
        users = np.sort(np.random.default_rng(recommender.seed).choice(users, MOST_USERS, replace=False))
    validation = _Validation(finder, users, future, k)

    def settings(trial: "optuna.Trial") -> tuple[tuple[str, ...], TwoStageRecommender]:
        used = tuple(
            name for name in names if name == _ALWAYS or trial.suggest_categorical(f"use {name}", [True, False])
        )
        ranking = dataclasses.replace(
            recommender.ranking,
            max_depth=trial.suggest_int("max_depth", 3, 8),
            learning_rate=trial.suggest_float("learning_rate", 0.03, 0.2, log=True),
            min_child_weight=trial.suggest_float("min_child_weight", 0.5, 20.0, log=True),
            colsample=trial.suggest_float("colsample", 0.3, 1.0),
            pairs=trial.suggest_int("pairs", 1, 8, log=True),
        )
        objective = trial.suggest_categorical("objective", ["rank:ndcg", "rank:pairwise"])
        return used, recommender.but(ranking=ranking, objective=objective)

    def value(trial: "optuna.Trial") -> float:
        used, candidate = settings(trial)
        if not used:
            return 0.0
        rows = named(frame, used)
        seen = select(frame[rows], names, used)
        group = np.unique(lists.group[rows], return_inverse=True)[1]
        ranker = candidate.new_ranker().fit(
            seen, Lists(lists.label[rows], group, lists.validation[rows]), recommender.threads, recommender.seed
        )
        return validation.ndcg(lambda shown: ranker.score(select(shown, names, used)), used)

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=recommender.seed))
    given = {f"use {name}": True for name in names if name != _ALWAYS}
    start = recommender.ranking
    study.enqueue_trial(
        {
            **given,
            "max_depth": start.max_depth,
            "learning_rate": start.learning_rate,
            "min_child_weight": start.min_child_weight,
            "colsample": start.colsample,
            "pairs": start.pairs,
            "objective": recommender.objective,
        }
    )
    left = minutes * 60 - (time.monotonic() - begun)
    study.optimize(
        value, n_trials=1 if trials is None and left <= 0 else trials, timeout=None if trials else max(left, 1)
    )
    used, best = settings(optuna.trial.FixedTrial(study.best_params))  # type: ignore[arg-type]
    chosen = recommender.choice(data)
    return best.but(
        retrievers={name: chosen[name] for name in used},
        candidates={name: finder.candidates[name] for name in used},
    )


class _Validation:
    """What is held out, and the candidates of everybody it is about."""

    def __init__(self, finder: PairFinder, users: np.ndarray, future: Interactions, k: int) -> None:
        self.k = k
        width, step = len(finder.items), finder.block()
        truth = np.unique(future.user * width + future.item)
        rows, frames, hits = [], [], []
        for start in range(0, len(users), step):
            row, item, frame = finder.rows(users[start : start + step])
            rows.append(row + start)
            frames.append(frame)
            hits.append(np.isin(users[start + row] * width + item, truth))
        self.row, self.frame, self.hit = (
            np.concatenate(rows),
            pd.concat(frames, ignore_index=True),
            np.concatenate(hits),
        )
        relevant = np.bincount(np.searchsorted(users, truth[np.isin(truth // width, users)] // width))
        ideal = np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))
        self.ideal = ideal[np.minimum(relevant, k) - 1]

    def ndcg(self, score: Callable[[pd.DataFrame], np.ndarray], used: tuple[str, ...]) -> float:
        kept = named(self.frame, used)
        row = self.row[kept]
        rank = rank_within(row, score(self.frame[kept]))
        gain = np.where(self.hit[kept] & (rank <= self.k), 1.0 / np.log2(rank + 1.0), 0.0)
        return float((np.bincount(row, gain, minlength=len(self.ideal)) / self.ideal).mean())


def named(frame: pd.DataFrame, used: tuple[str, ...]) -> np.ndarray:
    """Rows that one of the `used` retrievers knows something of."""
    return np.asarray(frame[[f"{name}_rank" for name in used]].notna().any(axis=1))


def select(frame: pd.DataFrame, names: tuple[str, ...], used: tuple[str, ...]) -> pd.DataFrame:
    """The frame as it would be with the `used` retrievers alone; columns keep their order."""
    others = [f"{name}_{what}" for name in names if name not in used for what in ("score", "share", "rank")]
    told = agreement([frame[f"{name}_rank"].to_numpy() for name in used], len(frame))
    return frame.drop(columns=others).assign(**{name: value.astype(np.float32) for name, value in told.items()})
