"""Pages judged off-policy against a log whose law is known."""

from collections.abc import Iterator
from datetime import datetime

import duckdb
import numpy as np
import pandas as pd
import pytest

from ecomine.domain import Inputs
from ecomine.recommendation import RecommendationParams, pages

LOOKED = np.array([1.0, 0.6, 0.4, 0.25])
LIKED = np.array([0.1, 0.5, 0.2, 0.05, 0.35, 0.3])
ITEMS = np.array([f"i{number}" for number in range(len(LIKED))])
PAGES = 30_000


@pytest.fixture(scope="module")
def shown() -> pd.DataFrame:
    """Pages of four of six products, in random order with chance 0.5 and else in the shop's order."""
    random = np.random.default_rng(5)
    shuffled = random.random(PAGES) < 0.5
    order = np.where(shuffled[:, None], np.argsort(random.random((PAGES, len(ITEMS))), axis=1), np.arange(len(ITEMS)))
    item = order[:, : len(LOOKED)].ravel()
    position = np.tile(np.arange(len(LOOKED)), PAGES)
    clicked = random.random(len(item)) < LOOKED[position] * LIKED[item]
    return pd.DataFrame(
        {
            "user_id": np.repeat(np.where(np.arange(PAGES) % 2, "a", "b"), len(LOOKED)),
            "item_id": ITEMS[item],
            "page": np.repeat(np.arange(PAGES), len(LOOKED)),
            "query": "tea",
            "position": position + 1,
            "propensity": 0.5 / len(ITEMS) + np.where(item == position, 0.5, 0.0),
            "clicked": clicked.astype(int),
            "bought": 0,
        }
    )


def test_another_order_is_worth_what_its_law_says(shown: pd.DataFrame) -> None:
    """Somebody's list knows the two products that are liked best; the rest comes by popularity."""
    lists = pd.DataFrame({"user_id": ["a", "a", "b", "b"], "item_id": ["i1", "i4", "i4", "i1"], "rank": [1, 2, 1, 2]})
    popular = pd.Series({"i5": 0.4, "i2": 0.3, "i0": 0.2})
    true = ((LOOKED * LIKED[[1, 4, 5, 2]]).mean() + (LOOKED * LIKED[[4, 1, 5, 2]]).mean()) / 2
    table = pages.worth(shown, lists, popular, seed=1).set_index(["measure", "estimator"])
    clicks = table.loc["clicked"]
    assert clicks.loc["logged", "value"] == pytest.approx(shown["clicked"].mean())
    for estimator in ("ips", "snips", "dr", "switch_dr"):
        row = clicks.loc[estimator]
        assert row["value"] == pytest.approx(true, rel=0.06), estimator
        assert row["low"] < row["value"] < row["high"]
    assert clicks.loc["dr", "low"] > clicks.loc["logged", "high"]
    assert (table.loc["bought", "value"] == 0).all()


def test_the_shops_own_order_is_worth_what_it_brought_there(shown: pd.DataFrame) -> None:
    lists = pd.DataFrame(
        {"user_id": np.repeat(["a", "b"], 6), "item_id": np.tile(ITEMS, 2), "rank": [*range(1, 7)] * 2}
    )
    table = pages.worth(shown, lists, pd.Series(dtype=float), seed=1).set_index(["measure", "estimator"])
    assert table.loc[("clicked", "dr"), "value"] == pytest.approx((LOOKED * LIKED[:4]).mean(), rel=0.03)


@pytest.fixture
def inputs() -> Iterator[Inputs]:
    def event(kind: str, session: str, item: str | None, second: int, **more: object) -> dict[str, object]:
        moment = datetime(2024, 3, 1, 12, 0, second)
        return {
            "event_type": kind,
            "session_id": session,
            "user_id": "u",
            "item_id": item,
            "event_timestamp": moment,
        } | more

    page = {"query": "tea", "propensity": 0.5}
    events = pd.DataFrame(
        [
            event("impression", "s1", "i1", 1, position=1, **page),
            event("impression", "s1", "i2", 1, position=2, **page),
            event("view", "s1", "i2", 5),
            event("purchase", "s1", "i2", 9),
            event("impression", "s1", "i3", 20, position=1, query="milk", propensity=0.25),
            event("impression", "s2", "i1", 30, position=1, query="milk", propensity=None),
            event("view", "s2", "i1", 31),
        ]
    )
    with duckdb.connect() as connection:
        yield Inputs(
            connection, {"events": connection.from_df(events)}, datetime(2024, 4, 1), RecommendationParams(), 7, 2
        )


def test_impressions_carry_what_came_of_them(inputs: Inputs) -> None:
    shown = pages.logged(inputs, datetime(2024, 3, 1), datetime(2024, 3, 2))
    assert shown is not None
    told = shown[["item_id", "position", "propensity", "clicked", "bought"]].values.tolist()
    assert sorted(told) == [["i1", 1, 0.5, 0, 0], ["i2", 2, 0.5, 1, 1], ["i3", 1, 0.25, 0, 0]]
    assert shown.groupby("page")["item_id"].apply(set).tolist() in ([{"i3"}, {"i1", "i2"}], [{"i1", "i2"}, {"i3"}])
    assert pages.logged(inputs, datetime(2024, 3, 5), datetime(2024, 3, 9)) is None
