"""Windows and smoothing against loops that say the same slowly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecomine.inventory.forecasting.history import DAILY, WEEKLY, Past, Sums, groups
from ecomine.inventory.forecasting.intermittent import smoothed

FEW = settings(max_examples=15, deadline=None)


def grid(seed: int, count: int, width: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    units = random.poisson(random.uniform(0.2, 4, count)[:, None], (count, width)).astype(np.float32)
    units[random.random(units.shape) < 0.15] = np.nan
    return units


@FEW
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 40), st.integers(1, 7), st.integers(1, 60))
def test_windows_are_sums_of_their_periods(seed: int, count: int, width: int, step: int, size: int) -> None:
    units = grid(seed, count, width)
    sums = Sums(units, step)
    for row in range(count):
        for last in range(width):
            cells = [last - turn * step for turn in range(size) if last - turn * step >= 0]
            told = sums.window(np.array([row]), np.array([last]), size)[0]
            assert told == pytest.approx(np.nansum(units[row, cells]))


@FEW
@given(st.integers(0, 10_000), st.integers(1, 25), st.booleans())
def test_features_see_nothing_after_the_origin(seed: int, distance: int, weekly: bool) -> None:
    random = np.random.default_rng(seed)
    rhythm, width = (WEEKLY if weekly else DAILY), 120
    units = grid(seed, 4, width)
    state = (random.random((4, width)) < 0.3).astype(np.float32)
    row, origin = np.arange(4), random.integers(20, width - distance, 4)
    changed = units.copy()
    changed[np.arange(width) > origin[:, None]] = 99.0
    codes = {"category": np.array([0, 0, 1, 1]), "all": np.zeros(4, np.int64)}
    # Groups are of all series, so that they too may hold nothing later than the earliest origin.
    origin[:] = origin.min()
    changed[:, : origin[0] + 1] = units[:, : origin[0] + 1]

    def told(values: np.ndarray) -> dict[str, np.ndarray]:
        past = Past(values, state, codes, groups(values, codes), rhythm, np.zeros(4, np.int64))
        return past.features(row, origin + distance, origin, state[row, origin + distance])[1]

    before, after = told(units), told(changed)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)


@FEW
@given(st.integers(0, 10_000), st.integers(1, 20))
def test_the_same_weekday_in_the_same_state_is_averaged(seed: int, distance: int) -> None:
    random = np.random.default_rng(seed)
    width = 100
    units, state = grid(seed, 1, width), (random.random((1, width)) < 0.4).astype(np.float32)
    codes = {"category": np.zeros(1, np.int64), "all": np.zeros(1, np.int64)}
    past = Past(units, state, codes, groups(units, codes), DAILY, np.zeros(1, np.int64))
    origin = width - 1 - distance
    target = origin + distance
    base, named = past.features(*(np.array([one]) for one in (0, target, origin)), state[0, [target]])
    cells = [day for day in range(target - 7, -1, -7) if day <= origin][:8]
    cells = [day for day in cells if state[0, day] == state[0, target] and np.isfinite(units[0, day])]
    if cells:
        mean = (units[0, cells].sum() + 0.5 * base[0]) / (len(cells) + 0.5)
        assert named["alike_8"][0] == pytest.approx(np.log(mean / base[0]), abs=1e-5)
    else:
        assert np.isnan(named["alike_8"][0])


def slowly(units: np.ndarray, alpha: float) -> tuple[float, float]:
    """Croston-SBA and TSB as their papers tell them, for one series without gaps."""
    size = interval = chance = None
    since = 1
    for value in units:
        if size is None:
            if value > 0:
                size, interval, chance = value, since, 1 / since
        else:
            chance += alpha * ((value > 0) - chance)
            if value > 0:
                size += alpha * (value - size)
                interval += alpha * (since - interval)
        since = 1 if value > 0 else since + 1
    if size is None:
        return np.nan, np.nan
    return (1 - alpha / 2) * size / interval, chance * size


@FEW
@given(st.integers(0, 10_000), st.floats(0.02, 0.5))
def test_smoothing_of_sparse_demand(seed: int, alpha: float) -> None:
    random = np.random.default_rng(seed)
    units = random.poisson(random.uniform(0.02, 0.8, 6)[:, None], (6, 50)).astype(np.float32)
    told = smoothed(units, alpha, alpha)
    truth = np.array([slowly(one.astype(float), alpha) for one in units])
    np.testing.assert_allclose(told.croston_sba[:, -1], truth[:, 0], rtol=1e-5)
    np.testing.assert_allclose(told.tsb[:, -1], truth[:, 1], rtol=1e-5)
