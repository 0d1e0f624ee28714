"""A recommender for any table of users and items: retrievers find candidates, a learned ranker orders them."""

import copy
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from ecomine.errors import NotEnoughDataError, SettingsError
from ecomine.recommendation.candidates import rank_within
from ecomine.recommendation.interactions import Interactions, hold_out
from ecomine.recommendation.pairs import PairFinder
from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.rankers import LinearRanker, Lists, Ranker, XGBoostRanker
from ecomine.recommendation.retrievers import (
    ALS,
    EASE,
    KINDS,
    SVD,
    AssociationRules,
    Content,
    CoView,
    ItemKNN,
    PersonalRepeat,
    PersonalRhythm,
    Popularity,
    Scorer,
    UserKNN,
)
from ecomine.store import write_json

RANKING = RecommendationParams(
    max_rounds=400,
    patience=25,
    learning_rate=0.08,
    max_depth=5,
    min_child_weight=2.0,
    subsample=0.8,
    colsample=0.5,
    pairs=1,
)
"""How the trees are grown where nothing else is said."""

SETTINGS = (
    *("retrievers", "candidates", "repeat", "holdout", "size", "folds"),
    *("model", "objective", "ranking", "rows", "seed", "threads"),
)
"""Arguments of `TwoStageRecommender`, each an attribute of the same name."""

_ROWS_A_USER = 10
"""So many users are asked, at most, that each could give this many rows: many lists have no hit."""

_VALIDATION = 0.15
"""Share of the users whose lists tell when to stop."""


