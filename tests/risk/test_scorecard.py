from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.risk import CreditScorecard
from ecomine.risk.binning import SMOOTH, bin_column
from ecomine.risk.boosting import Boosting
from ecomine.risk.scorecard import Points
from ecomine.risk.stability import fairness, gini, kolmogorov_smirnov, population_stability

TREES = Boosting(rounds=40, learning_rate=0.1, seeds=1, honest_per_fraud=0)


def _people(rows: int = 4_000, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(seed)
    late, income, noise = random.poisson(0.5, rows), random.lognormal(8, 0.5, rows), random.normal(size=rows)
    odds = -2 + 1.2 * late - 0.0004 * (income - 3_000)
    frame = pd.DataFrame({"late": late, "income": np.where(random.random(rows) < 0.1, np.nan, income), "noise": noise})
    return frame, (random.random(rows) < special.expit(odds)).astype(float)


@pytest.fixture(scope="module")
def card() -> CreditScorecard:
    return CreditScorecard({"late": 1, "income": -1}, trees=TREES, threads=1).fit(*_people())


def test_weight_of_evidence_by_hand() -> None:
    values = pd.Series([1.0] * 10 + [2.0] * 10 + [np.nan] * 5, name="x")
    event = np.array([1.0] * 2 + [0.0] * 8 + [1.0] * 6 + [0.0] * 4 + [1.0] + [0.0] * 4)
    found = bin_column(values, event, 5, 0.1)
    assert found.edges.tolist() == [1.0]
    odds = np.log((9 + SMOOTH) / (16 + SMOOTH))
    expected = [np.log(2.5 / 8.5) - odds, np.log(6.5 / 4.5) - odds, np.log(1.5 / 4.5) - odds]
    assert found.woe.tolist() == pytest.approx(expected)
    assert [found.label(place) for place in range(3)] == ["x ≤ 1", "x > 1", "x missing"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=20, max_size=200),
    st.sampled_from([1, -1]),
    st.integers(1, 6),
)
def test_bins_are_monotone_few_and_not_small(rows: list[tuple[int, bool]], way: int, most: int) -> None:
    values, event = (np.array(column, float) for column in zip(*rows, strict=True))
    if len(set(event)) < 2:
        return
    found = bin_column(pd.Series(values, name="x"), event, most, 0.05, way)
    place = found.places(values)
    shares = [event[place == number].mean() for number in range(len(found.edges) + 1)]
    assert len(shares) <= most
    assert (np.diff(shares) * way > 0).all()
    assert (found.share[:-1] >= 0.05 - 1e-9).all() or len(shares) == 1


def test_points_follow_the_odds_and_sum_to_the_score(card: CreditScorecard) -> None:
    frame, bad = _people(seed=1)
    risk, score = card.risk(frame), card.score(frame)
    factor = 20 / np.log(2)
    exact = 600 - factor * np.log(50) + factor * np.log((1 - risk) / risk)
    np.testing.assert_allclose(score, exact, atol=0.5 * len(card.binnings) + 1e-9)
    assert gini(risk, bad) > 0.5
    assert risk.mean() == pytest.approx(bad.mean(), abs=0.03)
    table = card.card()
    late = table[(table["column"] == "late") & ~table["bin"].str.contains("missing")]
    assert late["points"].is_monotonic_decreasing
    with_missing = table[table["bin"] == "income missing"]
    assert len(with_missing) == 1 and with_missing["share"].iloc[0] == pytest.approx(0.1, abs=0.02)


def test_the_trees_obey_their_constraints(card: CreditScorecard) -> None:
    frame = pd.DataFrame({"late": np.arange(8.0), "income": 3_000.0, "noise": 0.0})
    assert (np.diff(card.risk_by_trees(frame)) >= 0).all()
    people, bad = _people(seed=2)
    assert gini(card.risk_by_trees(people), bad) > 0.5


def test_a_refusal_has_its_reasons(card: CreditScorecard) -> None:
    found = card.reasons(pd.DataFrame({"late": [5.0], "income": [9_000.0], "noise": [0.0]})).iloc[0]
    assert found["reason_1"].startswith("late >")


def test_saved_and_loaded_it_answers_the_same(card: CreditScorecard, tmp_path: Path) -> None:
    frame, _ = _people(50)
    card.save(tmp_path)
    loaded = CreditScorecard.load(tmp_path)
    np.testing.assert_array_equal(loaded.risk(frame), card.risk(frame))
    np.testing.assert_array_equal(loaded.risk_by_trees(frame), card.risk_by_trees(frame))
    np.testing.assert_array_equal(loaded.score(frame), card.score(frame))
    pd.testing.assert_frame_equal(loaded.reasons(frame), card.reasons(frame))


def test_nobody_is_judged_by_what_they_are() -> None:
    frame, bad = _people(100)
    with pytest.raises(FeatureError, match="judged by Gender"):
        CreditScorecard().fit(frame.assign(Gender=1.0), bad)
    with pytest.raises(FeatureError, match="lack debt"):
        CreditScorecard({"debt": 1}).fit(frame, bad)
    with pytest.raises(NotEnoughDataError, match="expected both 0 and 1"):
        CreditScorecard().fit(frame, np.zeros(100))


def test_measures_by_hand() -> None:
    risk, bad = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])
    assert gini(risk, bad) == pytest.approx(0.5)
    assert kolmogorov_smirnov(risk, bad) == pytest.approx(0.5)
    before, after = np.repeat([0.0, 1.0], [50, 50]), np.repeat([0.0, 1.0], [25, 75])
    expected = (0.25 - 0.5) * np.log(0.25 / 0.5) + (0.75 - 0.5) * np.log(0.75 / 0.5)
    assert population_stability(before, after, bins=2) == pytest.approx(expected)


def test_fairness_by_hand() -> None:
    found = fairness(np.array(list("aabb")), np.array([0.1, 0.2, 0.1, 0.9]), np.array([0, 1, 0, 1]), 0.5)
    assert found["granted"].tolist() == [1.0, 0.5] and found["impact"].tolist() == [1.0, 0.5]
    assert found["granted_good"].tolist() == [1.0, 1.0] and found["gini"].tolist() == [1.0, 1.0]


def test_other_points() -> None:
    frame, bad = _people(500)
    wide = CreditScorecard(points=Points(base=1_000, double=100), trees=None, protected=()).fit(frame, bad)
    assert wide.score(frame).std() > 50
