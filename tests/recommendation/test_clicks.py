"""Clicks on pages whose places and products are known."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from ecomine.errors import FeatureError
from ecomine.recommendation.purchases import Purchases
from ecomine.recommendation.retrievers import Clicks

AT = datetime(2024, 5, 30)
ITEMS = np.array([f"i{number}" for number in range(6)])
LIKED = np.array([0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
ETA = 0.7


@pytest.fixture(scope="module")
def purchases() -> Iterator[Purchases]:
    """30,000 pages, nine in ten in the order of the best first; place p is looked at with probability p^−0.7."""
    random = np.random.default_rng(3)
    count = 30_000
    order = np.where((random.random(count) < 0.1)[:, None], np.argsort(random.random((count, 6)), axis=1), np.arange(6))
    position = np.tile(np.arange(1, 7), count)
    item = order.ravel()
    page = np.repeat(np.arange(count), 6)
    clicked = random.random(len(item)) < position**-ETA * LIKED[item]
    when = AT - pd.to_timedelta(20 * (count - page) + 1, unit="s")
    shown = pd.DataFrame(
        {
            "session_id": page.astype(str),
            "user_id": np.where(page % 2, "a", "b"),
            "item_id": ITEMS[item],
            "event_type": "impression",
            "event_timestamp": when,
            "position": position,
            "propensity": 0.1 / 6 + np.where(item == position - 1, 0.9, 0.0),
        }
    )
    views = shown[clicked].assign(event_type="view", position=0, propensity=0.0)
    views["event_timestamp"] += pd.Timedelta(seconds=1)
    lines = pd.DataFrame(
        {"order_id": ["1", "2"], "user_id": ["a", "b"], "item_id": ["i0", "i5"], "event_timestamp": AT - timedelta(9)}
    )
    known = pd.DataFrame({"item_id": ITEMS, "launch_date": AT - timedelta(days=90)})
    with duckdb.connect() as connection:
        events = connection.from_df(pd.concat([shown, views], ignore_index=True))
        yield Purchases.of(connection.from_df(lines), AT, known, events)


def test_places_do_not_favour_products(purchases: Purchases) -> None:
    """The first product is opened 19 times as often as the last, but is liked six times as much."""
    clicks = Clicks(half_life_days=1000).fit(purchases)
    assert clicks.rate == pytest.approx(LIKED, rel=0.15)
    raw = purchases.shown.aggregate("item, avg(clicked)", "item").order("item").fetchnumpy()["avg(clicked)"]
    assert raw[0] / raw[5] > 2.5 * LIKED[0] / LIKED[5]


def test_a_click_far_down_speaks_louder(purchases: Purchases) -> None:
    clicks = Clicks(half_life_days=1000).fit(purchases)
    shown = purchases.shown.df()
    mine = shown[(shown["user"] == 0) & (shown["clicked"] == 1)]
    expected = (mine["position"].astype(float) ** ETA).groupby(mine["item"]).sum()
    found = clicks.score(np.zeros(6, int), np.arange(6))
    assert found == pytest.approx(expected.to_numpy(), rel=0.1)
    assert clicks.score(np.array([-1]), np.array([0])) == pytest.approx(0.1 * clicks.rate[0])
    assert not clicks.opened(np.array([-1]), np.array([0]))[0] and clicks.opened(np.array([0]), np.array([0]))[0]


def test_what_is_opened_later_is_not_known_yet(purchases: Purchases) -> None:
    earlier = purchases.until(AT - timedelta(days=3))
    assert earlier.shown.aggregate("max(day)").fetchall()[0][0] <= pd.Timestamp(AT).value / 86_400e9 - 3
    assert Clicks().fit(earlier).scores(np.array([0])).sum() < Clicks().fit(purchases).scores(np.array([0])).sum()


def test_frames_tell_what_relations_tell() -> None:
    lines = pd.DataFrame({"order_id": ["1"], "user_id": ["a"], "item_id": ["i0"], "event_timestamp": [AT]})
    events = pd.DataFrame(
        {
            "session_id": "s",
            "user_id": "a",
            "item_id": "i0",
            "event_type": ["impression", "view"],
            "event_timestamp": AT - timedelta(days=1),
            "position": [4, 0],
        }
    )
    frames = Purchases.of(lines, AT, events=events)
    with duckdb.connect() as connection:
        relation = connection.from_df(lines)
        relations = Purchases.of(relation, AT, events=connection.from_df(events))
        assert (
            frames.shown.fetchall() == relations.shown.fetchall() == [(0, 0, 4, 1.0, 1, frames.shown.fetchall()[0][5])]
        )
        with pytest.raises(FeatureError, match="both as DataFrames, or both as relations"):
            Purchases.of(relation, AT, events=events)


def test_it_is_the_same_from_its_file_and_knows_nothing_without_impressions(
    purchases: Purchases, tmp_path: Path
) -> None:
    clicks = Clicks().fit(purchases)
    clicks.save(tmp_path / "clicks.parquet")
    again = Clicks().load(tmp_path / "clicks.parquet", 2, 6)
    assert (again.scores(np.arange(2)) != clicks.scores(np.arange(2))).nnz == 0 and (again.rate == clicks.rate).all()
    lines = pd.DataFrame({"order_id": ["1"], "user_id": ["a"], "item_id": ["i0"], "event_timestamp": [AT]})
    bare = Clicks().fit(Purchases.of(lines))
    assert len(bare.candidates(np.array([0]), 5)[0]) == 0 and bare.score(np.array([0]), np.array([0])) == 0