class TwoStageRecommender:
    """`fit(interactions)` then `recommend(user_ids, k)`, on frames of user_id and item_id.

    Interactions are cut (see `hold_out`): the retrievers learn from what is left and the ranker (XGBoost, LambdaMART)
    learns which of their candidates were held out, over `folds` such cuts. Then the retrievers learn from everything.

    retrievers: by name, or None for those that suit the data; candidates: items a user each of them names, one number
    or one by name; repeat: items are chosen again, so what somebody had before may be listed; holdout: last, time or
    random, None for what suits (time with a clock, last with an order, else random); size: days of a window, or the
    random share; model: xgboost or linear; ranking: settings of the trees; rows: most training rows.
    """

    def __init__(
        self,
        retrievers: Mapping[str, Scorer] | None = None,
        candidates: int | Mapping[str, int] = 60,
        repeat: bool = False,
        holdout: str | None = None,
        size: float | None = None,
        folds: int = 2,
        model: str = "xgboost",
        objective: str = "rank:ndcg",
        ranking: RecommendationParams = RANKING,
        rows: int = 1_000_000,
        seed: int = 42,
        threads: int = 1,
    ) -> None:
        if model not in ("xgboost", "linear"):
            raise SettingsError(f"`model` is {model!r}; expected xgboost or linear.")
        self.retrievers, self.candidates, self.repeat = retrievers, candidates, repeat
        self.holdout, self.size, self.folds = holdout, size, folds
        self.model, self.objective, self.ranking = model, objective, ranking
        self.rows, self.seed, self.threads = rows, seed, threads

    def fit(
        self, interactions: pd.DataFrame | Interactions, items: pd.DataFrame | None = None
    ) -> "TwoStageRecommender":
        """Learns; `items` holds attributes (item_id and any of category, brand, title).

        Raises NotEnoughDataError where no retriever finds anything that was held out.
        """
        data = Interactions.of(interactions, items)
        frame, lists = self.training(data)
        return self.learn(data, frame, lists)

    def training(self, data: Interactions) -> tuple[pd.DataFrame, Lists]:
        """Rows for the ranker: each fold's candidates, thinned out to the most rows wanted, with labels and lists."""
        how, size = self.cut(data)
        found = [self._fold(data, how, size, fold) for fold in range(self.folds)]
        frames = [frame for frame, _, _ in found]
        label = np.concatenate([label for _, label, _ in found])
        user = np.concatenate([user for _, _, user in found])
        if not label.any():
            raise NotEnoughDataError(
                f"Nothing of what was held out ({how}, {self.folds} folds) is among the candidates of "
                f"{len(data.users):,} users; bring more interactions or more candidates."
            )
        lengths = np.cumsum([0] + [len(frame) for frame in frames])
        fold = np.repeat(np.arange(len(frames)), np.diff(lengths))
        begins = np.concatenate([[True], (np.diff(user) != 0) | (np.diff(fold) != 0)])
        random = np.random.default_rng(self.seed)
        validating = random.random(len(data.users)) < _VALIDATION
        return pd.concat(frames, ignore_index=True), Lists(label, np.cumsum(begins) - 1, validating[user])

    def cut(self, data: Interactions) -> tuple[str, float]:
        """How `data` is cut, and how large a piece: see `hold_out`."""
        how = self.holdout or ("time" if data.clock else "last" if data.ordered else "random")
        return how, self.size or (max(float(data.day.max(initial=0.0)) * 0.08, 1.0) if how == "time" else 0.1)

    def _fold(
        self, data: Interactions, how: str, size: float, fold: int
    ) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
        known, future = hold_out(data, how, fold, self.seed, size)
        finder = self.finder_of(known).fit(known)
        width = len(data.items)
        truth = np.unique(future.user * width + future.item)
        users = np.unique(future.user)
        random = np.random.default_rng([self.seed, fold])
        most = max(self.rows // _ROWS_A_USER, 1)
        if len(users) > most:
            users = np.sort(random.choice(users, most, replace=False))
        quota = self.rows / self.folds / max(len(users), 1)
        parts, step = [], finder.block()
        # At least one part, be it empty: it has the columns.
        for start in range(0, max(len(users), 1), step):
            row, item, frame = finder.rows(users[start : start + step])
            hit = np.isin(users[start + row] * width + item, truth)
            told = (np.bincount(row, hit, minlength=step) > 0)[row]
            # Lists without a hit teach nothing; of the others as many rows stay as the quota allows.
            share = quota * step / max(int(told.sum()), 1)
            kept = told & (hit | (random.random(len(row)) < share))
            parts.append((frame[kept], hit[kept], users[start + row[kept]]))
        return (
            pd.concat([frame for frame, _, _ in parts], ignore_index=True),
            np.concatenate([hit for _, hit, _ in parts]).astype(np.float32),
            np.concatenate([user for _, _, user in parts]),
        )

    def learn(self, data: Interactions, frame: pd.DataFrame, lists: Lists) -> Self:
        """The second half of `fit`: the ranker from training rows, the retrievers from everything."""
        self.ranker = self.new_ranker().fit(frame, lists, self.threads, self.seed)
        self.finder = self.finder_of(data).fit(data)
        return self

    def rank_with(self, other: "TwoStageRecommender", frame: pd.DataFrame, lists: Lists) -> Self:
        """A ranker of this one's own on the fitted retrievers of `other`: to compare rankers on the same candidates."""
        self.ranker = self.new_ranker().fit(frame, lists, self.threads, self.seed)
        self.finder = other.finder
        return self

    def new_ranker(self) -> Ranker:
        return LinearRanker(self.ranking) if self.model == "linear" else XGBoostRanker(self.ranking, self.objective)

    def choice(self, data: Interactions) -> Mapping[str, Scorer]:
        """The retrievers that `fit` would take for `data`."""
        return suitable(data, self.repeat) if self.retrievers is None else self.retrievers

    def finder_of(self, data: Interactions) -> PairFinder:
        retrievers = self.choice(data)
        many = self.candidates
        wanted = {name: many if isinstance(many, int) else many[name] for name in retrievers}
        return PairFinder(copy.deepcopy(dict(retrievers)), wanted, self.repeat)

    def recommend(self, user_ids: np.ndarray | pd.Series | list | None = None, k: int = 10) -> pd.DataFrame:
        """The best `k` items of each user: user_id, item_id, rank from 1, score; by user as asked, then rank.

        None means everybody. Somebody unknown gets what is popular.
        """
        finder = self.finder
        wanted = finder.users if user_ids is None else np.asarray(pd.unique(np.asarray(user_ids)))
        who, step = finder.codes(wanted), finder.block()
        parts = []
        for start in range(0, len(wanted), step):
            row, item, frame = finder.rows(who[start : start + step])
            score = self.ranker.score(frame)
            rank = rank_within(row, score)
            kept = np.flatnonzero(rank <= k)
            kept = kept[np.lexsort((rank[kept], row[kept]))]
            parts.append((row[kept] + start, item[kept], rank[kept].astype(np.int64), score[kept]))
        if not parts:
            return pd.DataFrame({"user_id": wanted, "item_id": finder.items[:0], "rank": [], "score": []})
        row, item, rank, score = (np.concatenate(part) for part in zip(*parts, strict=True))
        return pd.DataFrame(
            {"user_id": wanted[row], "item_id": finder.items[item], "rank": rank, "score": score.astype(float)}
        )

    def tune(
        self,
        interactions: pd.DataFrame | Interactions,
        items: pd.DataFrame | None = None,
        k: int = 10,
        minutes: float = 10.0,
        trials: int | None = None,
    ) -> "TwoStageRecommender":
        """Another recommender, not fitted yet, with the retrievers and trees that did best; see `search`."""
        from ecomine.recommendation.search import search

        return search(self, Interactions.of(interactions, items), k, minutes, trials)

    def but(self, **changes: Any) -> "TwoStageRecommender":
        """A recommender with the same settings but for `changes`, not fitted."""
        return TwoStageRecommender(**{**self._settings(), **changes})

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in SETTINGS}

    def save(self, folder: Path) -> None:
        """Files that hold no code: JSON, Parquet, npz and XGBoost's UBJ."""
        kinds = {kind: name for name, kind in KINDS.items()}
        # A list, since the order of the retrievers is the order of the ranker's columns.
        used = [
            {
                "name": name,
                "kind": kinds[type(retriever)],
                "settings": retriever.settings(),
                "candidates": self.finder.candidates[name],
            }
            for name, retriever in self.finder.retrievers.items()
        ]
        plain = {**self._settings(), "retrievers": used, "candidates": None}
        write_json(folder / "two_stage.json", {**plain, "ranking": dataclasses.asdict(self.ranking)})
        self.ranker.save(folder)
        self.finder.save(folder)

    @classmethod
    def load(cls, folder: Path) -> "TwoStageRecommender":
        """The inverse of `save`."""
        state = json.loads((folder / "two_stage.json").read_text())
        used = state["retrievers"]
        state["retrievers"] = {made["name"]: KINDS[made["kind"]](**made["settings"]) for made in used}
        state["candidates"] = {made["name"]: made["candidates"] for made in used}
        state["ranking"] = RecommendationParams(**state["ranking"])
        model = cls(**state)
        model.ranker = model.new_ranker().load(folder)
        model.finder = PairFinder(state["retrievers"], state["candidates"], model.repeat).load(folder)
        return model


