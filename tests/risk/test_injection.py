"""Anomalies of known kinds: what is changed, what is not, and that each is told apart by what it should be."""

import duckdb
import numpy as np
import pandas as pd
import pytest

from ecomine.risk import AnomalyDetector
from ecomine.risk.injection import KINDS, RUN, inject
from ecomine.risk.orders import ORDER_COLUMNS, order_features
from tests.shop import START, tiny_shop

SINCE = START + pd.Timedelta(days=110)
UNTIL = START + pd.Timedelta(days=150)


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    return tiny_shop()["order_lines"].drop(columns="coupon_id")


@pytest.fixture(scope="module")
def spoilt(lines: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return inject(lines, SINCE, 0.05, 3)


def features(lines: pd.DataFrame, since: pd.Timestamp = SINCE) -> pd.DataFrame:
    connection = duckdb.connect()
    return order_features(connection, connection.from_df(lines), since, UNTIL)


def test_only_chosen_orders_change(lines: pd.DataFrame, spoilt: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    changed, truth = spoilt
    assert set(truth["kind"]) == set(KINDS)
    assert truth.groupby("kind")["anomaly"].nunique().nunique() == 1
    untouched = lines[~lines["order_id"].isin(truth["order_id"])]
    same = changed[~changed["order_id"].isin(truth["order_id"])]
    keys = ["order_id", "item_id"]
    pd.testing.assert_frame_equal(
        same.sort_values(keys, ignore_index=True), untouched.sort_values(keys, ignore_index=True), check_dtype=False
    )
    assert (truth["loss"] > 0).tolist() == (~truth["order_id"].str.contains(RUN)).tolist()
    again, _ = inject(lines, SINCE, 0.05, 3)
    pd.testing.assert_frame_equal(again, changed)
    none, nothing = inject(lines.head(5), SINCE, 0.05, 3)
    assert nothing.empty and len(none) == 5


def test_each_kind_shows_in_its_own_column(lines: pd.DataFrame, spoilt: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    changed, truth = spoilt
    told = features(changed).merge(truth[truth["loss"] > 0], on="order_id")
    usual = features(lines)[list(ORDER_COLUMNS)].quantile(0.99)
    shows = {
        "price a hundred times too high": "price_to_usual",
        "price a hundredth of what it was": "price_below_usual",
        "units by the dozens": "units_to_usual",
        "all but free": "discount_share",
        "five orders within ten minutes": "orders_minutes",
        "ten orders within a day": "orders_day",
        "two places within five minutes": "haste_elsewhere",
        "cart of ninety strange products": "lines",
    }
    for kind, column in shows.items():
        assert (told.loc[told["kind"] == kind, column] > usual[column]).mean() >= 0.8, kind


def test_an_order_is_told_as_it_looked_then(lines: pd.DataFrame) -> None:
    middle = SINCE + pd.Timedelta(days=10)
    whole = features(lines)
    known = features(lines[lines["event_timestamp"] <= middle])
    early = whole[whole["event_timestamp"] <= known["event_timestamp"].max()].reset_index(drop=True)
    pd.testing.assert_frame_equal(early, known, check_exact=True)
    one = lines[lines["user_id"] == "u0001"].sort_values("event_timestamp")
    told = whole[whole["user_id"] == "u0001"].set_index("order_id")
    worth = (one["quantity"] * one["unit_price"]).groupby(one["order_id"]).sum()
    np.testing.assert_allclose(told["amount"], worth.loc[told.index], atol=1e-4)


def test_the_detector_finds_them(lines: pd.DataFrame) -> None:
    changed, truth = inject(lines, SINCE, 0.01, 3)  # one of each kind: more would change what is usual
    learnt = features(lines[lines["event_timestamp"] <= SINCE], START + pd.Timedelta(days=20))
    detector = AnomalyDetector(trees=30, threads=1).fit(learnt[list(ORDER_COLUMNS)])
    orders = features(changed)
    score = pd.Series(detector.score(orders[list(ORDER_COLUMNS)]), index=orders["order_id"])
    found = score.loc[truth["order_id"]].groupby(truth["anomaly"].to_numpy()).max()
    usual = score.drop(truth["order_id"])
    assert (found > usual.quantile(0.95)).mean() >= 0.8
