"""Retrievers against values worked out by hand and against plain loops over users and items."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError
from ecomine.recommendation.candidates import CandidateFinder
from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.purchases import Purchases
from ecomine.recommendation.retrievers import (
    EASE,
    KINDS,
    RETRIEVERS,
    AssociationRules,
    Content,
    CoPurchase,
    CoView,
    ItemKNN,
    PersonalRepeat,
    PersonalRhythm,
    Popularity,
    Retriever,
    UserKNN,
    blocks,
)
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


@pytest.mark.parametrize("name", KINDS)
def test_each_stands_alone_on_a_frame_and_answers_the_same_after_saving(name: str, tmp_path: Path) -> None:
    shop = tiny_shop(users=40, items=30, days=60)
    frame, items = shop["order_lines"][["user_id", "item_id", "order_id", "event_timestamp"]], shop["items"]
    retriever = KINDS[name]().fit(frame, items)
    lists = retriever.recommend(["u0003", "u0001"], 5, repeat=True)
    assert lists["user_id"].drop_duplicates().tolist() == ["u0003", "u0001"]
    assert (lists.groupby("user_id")["score"].diff().dropna() <= 0).all() and (lists["score"] > 0).all()
    assert not lists.duplicated(["user_id", "item_id"]).any()
    seen = frame[["user_id", "item_id"]].drop_duplicates()
    assert retriever.recommend(None, 5).merge(seen).empty
    assert retriever.recommend(["nobody"], 5).empty == (name != "popularity")

    shuffled = KINDS[name]().fit(frame.sample(frac=1, random_state=1), items)
    pd.testing.assert_frame_equal(shuffled.recommend(None, 5, repeat=True), retriever.recommend(None, 5, repeat=True))
    path, again = (tmp_path / f"{place}{retriever.suffix}" for place in ("once", "twice"))
    retriever.save(path)
    shuffled.save(again)
    assert path.read_bytes() == again.read_bytes()
    loaded = KINDS[name](**retriever.settings())
    loaded.load(path, len(retriever.users), len(retriever.items))
    users = np.array([3, -1, 5])
    row, item = retriever.candidates(users, 6)
    assert loaded.candidates(users, 6)[1].tolist() == item.tolist()
    assert loaded.score(users[row], item) == pytest.approx(retriever.score(users[row], item))


def test_association_rules_by_hand() -> None:
    baskets = {"1": "bm", "2": "bm", "3": "bmc", "4": "bc", "5": "m", "6": "c", "7": "d", "8": "d"}
    frame = pd.DataFrame(
        [(basket, "u" + basket, item) for basket, items in baskets.items() for item in items],
        columns=["order_id", "user_id", "item_id"],
    )
    rules = AssociationRules(min_count=2).fit(frame).rules().set_index(["item_id", "other_id"])
    # b and m together in 3 of 8 baskets; b in 4, m in 4; b and c in 2; c in 3.
    assert rules.loc[("b", "m")].tolist() == pytest.approx([3 / 8, 3 / 4, (3 / 4) / (4 / 8)])
    assert rules.loc[("c", "b")].tolist() == pytest.approx([2 / 8, 2 / 3, (2 / 3) / (4 / 8)])
    assert len(rules) == 4
    with_basket = AssociationRules(min_count=2).fit(frame).goes_with(pd.DataFrame({"basket_id": [1], "item_id": ["m"]}))
    assert with_basket[["item_id", "rank"]].to_numpy().tolist() == [["b", 1]]
    for measure in ("lift", "support"):
        other = AssociationRules(min_count=2, measure=measure).fit(frame).rules()
        pd.testing.assert_frame_equal(other, rules.reset_index())
    with pytest.raises(FeatureError, match="The item z was not there"):
        AssociationRules().fit(frame).similar(["z"])


def _random(seed: int = 0, users: int = 30, items: int = 12) -> tuple[pd.DataFrame, np.ndarray]:
    matrix = np.random.default_rng(seed).random((users, items)) < 0.3
    matrix[np.arange(items), np.arange(items)] = True
    user, item = np.nonzero(matrix)
    return pd.DataFrame({"user_id": user, "item_id": item}), matrix[matrix.any(axis=1)].astype(float)


def test_ease_is_ridge_regression_of_each_item_on_the_others() -> None:
    frame, X = _random()
    B = EASE(regularization=3.0).fit(frame).similarity
    for item in range(X.shape[1]):
        others = np.arange(X.shape[1]) != item
        ridge = np.linalg.solve(X[:, others].T @ X[:, others] + 3 * np.eye(others.sum()), X[:, others].T @ X[:, item])
        assert B[others, item] == pytest.approx(ridge, abs=1e-5) and B[item, item] == 0
    few = EASE(regularization=3.0, limit=5).fit(frame).similarity
    assert (few.any(axis=0)).sum() == 5


def test_neighbours_like_plain_loops() -> None:
    frame, X = _random(1)
    cosine = ItemKNN(idf=False, shrinkage=2.0).fit(frame).similarity.toarray()
    jaccard = ItemKNN(metric="jaccard", idf=False, shrinkage=0.0).fit(frame).similarity.toarray()
    for i in range(X.shape[1]):
        for j in range(X.shape[1]):
            common, ni, nj = (X[:, i] * X[:, j]).sum(), X[:, i].sum(), X[:, j].sum()
            assert cosine[i, j] == pytest.approx((i != j) * common / ((ni * nj) ** 0.5 + 2))
            assert jaccard[i, j] == pytest.approx((i != j) * common / (ni + nj - common))
    knn = UserKNN(neighbours=3, idf=False).fit(frame)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    similar = unit @ unit.T - np.eye(len(X))
    nearest = np.argsort(-np.round(similar[0], 12), kind="stable")[:3]
    expected = similar[0, nearest] @ X[nearest] / similar[0, nearest].sum()
    assert knn.score(np.zeros(X.shape[1], int), np.arange(X.shape[1])) == pytest.approx(expected)


def test_what_follows_is_not_what_goes_before() -> None:
    frame = pd.DataFrame({"user_id": list("aaabbb"), "item_id": list("xyzxyw"), "position": [1, 2, 3, 1, 2, 3]})
    after = CoView(direction="after", shrinkage=0.0, target=0.0).fit(frame)
    # Two people have x; y comes at distance 1 twice, z at distance 2 once.
    assert after.similar(["x"], 2)[["similar_id", "score"]].to_numpy().tolist() == [["y", 1.0], ["w", 0.25]]
    assert after.similar(["z"], 3).empty
    both = CoView(shrinkage=0.0, target=0.0).fit(frame)
    assert both.similar(["z"], 1)["similar_id"].tolist() == ["y"]


def test_a_habit_comes_up_when_it_is_due() -> None:
    weekly = [(f"{day}w", "a", "bread", day) for day in (35, 28, 21, 14, 7)]
    just = [(f"{day}j", "a", "milk", day) for day in (29, 22, 15, 8, 1)]
    others = [
        (f"{user}{day}", f"b{user}", item, day) for user in range(5) for item in ("bread", "milk") for day in (9, 2)
    ]
    rhythm = PersonalRhythm(half_life=1e6).fit(lines(*weekly, *just, *others))
    lists = rhythm.recommend(["a"], 2, repeat=True)
    assert lists["item_id"].tolist() == ["bread", "milk"] and lists["score"].iloc[0] > 2 * lists["score"].iloc[1]


def test_content_knows_items_that_nobody_had() -> None:
    frame = pd.DataFrame({"user_id": ["a", "b"], "item_id": ["tea", "saw"]})
    items = pd.DataFrame(
        {
            "item_id": ["tea", "saw", "new tea", "new saw", "blank"],
            "category": ["food/drinks", "tools/saws", "food/drinks", "tools/saws", None],
            "brand": ["A", "B", "A", "B", None],
            "title": ["green tea bags", "hand saw", "black tea bags", "table saw", None],
        }
    )
    lists = Content().fit(frame, items).recommend(["a", "b"], 3)
    assert lists["item_id"].tolist() == ["new tea", "new saw"]
    with pytest.raises(FeatureError, match="Content needs items"):
        Content().fit(frame)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_the_best_of_a_block_like_sorting_each_row(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    block = np.round(random.random((4, 7)) * 3) * (random.random((4, 7)) < 0.7)
    expected = [
        (row, item)
        for row in range(4)
        for item in sorted(np.flatnonzero(block[row] > 0), key=lambda item: (-block[row, item], item))[:k]
    ]
    for form in (block, sparse.csr_matrix(block)):
        row, item, value = blocks.best(form, k)
        assert list(zip(row.tolist(), item.tolist(), strict=True)) == expected
        assert value.tolist() == block[row, item].tolist()
        assert (blocks.pick(form, *np.indices(block.shape).reshape(2, -1)) == block.ravel()).all()


def test_unusable_interactions_and_settings_are_clear_errors() -> None:
    frame = pd.DataFrame({"user_id": ["a", None], "item_id": ["x", "y"]})
    with pytest.raises(FeatureError, match="1 interactions have no user_id"):
        ItemKNN().fit(frame)
    with pytest.raises(FeatureError, match="lack item_id; they have user_id"):
        ItemKNN().fit(frame[["user_id"]])
    with pytest.raises(NotEnoughDataError, match="no interactions"):
        ItemKNN().fit(frame.iloc[:0])
    for bad in (ItemKNN(metric="x"), CoView(direction="x"), AssociationRules(measure="x"), EASE(dropout=1.0)):
        with pytest.raises(SettingsError, match="expected"):
            bad.fit(frame.iloc[:1])
    with pytest.raises(SettingsError, match=r"`recommendation.retrievers` is personal, magic; expected"):
        CandidateFinder(RecommendationParams(retrievers=["personal", "magic"]))


def test_order_lines_that_cannot_be_used_are_clear_errors() -> None:
    good = lines(("1", "a", "p", 0))
    with pytest.raises(FeatureError, match="lack item_id; they have"):
        Purchases.of(good.drop(columns="item_id"))
    with pytest.raises(NotEnoughDataError, match="no order line up to 2023-01-01"):
        Purchases.of(good, datetime(2023, 1, 1))
    with pytest.raises(NotEnoughDataError):
        Purchases.of(good.iloc[:0])
