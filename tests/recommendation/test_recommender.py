"""The recommender on its own, with no pipeline: it finds the favourites that people of the tiny shop have."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest

from ecomine.domain import LABEL, Inputs, Rows
from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError
from ecomine.recommendation import DOMAIN, RecommendationParams, Recommender
from ecomine.recommendation.features import thin_out
from ecomine.recommendation.policy import decide, top
from tests.shop import tiny_shop

AS_OF = datetime(2024, 5, 30)
PARAMS = RecommendationParams(train_periods=2, max_rounds=40, list_length=6)


@pytest.fixture(scope="module")
def shop() -> dict[str, pd.DataFrame]:
    return tiny_shop()


@pytest.fixture(scope="module")
def inputs(shop: dict[str, pd.DataFrame]) -> Iterator[Inputs]:
    with duckdb.connect() as connection:
        yield Inputs(connection, {name: connection.from_df(frame) for name, frame in shop.items()}, AS_OF, PARAMS, 7, 2)


@pytest.fixture(scope="module")
def rows(inputs: Inputs) -> Rows:
    return DOMAIN.label(inputs)


@pytest.fixture(scope="module")
def model(rows: Rows, shop: dict[str, pd.DataFrame]) -> Recommender:
    return Recommender(PARAMS).fit(rows.train, shop["order_lines"], shop["items"], AS_OF)


def test_labels_are_purchases_within_the_horizon(rows: Rows, shop: dict[str, pd.DataFrame]) -> None:
    orders = shop["order_lines"]
    for cutoff, part in pd.concat([rows.train, rows.test]).groupby("event_timestamp"):
        window = orders[
            (orders["event_timestamp"] > cutoff) & (orders["event_timestamp"] <= cutoff + timedelta(days=14))
        ]
        bought = set(zip(window["user_id"], window["item_id"], strict=True))
        pairs = zip(part["user_id"], part["item_id"], strict=True)
        assert part[LABEL].tolist() == [int(pair in bought) for pair in pairs]
    assert rows.test["event_timestamp"].unique().tolist() == [pd.Timestamp(AS_OF) - timedelta(days=14)]


def test_what_retrievers_say_was_known_at_the_cutoff(rows: Rows, shop: dict[str, pd.DataFrame]) -> None:
    orders = shop["order_lines"]
    for cutoff, part in rows.train.groupby("event_timestamp"):
        known = orders[orders["event_timestamp"] <= cutoff].groupby(["user_id", "item_id"])
        wanted = pd.MultiIndex.from_frame(part[["user_id", "item_id"]])
        assert part["personal_orders"].tolist() == known.size().reindex(wanted, fill_value=0).tolist()
        age = (cutoff - known["event_timestamp"].max().reindex(wanted)) / pd.Timedelta(days=1)
        assert part["personal_days"].to_numpy() == pytest.approx(age.to_numpy(), nan_ok=True)


def test_truth_is_the_margin_of_the_test_window(rows: Rows, shop: dict[str, pd.DataFrame]) -> None:
    orders = shop["order_lines"]
    after = pd.Timestamp(AS_OF) - timedelta(days=14)
    window = orders[(orders["event_timestamp"] > after) & (orders["event_timestamp"] <= AS_OF)]
    cost = window["item_id"].map(shop["items"].set_index("item_id")["unit_cost"])
    margin = (window["quantity"] * (window["unit_price"] - cost)).round(4)
    money = margin.groupby([window["user_id"], window["item_id"]]).sum()
    assert rows.truth.set_index(["user_id", "item_id"])["value"].to_dict() == pytest.approx(money.to_dict())


def test_thinning_keeps_every_positive_and_a_share_of_the_negatives_by_seed(rows: Rows) -> None:
    thin = thin_out(rows.test, 0.25, seed=1)
    assert thin[LABEL].sum() == rows.test[LABEL].sum()
    negatives = (rows.test[LABEL] == 0).sum()
    assert (thin[LABEL] == 0).sum() / negatives == pytest.approx(0.25, abs=0.05)
    pd.testing.assert_frame_equal(thin, thin_out(rows.test, 0.25, seed=1))
    assert len(thin.merge(thin_out(rows.test, 0.25, seed=2))) < len(thin)


def test_favourites_are_found(model: Recommender, shop: dict[str, pd.DataFrame]) -> None:
    """Four in five purchases are of a person's six favourites, so the six most frequent items are nearly those."""
    counts = shop["order_lines"].groupby(["user_id", "item_id"]).size().rename("n").reset_index()
    favourites = counts.sort_values("n", ascending=False, kind="stable").groupby("user_id").head(6)
    lists = decide(model, model.candidates(), PARAMS)
    assert len(lists.merge(favourites, on=["user_id", "item_id"])) / len(favourites) > 0.75


