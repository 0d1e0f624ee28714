"""Measures of uplift against sums by hand, against a plain double of themselves, and against chance."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecomine.ads.uplift_metrics import auuc, bootstrap, interval, qini, qini_curve, uplift_at
from ecomine.errors import FeatureError, NotEnoughDataError

SCORE = np.array([0.9, 0.8, 0.7, 0.7, 0.3, 0.1])
TREATED = np.array([1, 0, 1, 0, 1, 0])
OUTCOME = np.array([1, 0, 1, 1, 0, 1])


def test_the_curve_by_hand() -> None:
    people, gain = qini_curve(SCORE, TREATED, OUTCOME)
    assert people.tolist() == [0, 1, 2, 4, 5, 6]
    # Without anybody of the other arm nothing is taken off; then 1 - 0, 2 - 1 · 2/2, 2 - 1 · 3/2, 2 - 2 · 3/3.
    assert gain == pytest.approx([0, 1, 1, 1, 0.5, 0])


def test_qini_by_hand() -> None:
    # Areas under the curve: 0.5 + 1 + 2 + 0.75 + 0.25 = 4.5; the diagonal ends at 0. The ideal order is both treated
    # with an outcome together, then both without one, then both others: 2 · 2 / 2 + 2 · 2 + (2 + 0) / 2 · 2 = 8.
    assert qini(SCORE, TREATED, OUTCOME) == pytest.approx(4.5 / 8)


def test_auuc_by_hand() -> None:
    # Effect × people / 6: nothing, (1 - 0) · 2, (1 - 1/2) · 4, (2/3 - 1/2) · 5, (2/3 - 2/3) · 6, over 6; by trapezes.
    points = np.array([0, 0, 2, 2, 5 / 6, 0]) / 6
    shares = np.array([0, 1, 2, 4, 5, 6]) / 6
    assert auuc(SCORE, TREATED, OUTCOME) == pytest.approx(np.trapezoid(points, shares))


def test_uplift_at_by_hand() -> None:
    assert uplift_at(SCORE, TREATED, OUTCOME, 1 / 3) == pytest.approx(1.0)
    # Half of those with a score of 0.7: 1.5 treated with 1.5 outcomes, 1.5 others with 0.5.
    assert uplift_at(SCORE, TREATED, OUTCOME, 0.5) == pytest.approx(1 - 0.5 / 1.5)
    assert uplift_at(SCORE, TREATED, OUTCOME, 1.0) == pytest.approx(0.0)


def plainly(score: np.ndarray, treated: np.ndarray, outcome: np.ndarray) -> float:
    """Qini by loops over thresholds."""

    def area(key: np.ndarray) -> float:
        points = [(0.0, 0.0)]
        for threshold in sorted(set(key.tolist()), reverse=True):
            above = key >= threshold
            t, c = above & (treated == 1), above & (treated == 0)
            ratio = t.sum() / c.sum() if c.sum() else 0.0
            points.append((float(above.sum()), float(outcome[t].sum() - outcome[c].sum() * ratio)))
        total = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(points))
        return total - points[-1][0] * points[-1][1] / 2

    return area(score) / area(outcome * (2 * treated - 1))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(8, 60), st.integers(2, 9))
def test_qini_is_that_of_its_plain_double(seed: int, rows: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    score = random.integers(0, levels, rows).astype(float)
    treated = np.append([0, 1], random.integers(0, 2, rows - 2))
    outcome = np.append([1, 1], random.integers(0, 2, rows - 2))
    assert qini(score, treated, outcome) == pytest.approx(plainly(score, treated, outcome), nan_ok=True)
    order = random.permutation(rows)
    assert qini(score[order], treated[order], outcome[order]) == pytest.approx(
        qini(score, treated, outcome), nan_ok=True
    )


def trial(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    effect = random.random(rows) * 0.4
    treated = random.integers(0, 2, rows).astype(float)
    return effect, treated, (random.random(rows) < 0.2 + effect * treated).astype(float)


def test_chance_ranks_no_better_than_nothing() -> None:
    effect, treated, outcome = trial(20_000, 1)
    random = np.random.default_rng(2)
    drawn = [qini(random.random(20_000), treated, outcome) for _ in range(30)]
    assert abs(np.mean(drawn)) < 3 * np.std(drawn) / 30**0.5 + 1e-3
    assert qini(effect, treated, outcome) > np.mean(drawn) + 5 * np.std(drawn)
    areas = [auuc(random.random(20_000), treated, outcome) for _ in range(30)]
    assert np.mean(areas) == pytest.approx((outcome[treated == 1].mean() - outcome[treated == 0].mean()) / 2, abs=0.004)


def test_intervals_hold_the_truth_and_narrow_with_people() -> None:
    effect, treated, outcome = trial(200_000, 3)
    true = qini(effect, treated, outcome)
    covered, widths = 0, []
    for seed in range(20):
        effect, treated, outcome = trial(3000, 10 + seed)
        told = interval("qini", effect, treated, outcome, samples=60, seed=seed)
        covered += told.low <= true <= told.high
        widths.append(told.high - told.low)
    assert covered >= 16
    effect, treated, outcome = trial(12_000, 4)
    assert np.mean(widths) > 1.6 * (lambda one: one.high - one.low)(
        interval("qini", effect, treated, outcome, samples=100)
    )


def test_two_rankings_are_compared_on_the_same_samples() -> None:
    effect, treated, outcome = trial(4000, 5)
    noisy = effect + np.random.default_rng(6).normal(0, 0.05, 4000)
    value, drawn = bootstrap("qini", [effect, noisy], treated, outcome, 60)
    assert value == pytest.approx([qini(effect, treated, outcome), qini(noisy, treated, outcome)])
    assert (drawn[0] - drawn[1]).std() < 0.7 * drawn[0].std()


def test_unsound_inputs_are_refused() -> None:
    with pytest.raises(NotEnoughDataError, match="one arm"):
        qini(SCORE, np.ones(6), OUTCOME)
    with pytest.raises(FeatureError, match="0 and 1"):
        qini(SCORE, TREATED, 2.5 * OUTCOME)
    with pytest.raises(FeatureError, match="one of each"):
        auuc(SCORE[:5], TREATED, OUTCOME)
    with pytest.raises(FeatureError, match="missing"):
        auuc(np.where(SCORE > 0.8, np.nan, SCORE), TREATED, OUTCOME)
