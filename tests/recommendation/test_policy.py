"""What the shop has its say in: stock, blocks, repetition, margin, diversity, exploration."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from ecomine.domain import Inputs, Rows
from ecomine.recommendation import DOMAIN, RecommendationParams, Recommender
from ecomine.recommendation.exploration import explore
from ecomine.recommendation.policy import decide

AS_OF = datetime(2024, 5, 30)
PARAMS = RecommendationParams(train_periods=2, max_rounds=10, list_length=6, exploration_share=0.0)


@pytest.fixture(scope="module")
def shop() -> dict[str, pd.DataFrame]:
    """The tiny shop, some of whose products are out of stock everywhere or in one place."""
    from tests.shop import tiny_shop

    tables = tiny_shop()
    counts = [
        ("i0000", "north", "2024-05-01", 5),
        ("i0000", "north", "2024-05-29", 0),
        ("i0001", "north", "2024-05-29", 0),
        ("i0001", "south", "2024-05-29", 3),
        ("i0002", "north", "2024-05-29", 0),
        ("i0002", "north", "2024-06-02", 9),
    ]
    stock = pd.DataFrame(counts, columns=["item_id", "location_id", "event_timestamp", "on_hand"])
    fresh = tables["items"].iloc[[3]].assign(item_id="new", title="new thing", launch_date=pd.Timestamp("2024-05-20"))
    tables["items"] = pd.concat([tables["items"], fresh], ignore_index=True)
    return tables | {"stock": stock.assign(event_timestamp=pd.to_datetime(stock["event_timestamp"]))}


@pytest.fixture(scope="module")
def model(shop: dict[str, pd.DataFrame]) -> Recommender:
    import duckdb

    with duckdb.connect() as connection:
        tables = {name: connection.from_df(frame) for name, frame in shop.items()}
        inputs = Inputs(connection, tables, AS_OF, PARAMS, 7, 2)
        rows: Rows = DOMAIN.label(inputs)
        return DOMAIN.fit(rows.train, inputs)


@pytest.fixture(scope="module")
def requests(model: Recommender) -> pd.DataFrame:
    return model.candidates()


def test_what_no_location_has_leaves_the_lists(model: Recommender, requests: pd.DataFrame) -> None:
    """Counts after as_of are not known yet."""
    assert {"i0000", "i0001", "i0002"} <= set(requests["item_id"])
    listed = set(decide(model, requests, PARAMS)["item_id"])
    assert "i0001" in listed and not {"i0000", "i0002"} & listed


def test_blocked_items_and_categories_leave_the_lists(
    model: Recommender, requests: pd.DataFrame, shop: dict[str, pd.DataFrame]
) -> None:
    params = replace(PARAMS, blocked=["i0001", "dept3"])
    department = shop["items"].set_index("item_id")["category"]
    listed = decide(model, requests, params)["item_id"].unique()
    assert "i0001" not in listed and len(listed) > 20
    assert not department.loc[listed].str.startswith("dept3").any()


def test_what_has_just_come_may_be_listed(model: Recommender, requests: pd.DataFrame) -> None:
    lists = decide(model, requests, replace(PARAMS, list_length=60))
    new = lists[lists["item_id"] == "new"]
    assert len(new) > 10 and (new["reason"] == "new, and of the kind that is bought here").all()


def test_what_nobody_buys_twice_is_not_shown_to_its_buyers(
    model: Recommender, requests: pd.DataFrame, shop: dict[str, pd.DataFrame]
) -> None:
    lists = decide(model, requests, replace(PARAMS, repeatable_rate=1.0))
    bought = set(zip(shop["order_lines"]["user_id"], shop["order_lines"]["item_id"], strict=True))
    assert len(lists) and not bought & set(zip(lists["user_id"], lists["item_id"], strict=True))


def test_repeat_rates_are_shares_of_buyers(model: Recommender, shop: dict[str, pd.DataFrame]) -> None:
    pairs = shop["order_lines"].groupby(["item_id", "user_id"])["order_id"].nunique()
    plain = (pairs > 1).groupby("item_id").mean()
    facts = model.assortment.facts.set_index(model.finder.items)
    assert np.corrcoef(facts.loc[plain.index, "repeat_rate"], plain)[0, 1] > 0.8
    assert facts["repeat_rate"].between(0, 1).all()


def test_margin_is_price_less_cost(model: Recommender, shop: dict[str, pd.DataFrame]) -> None:
    lines = shop["order_lines"]
    recent = lines[lines["event_timestamp"] > pd.Timestamp(AS_OF) - pd.Timedelta(days=90)]
    recent = recent[recent["event_timestamp"] <= AS_OF]
    paid = (recent["unit_price"] * recent["quantity"]).groupby(recent["item_id"]).sum()
    price = paid / recent.groupby("item_id")["quantity"].sum()
    expected = price - shop["items"].set_index("item_id")["unit_cost"]
    facts = model.assortment.facts.set_index(model.finder.items)["margin"]
    assert facts.to_numpy() == pytest.approx(expected.reindex(facts.index).to_numpy(), nan_ok=True)


def test_margin_weight_turns_lists_towards_what_pays(model: Recommender, requests: pd.DataFrame) -> None:
    margin = model.assortment.facts.set_index(model.finder.items)["margin"]
    plain, weighted = (decide(model, requests, replace(PARAMS, margin_weight=weight)) for weight in (0.0, 1.0))
    assert margin.loc[weighted["item_id"]].mean() > 1.1 * margin.loc[plain["item_id"]].mean()


def test_diversity_spreads_lists_over_categories(model: Recommender, requests: pd.DataFrame) -> None:
    category = model.assortment.facts.set_index(model.finder.items)["category"]

    def categories(diversity: float) -> float:
        lists = decide(model, requests, replace(PARAMS, diversity=diversity))
        return lists["item_id"].map(category).groupby(lists["user_id"]).nunique().mean()

    assert categories(0.0) < categories(0.05) <= categories(5.0)
    assert categories(5.0) > 5.5


def test_exploration_logs_true_propensities() -> None:
    """Over many customers, each place explores as often as declared and each product of a pool comes as often."""
    users, length, pool, share = 4000, 5, 10, 0.2
    rank = np.tile(np.arange(1, length + pool + 1), users)
    lists = pd.DataFrame(
        {
            "user_id": np.repeat([f"u{number}" for number in range(users)], length + pool),
            "item_id": [f"i{number}" for number in rank],
            "event_timestamp": pd.Timestamp(AS_OF),
            "rank": rank,
        }
    )
    shown = explore(lists, length, share, seed=1)
    assert len(shown) == users * length and not shown.duplicated(["user_id", "item_id"]).any()
    assert shown["rank"].tolist() == list(range(1, length + 1)) * users
    error = 4 * np.sqrt(share * (1 - share) / users)
    assert shown["explored"].groupby(shown["rank"]).mean().to_numpy() == pytest.approx(share, abs=error)
    first = shown[shown["explored"] & (shown["rank"] == 1)]["item_id"].value_counts()
    assert len(first) == pool and first.min() > 0.5 * users * share / pool
    assert set(shown["propensity"][shown["explored"]]) == {share / pool}
    assert set(shown["propensity"][~shown["explored"]]) == {1 - share}
    # The value of always showing the best product first, from the log of a policy that explores.
    best = (shown["item_id"] == "i1") & (shown["rank"] == 1)
    assert (best / shown["propensity"]).sum() / users == pytest.approx(1.0, abs=0.05)
    pd.testing.assert_frame_equal(shown, explore(lists, length, share, seed=1))
    assert not shown.equals(explore(lists, length, share, seed=2))


def test_a_list_with_no_pool_does_not_explore(model: Recommender, requests: pd.DataFrame) -> None:
    params = replace(PARAMS, list_length=300, exploration_share=0.5)
    assert (decide(model, requests, params)["propensity"] == 1.0).all()
    explored = decide(model, requests, replace(PARAMS, exploration_share=0.5))
    assert explored["reason"].eq("shown by chance, to learn from it").mean() == pytest.approx(0.5, abs=0.1)
