"""Frames that are drawn: held against scikit-learn and against what can be counted by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, precision_score, recall_score

from ecomine.risk.plots import POINTS, drift, money_by_threshold, precision_recall
from ecomine.store import Store

RANDOM = np.random.default_rng(5)
FRAUD = RANDOM.random(3000) < 0.05
SCORE = np.round(np.where(FRAUD, RANDOM.beta(3, 2, 3000), RANDOM.beta(1, 4, 3000)), 3)


def test_every_point_of_a_curve_is_that_of_its_threshold() -> None:
    told = precision_recall({"model": SCORE, "chance": RANDOM.random(3000)}, FRAUD)
    assert set(told["method"]) == {"model", "chance"} and len(told) <= 4 * POINTS
    model = told[told["method"] == "model"]
    assert model["threshold"].is_monotonic_increasing and model["recall"].is_monotonic_decreasing
    for row in model.iloc[:: len(model) // 20].itertuples():
        flagged = row.threshold <= SCORE
        assert row.precision == pytest.approx(precision_score(FRAUD, flagged))
        assert row.recall == pytest.approx(recall_score(FRAUD, flagged))
    # The area under the kept points is the average precision of all, but for the points between.
    rising = model.sort_values("recall", kind="stable")
    area = np.sum(np.diff(rising["recall"], prepend=0.0) * rising["precision"])
    assert area == pytest.approx(average_precision_score(FRAUD, SCORE), abs=0.02)


def test_money_by_threshold_is_the_sum_of_what_is_stopped() -> None:
    blocked, looked = np.where(FRAUD, 100.0, -20.0), np.where(FRAUD, 95.0, -3.0)
    told = money_by_threshold(SCORE, blocked, looked)
    assert told["threshold"].is_monotonic_decreasing and told["share"].iloc[-1] == 1.0
    for row in told.iloc[:: max(len(told) // 25, 1)].itertuples():
        stopped = row.threshold <= SCORE
        assert row.rows == stopped.sum()
        assert (row.block, row.review) == (pytest.approx(blocked[stopped].sum()), pytest.approx(looked[stopped].sum()))
    assert "block" not in money_by_threshold(SCORE, blocked, looked, may_block=False)


def test_scores_that_move_are_seen() -> None:
    week = np.repeat([1, 2, 3], 1000)
    still = drift(week, SCORE, FRAUD)
    assert (still["stability"] < 0.1).all() and (still["auc"] > 0.85).all() and still["stability"].iloc[0] == 0
    moved = drift(week, np.where(week == 3, SCORE + 0.3, SCORE), FRAUD)
    assert moved["stability"].iloc[2] > 0.25 and moved["score_0.5"].iloc[2] > moved["score_0.5"].iloc[1] + 0.2
    assert drift(week, SCORE, np.zeros(3000, bool))["auc"].tolist() == [0.5] * 3


def test_curve_and_metrics_of_a_run_agree(watched) -> None:  # type: ignore[no-untyped-def]
    said = Store(watched).read_json("metrics/risk.json")["model"]
    told = pd.read_csv(watched / "metrics/risk/precision_recall.csv")
    rising = told[told["method"] == "model"].sort_values("recall", kind="stable")
    area = np.sum(np.diff(rising["recall"], prepend=0.0) * rising["precision"])
    assert area == pytest.approx(said["average_precision"], abs=0.03)
    money = pd.read_csv(watched / "metrics/risk/money_by_threshold.csv")
    assert money["review"].max() > 0 and money["share"].iloc[-1] == 1.0
