"""Retrievers against values worked out by hand and against plain loops over users and items."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.purchases import Purchases
from ecomine.recommendation.retrievers import RETRIEVERS, CoPurchase, PersonalRepeat, Popularity, Retriever
from tests.shop import tiny_shop

AT = datetime(2024, 1, 31)


def lines(*rows: tuple[str, str, str, int]) -> pd.DataFrame:
    """Order, user, item, days before AT."""
    frame = pd.DataFrame(rows, columns=["order_id", "user_id", "item_id", "age"])
    return frame.assign(event_timestamp=pd.Timestamp(AT) - pd.to_timedelta(frame.pop("age"), unit="D"))


@pytest.fixture(scope="module")
def shop() -> pd.DataFrame:
    return tiny_shop(users=40, items=30, days=60)["order_lines"]


def test_personal_repeat_halves_by_half_life_and_keeps_the_best() -> None:
    purchases = Purchases.of(
        lines(("1", "a", "p", 0), ("2", "a", "p", 10), ("2", "a", "q", 10), ("3", "b", "r", 20)), AT
    )
    personal = PersonalRepeat(half_life_days=10).fit(purchases)
    user, item = personal.candidates(np.array([0, 1]), 5)
    assert [(u, purchases.items[i]) for u, i in zip(user, item, strict=True)] == [(0, "p"), (0, "q"), (1, "r")]
    assert personal.score(np.array([0, 0, 0, 1]), np.array([0, 1, 2, 2])).tolist() == [1.5, 0.5, 0.0, 0.25]
    orders, days = personal.history(np.array([0, 1]), np.array([0, 0]))
    assert orders.tolist() == [2, 0] and days[0] == 0 and np.isnan(days[1])


def test_nothing_after_the_moment_is_seen() -> None:
    purchases = Purchases.of(lines(("1", "a", "p", 5), ("2", "a", "q", -1)), AT)
    assert purchases.items.tolist() == ["p"]
    later = Purchases.of(lines(("1", "a", "p", 5), ("2", "a", "q", 2)), AT).until(datetime(2024, 1, 28))
    assert PersonalRepeat(10).fit(later).state["item"].tolist() == [0]
    exactly = Purchases.of(lines(("1", "a", "p", 0)), AT)
    assert len(PersonalRepeat(10).fit(exactly).state) == 1


def test_copurchase_is_the_cosine_of_baskets() -> None:
    baskets = [("1", "a", item, 0) for item in "pq"] + [("2", "b", item, 0) for item in "pqr"] + [("3", "c", "r", 0)]
    purchases = Purchases.of(lines(*baskets), AT)
    personal = PersonalRepeat(10).fit(purchases)
    similar = CoPurchase(personal, 10, neighbours=5, recent=5, limit=10, support=1).fit(purchases)
    matrix = similar.similarity.toarray()
    # Orders with several items: p in two, q in two, r in one.
    assert matrix == pytest.approx(np.array([[0, 1, 0.5**0.5], [1, 0, 0.5**0.5], [0.5**0.5, 0.5**0.5, 0]]))
    c = np.array([2])
    user, item = similar.candidates(c, 5)
    assert user.tolist() == [0, 0] and purchases.items[item].tolist() == ["p", "q"]
    assert similar.because(np.array([2, 2]), np.array([0, 2])).tolist() == [2, -1]


def test_copurchase_like_a_plain_loop(shop: pd.DataFrame) -> None:
    at = shop["event_timestamp"].max().to_pydatetime()
    purchases = Purchases.of(shop, at)
    personal = PersonalRepeat(30).fit(purchases)
    similar = CoPurchase(personal, 20, neighbours=4, recent=3, limit=5, support=3).fit(purchases)
    support = shop["item_id"].value_counts()
    baskets = []
    for _, basket in shop.groupby("order_id"):
        age = (at - basket["event_timestamp"].max()) / pd.Timedelta(days=1)
        if 2 <= len(basket) <= 5 and age < 80:
            baskets.append((round(0.5 ** (age / 20), 9), {item for item in basket["item_id"] if support[item] >= 3}))
    mass = {item: sum(w for w, basket in baskets if item in basket) for item in purchases.items}
    for code, item in enumerate(purchases.items):
        expected = {}
        for other, name in enumerate(purchases.items):
            together = sum(w for w, basket in baskets if item in basket and name in basket)
            if other != code and together > 0 and together / (mass[item] * mass[name]) ** 0.5 >= 0.03:
                expected[other] = together / (mass[item] * mass[name]) ** 0.5
        best = dict(sorted(expected.items(), key=lambda pair: (-round(pair[1], 12), pair[0]))[:4])
        row = similar.similarity[[code]]
        assert dict(zip(row.indices.tolist(), row.data, strict=True)) == pytest.approx(best)
    everybody = np.arange(len(purchases.users))
    weights, matrix = personal.weights.toarray(), similar.similarity.toarray()
    for user in everybody:
        recent = np.argsort(-weights[user], kind="stable")[:3]
        scores = sum(weights[user, item] * matrix[item] for item in recent)
        found = similar.score(np.full(len(purchases.items), user), np.arange(len(purchases.items)))
        assert found == pytest.approx(scores)


def test_popularity_is_the_same_for_everybody_known_or_not() -> None:
    purchases = Purchases.of(lines(("1", "a", "p", 0), ("2", "b", "q", 0), ("3", "c", "q", 0)), AT)
    popularity = Popularity(10).fit(purchases)
    user, item = popularity.candidates(np.array([0, -1]), 1)
    assert user.tolist() == [0, 1] and purchases.items[item].tolist() == ["q", "q"]


@pytest.mark.parametrize("name", RETRIEVERS)
def test_each_answers_the_same_after_saving_and_knows_nobody_unknown(
    name: str, shop: pd.DataFrame, tmp_path: Path
) -> None:
    params = RecommendationParams()
    purchases = Purchases.of(shop)

    def make() -> tuple[PersonalRepeat, Retriever]:
        personal = PersonalRepeat(params.personal_half_life_days)
        return personal, RETRIEVERS[name](params, personal)

    personal, retriever = make()
    personal.fit(purchases)
    retriever.fit(purchases)
    retriever.save(tmp_path / f"state{retriever.suffix}")
    shared, loaded = make()
    shared.fit(purchases)
    loaded.load(tmp_path / f"state{retriever.suffix}", len(purchases.users), len(purchases.items))
    users = np.array([3, -1, 5])
    for before, after in zip(retriever.candidates(users, 7), loaded.candidates(users, 7), strict=True):
        assert before.tolist() == after.tolist()
    row, item = retriever.candidates(users, 7)
    assert np.bincount(row, minlength=3).max() <= 7
    if name != "popularity":
        assert 1 not in row
    score = retriever.score(users[row], item)
    assert score.tolist() == loaded.score(users[row], item).tolist()
    assert (score > 0).all()
    for place in range(3):
        assert (np.diff(score[row == place]) <= 1e-12).all()


def test_order_lines_that_cannot_be_used_are_clear_errors() -> None:
    good = lines(("1", "a", "p", 0))
    with pytest.raises(FeatureError, match="lack item_id; they have"):
        Purchases.of(good.drop(columns="item_id"))
    with pytest.raises(NotEnoughDataError, match="no order line up to 2023-01-01"):
        Purchases.of(good, datetime(2023, 1, 1))
    with pytest.raises(NotEnoughDataError):
        Purchases.of(good.iloc[:0])