def suitable(data: Interactions, repeat: bool) -> dict[str, Scorer]:
    """Retrievers that suit interactions: what is in order, comes in baskets, is bought again, or has attributes."""
    several = len(data) > 1.2 * (data.order.max(initial=0) + 1)
    half_life = 5.0 if data.ordered else None
    chosen: dict[str, Scorer] = {
        "popularity": Popularity(half_life_days=1e6),
        "item_knn": ItemKNN(half_life=half_life, target=0.4),
        "user_knn": UserKNN(half_life=half_life, own=0.0),
        "svd": SVD(half_life=half_life, popularity_power=0.3),
        "als": ALS(half_life=half_life),
    }
    if len(data.items) <= EASE.limit:
        chosen["ease"] = EASE(half_life=half_life)
    if data.ordered:
        chosen |= {
            "item_knn_last": ItemKNN(last=1, target=0.4),
            "coview": CoView(half_life=half_life),
            "follows": CoView(half_life=2.0, direction="after"),
        }
        if several:
            chosen["rules"] = AssociationRules(half_life=2.0)
    if repeat:
        chosen |= {"personal": PersonalRepeat(5.0), "rhythm": PersonalRhythm()}
    if data.attributes is not None:
        chosen["content"] = Content(half_life=half_life)
    return chosen