def test_it_is_better_than_the_same_list_for_everybody(model: Recommender, rows: Rows) -> None:
    result = DOMAIN.evaluate(model, rows.test, rows.truth, PARAMS)
    assert result.metrics["model"]["ndcg@10"] > 1.3 * result.metrics["popularity"]["ndcg@10"]
    assert result.metrics["model"]["ndcg@10"] > 0.95 * result.metrics["personal_top"]["ndcg@10"]
    assert set(result.metrics) >= {"model", "linear", "personal_top", "personal_recent", "popularity"}
    assert result.plots["recall"]["k"].tolist() == list(range(1, 21))


def test_money_is_that_of_the_purchases_listed(model: Recommender, rows: Rows) -> None:
    values = DOMAIN.evaluate(model, rows.test, rows.truth, PARAMS).values.set_index("user_id")
    lists = top(rows.test, model.score(rows.test), PARAMS.list_length)
    money = lists.merge(rows.truth, on=["user_id", "item_id"]).groupby("user_id")["value"].sum()
    assert values["model"].to_dict() == pytest.approx(money.reindex(values.index, fill_value=0.0).to_dict())


def test_reasons_are_true(model: Recommender, shop: dict[str, pd.DataFrame]) -> None:
    lists = decide(model, model.candidates(), replace(PARAMS, list_length=40))
    orders = shop["order_lines"].groupby(["user_id", "item_id"])
    past = lists.join(orders.size().rename("n"), on=["user_id", "item_id"]).join(
        orders["event_timestamp"].max().rename("last"), on=["user_id", "item_id"]
    )
    again = past[past["n"] > 1]
    days = (AS_OF - again["last"]) // pd.Timedelta(days=1)
    ago = np.where(days == 0, "today", np.where(days == 1, "yesterday", days.astype(str) + " days ago"))
    assert again["reason"].tolist() == [f"bought {n:.0f} times, last {a}" for n, a in zip(again["n"], ago, strict=True)]
    new = past[past["n"].isna()]
    assert new["reason"].str.match("often bought with thing [0-9]+$|popular this month$").all()
    assert new["reason"].nunique() > 5
    titles = dict(zip(shop["items"]["title"], shop["items"]["item_id"], strict=True))
    told = new[new["reason"].str.startswith("often")]
    causes = told["reason"].str.removeprefix("often bought with ").map(titles)
    bought = set(orders.groups)
    assert all((user, item) in bought for user, item in zip(told["user_id"], causes, strict=True))


def test_ties_go_to_the_item_whose_id_sorts_first() -> None:
    frame = pd.DataFrame({"user_id": ["b", "a", "a", "a"], "item_id": ["i1", "i3", "i2", "i1"]})
    lists = top(frame, np.array([0.1, 0.5, 0.5, 0.4]), k=2)
    assert lists[["user_id", "item_id", "rank"]].values.tolist() == [["a", "i2", 1], ["a", "i3", 2], ["b", "i1", 1]]


