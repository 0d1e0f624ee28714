"""Measures of drift against textbook numbers and SciPy, profiles against whole samples."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ecomine.errors import FeatureError
from ecomine.monitoring import drift, profile

values = st.lists(st.integers(-5, 40), min_size=5, max_size=200)


def test_psi_of_shifted_shares_is_the_sum_by_hand() -> None:
    reference, current = np.array([100, 200, 400, 300]), np.array([200, 300, 300, 200])
    p, q = reference / 1000, current / 1000
    assert drift.psi(reference, current) == pytest.approx(sum((q - p) * np.log(q / p)))
    assert drift.psi(reference, reference) == 0.0
    assert drift.psi(reference, 7 * reference) == pytest.approx(0.0)


def test_psi_of_a_normal_law_shifted_by_its_spread_is_one() -> None:
    # The continuous index is the symmetric Kullback–Leibler divergence, shift² / variance; ten groups lose a tenth.
    random = np.random.default_rng(1)
    was = profile.of_frame(pd.DataFrame({"x": random.normal(0, 1, 200_000)}))
    now = profile.counted(was, profile.frame_blocks(pd.DataFrame({"x": random.normal(1, 1, 200_000)})))
    assert profile.shifts(was, now)[0].psi == pytest.approx(0.93, abs=0.05)


def test_an_empty_class_keeps_the_index_finite() -> None:
    assert drift.psi(np.array([10, 0]), np.array([0, 10])) < 10


def test_counts_of_other_classes_are_refused() -> None:
    with pytest.raises(FeatureError, match="equal classes"):
        drift.psi(np.array([1, 2]), np.array([1, 2, 3]))


@settings(max_examples=40, deadline=None)
@given(values, values)
def test_ks_is_that_of_scipy_where_the_points_hold_all_values(reference: list[int], current: list[int]) -> None:
    was = profile.of_frame(pd.DataFrame({"x": [*reference, *current]}, dtype=float))["x"]
    one, two = (was.count(np.array(sample, float)) for sample in (reference, current))
    assert drift.kolmogorov_smirnov(one.counts, two.counts) == pytest.approx(
        stats.ks_2samp(reference, current, method="asymp").statistic
    )


def test_ks_of_a_profile_is_that_of_scipy_to_within_a_class() -> None:
    random = np.random.default_rng(2)
    reference, current = random.normal(0, 1, 5000), random.normal(0.3, 1.2, 3000)
    was = profile.of_frame(pd.DataFrame({"x": reference}))
    now = profile.counted(was, profile.frame_blocks(pd.DataFrame({"x": current})))
    (shift,) = profile.shifts(was, now)
    assert shift.ks == pytest.approx(stats.ks_2samp(reference, current).statistic, abs=2 / profile.POINTS)
    assert drift.ks_probability(0.05, 3000, 5000) == pytest.approx(
        stats.kstwobign.sf(0.05 * np.sqrt(3000 * 5000 / 8000))
    )


def test_chi_square_is_that_of_scipy() -> None:
    reference, current = np.array([120, 60, 20, 0]), np.array([90, 70, 45, 0])
    expected = stats.chi2_contingency(np.array([reference, current])[:, :3], correction=False).pvalue
    assert drift.chi_square(reference, current) == pytest.approx(expected)
    assert drift.chi_square(reference, np.zeros(4, int)) == 1.0


def test_nulls_and_new_levels_are_seen() -> None:
    was = profile.of_frame(
        pd.DataFrame({"kind": ["a", "b"] * 500, "x": np.arange(1000.0), "flag": [True, False] * 500})
    )
    current = pd.DataFrame(
        {"kind": ["a", "c"] * 500, "x": [np.nan] * 250 + [1.0] * 750, "flag": [True] * 900 + [None] * 100}
    )
    now = profile.counted(was, profile.frame_blocks(current))
    kind, x, flag = profile.shifts(was, now)
    assert now["kind"].counts.tolist() == [500, 0, 500]
    assert kind.psi > 1 and kind.nulls == 0.0
    assert x.nulls == pytest.approx(0.25)
    assert flag.nulls == pytest.approx(0.1) and flag.chance < 1e-9


def test_a_column_that_is_gone_is_all_null() -> None:
    was = profile.of_frame(pd.DataFrame({"x": [1.0, 2.0], "y": [1.0, 2.0]}))
    now = profile.counted(was, profile.frame_blocks(pd.DataFrame({"x": [1.0, 2.0, 3.0]})))
    assert (now["y"].nulls, now["y"].known) == (3, 0)


def test_blocks_of_a_relation_count_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    frame = pd.DataFrame(
        {"x": random.normal(0, 1, 5000), "n": random.poisson(3, 5000), "kind": random.choice(["a", "b", None], 5000)}
    )
    was = profile.of_frame(frame.head(1000))
    monkeypatch.setattr(profile, "BLOCK", 1024)
    with duckdb.connect() as connection:
        blocks = profile.counted(was, profile.relation_blocks(connection.from_df(frame)))
    whole = profile.counted(was, profile.frame_blocks(frame))
    for name in frame:
        assert blocks[name].counts.tolist() == whole[name].counts.tolist()
        assert blocks[name].nulls == whole[name].nulls


def test_a_profile_comes_back_from_its_rows() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, None], "kind": ["b", "a", None], "none": [None, None, None]}, dtype=object)
    frame = frame.astype({"x": float})
    was = profile.of_frame(frame)
    again = profile.from_rows(profile.to_rows(was, "features"))
    assert list(again) == ["x", "kind", "none"]
    for name, column in was.items():
        assert again[name].keys.tolist() == column.keys.tolist()
        assert again[name].counts.tolist() == column.counts.tolist()
        assert again[name].nulls == column.nulls


def test_groups_hold_about_equal_shares_whatever_the_ties() -> None:
    counts = np.array([500, 100, 100, 100, 100, 100])
    assert drift.groups(counts).tolist() == [0, 1, 2, 3, 4, 5]
    assert len(set(drift.groups(np.full(256, 4)).tolist())) == drift.GROUPS
