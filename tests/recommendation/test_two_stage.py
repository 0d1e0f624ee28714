"""Two stages on plain frames: against their own parts, on data whose structure is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine import metrics
from ecomine.errors import NotEnoughDataError, SettingsError
from ecomine.recommendation.interactions import Interactions
from ecomine.recommendation.retrievers import ItemKNN, PersonalRepeat, Popularity, UserKNN
from ecomine.recommendation.search import search
from ecomine.recommendation.two_stage import RANKING, TwoStageRecommender, suitable
from tests.shop import tiny_shop


def tastes(users: int = 240, items: int = 90, groups: int = 6, seed: int = 3) -> tuple[pd.DataFrame, pd.DataFrame]:
    """People who choose mostly within one of a few groups of items; a fifth of each one's choices is the test."""
    random = np.random.default_rng(seed)
    taste = random.integers(groups, size=users)
    rows = []
    for user in range(users):
        weight = np.where(np.arange(items) % groups == taste[user], 12.0, 1.0) / np.arange(1, items + 1) ** 0.5
        rows.append(random.choice(items, 12, replace=False, p=weight / weight.sum()))
    frame = pd.DataFrame({"user_id": np.repeat(np.arange(users), 12), "item_id": np.concatenate(rows)})
    test = random.random(len(frame)) < 0.2
    return frame[~test].reset_index(drop=True), frame[test].reset_index(drop=True)


def ndcg(lists: pd.DataFrame, truth: pd.DataFrame) -> float:
    return float(metrics.ranking_by_unit(lists, truth.assign(value=0.0), 10)["ndcg"].mean())


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, pd.DataFrame]:
    return tastes()


@pytest.fixture(scope="module")
def fitted(data: tuple[pd.DataFrame, pd.DataFrame]) -> TwoStageRecommender:
    return TwoStageRecommender(candidates=30).fit(data[0])


def test_beats_popularity_by_far_and_lists_nothing_somebody_has(
    fitted: TwoStageRecommender, data: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    train, test = data
    lists = fitted.recommend(None, 10)
    assert lists.merge(train).empty and not lists.duplicated(["user_id", "item_id"]).any()
    assert (lists.groupby("user_id").size() == 10).all()
    popular = ndcg(Popularity(1e6).fit(train).recommend(None, 10), test)
    assert ndcg(lists, test) > 1.4 * popular
    assert ndcg(TwoStageRecommender(candidates=30, model="linear").fit(train).recommend(None, 10), test) > 1.4 * popular


def test_same_data_in_any_order_gives_the_same_bytes_and_saving_keeps_the_answers(
    fitted: TwoStageRecommender, data: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    again = TwoStageRecommender(candidates=30).fit(data[0].sample(frac=1, random_state=2))
    for name, model in (("once", fitted), ("twice", again)):
        (tmp_path / name).mkdir()
        model.save(tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "once").iterdir())
    for name in files:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes(), name
    loaded = TwoStageRecommender.load(tmp_path / "once")
    pd.testing.assert_frame_equal(loaded.recommend([5, 7], 8), fitted.recommend([5, 7], 8))


def test_somebody_unknown_gets_what_is_popular_and_one_answer_is_like_that_of_many(
    fitted: TwoStageRecommender,
) -> None:
    assert len(fitted.recommend([10**6], 5)) == 5
    everybody = fitted.recommend(None, 5)
    one = fitted.recommend([17], 5)
    assert one["item_id"].tolist() == everybody.loc[everybody["user_id"] == 17, "item_id"].tolist()
    assert fitted.recommend([], 5).empty


def test_habits_come_back_where_items_are_bought_again() -> None:
    lines = tiny_shop(users=80, items=50, days=90)["order_lines"]
    cut = lines["event_timestamp"].max() - pd.Timedelta(days=10)
    before, after = lines[lines["event_timestamp"] <= cut], lines[lines["event_timestamp"] > cut]
    truth = after[["user_id", "item_id"]].drop_duplicates()
    model = TwoStageRecommender(candidates=20, repeat=True).fit(before)
    assert set(suitable(Interactions.of(before), True)) >= {"personal", "rhythm", "rules", "follows"}
    lists = model.recommend(truth["user_id"].unique(), 10)
    assert ndcg(lists, truth) > 1.2 * ndcg(Popularity(1e6).fit(before).recommend(None, 10, repeat=True), truth)
    assert ndcg(lists, truth) > 0.9 * ndcg(PersonalRepeat(30.0).fit(before).recommend(None, 10, repeat=True), truth)


def test_the_search_takes_what_helps_and_repeats_itself(data: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    given = TwoStageRecommender(
        {"popularity": Popularity(1e6), "user_knn": UserKNN(neighbours=40), "item_knn": ItemKNN()},
        candidates=20,
        folds=1,
    )
    once, twice = (search(given, Interactions.of(data[0]), 10, 1.0, trials=3) for _ in range(2))
    assert once.ranking == twice.ranking and list(once.retrievers or {}) == list(twice.retrievers or {})
    assert "popularity" in (once.retrievers or {})
    tuned = given.tune(data[0], minutes=0.001)
    # With no time left the settings are the given ones.
    assert tuned.ranking == RANKING and list(tuned.retrievers or {}) == ["popularity", "user_knn", "item_knn"]
    assert len(once.fit(data[0]).recommend([1], 5)) == 5


def test_what_cannot_be_learned_is_a_clear_error() -> None:
    with pytest.raises(SettingsError, match="`model` is 'magic'; expected xgboost or linear"):
        TwoStageRecommender(model="magic")
    alone = pd.DataFrame({"user_id": [1, 2], "item_id": [1, 2]})
    with pytest.raises(NotEnoughDataError, match="Nothing of what was held out"):
        TwoStageRecommender({"popularity": Popularity()}).fit(alone)