def test_somebody_unknown_gets_what_is_popular(model: Recommender) -> None:
    lists = decide(model, model.candidates(np.array(["nobody"], object)), PARAMS)
    assert len(lists) == PARAMS.list_length
    assert (lists["reason"] == "popular this month").all()


def test_features_are_learned_from_by_their_names(rows: Rows, shop: dict[str, pd.DataFrame]) -> None:
    random = np.random.default_rng(1)
    noisy = rows.train.assign(user_item__told=rows.train[LABEL] + random.normal(0, 0.1, len(rows.train)), other=1.0)
    model = Recommender(PARAMS).fit(noisy, shop["order_lines"], as_of=AS_OF)
    assert model.features == ("user_item__told",)
    low, high = (model.score(rows.test.assign(user_item__told=told)) for told in (0.0, 1.0))
    assert low.max() < high.min()
    with pytest.raises(FeatureError, match="lack user_item__told; they have user_id"):
        model.score(rows.test)
    with pytest.raises(FeatureError, match="user_item__told holds str; expected numbers"):
        model.score(rows.test.assign(user_item__told="much"))


def test_days_are_counted_from_the_row_and_never_from_1970(rows: Rows, shop: dict[str, pd.DataFrame]) -> None:
    model = Recommender(PARAMS)
    model.features = ("user_item__last_order_day", "user_item__mean_gap_days")
    frame = rows.test.assign(user_item__last_order_day=19_850.0, user_item__mean_gap_days=0.5)
    design = model.design(frame)
    day = (frame["event_timestamp"].iloc[0] - pd.Timestamp("1970-01-01")).days
    assert (design["days_since_purchase"] == day - 19_850).all()
    assert (design["days_since_purchase_by_gap"] == day - 19_850).all()
    assert not {"user_item__last_order_day", "event_timestamp", "item_id"} & set(design.columns)


@pytest.mark.parametrize("name", ["xgboost", "linear"])
def test_each_model_on_offer_can_be_chosen(name: str, rows: Rows, shop: dict[str, pd.DataFrame]) -> None:
    params = replace(PARAMS, model=name)
    model = Recommender(params).fit(rows.train, shop["order_lines"], as_of=AS_OF)
    score = model.score(rows.test)
    bought = rows.test[LABEL].to_numpy() == 1
    assert np.median(score[bought]) > np.quantile(score[~bought], 0.75)


def test_what_cannot_be_learned_from_is_a_clear_error(rows: Rows, shop: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(SettingsError, match="'forest'; expected one of xgboost, linear"):
        Recommender(replace(PARAMS, model="forest"))
    with pytest.raises(NotEnoughDataError, match="expected purchases and non-purchases"):
        Recommender(PARAMS).fit(rows.train[rows.train[LABEL] == 0], shop["order_lines"])
    with pytest.raises(FeatureError, match="training rows lack label"):
        Recommender(PARAMS).fit(rows.train.drop(columns=LABEL), shop["order_lines"])


def test_broken_lists_fail_their_checks(model: Recommender, inputs: Inputs) -> None:
    lists = decide(model, model.candidates(), PARAMS)

    def failed(decisions: pd.DataFrame) -> set[str]:
        return {check.name for check in DOMAIN.check(model, decisions, inputs) if not check.passed}

    assert failed(lists) == set()
    assert failed(pd.concat([lists, lists.iloc[:1]])) == {"items_listed_twice", "list_length"}
    assert failed(lists.assign(item_id=lists["item_id"].where(lists["rank"] > 1, "gone"))) == {"unknown_items"}
    assert failed(lists.assign(score=lists["score"].where(lists["rank"] > 1))) == {"null_scores"}
    assert failed(lists[lists["user_id"] != "u0000"]) == {"customers_without_list"}
    same = lists.assign(item_id="i" + (lists["rank"] - 1).astype(str).str.zfill(4))
    assert failed(same) == {"different_items"}
