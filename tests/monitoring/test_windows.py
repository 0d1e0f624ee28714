"""Alarms against a brute-force twin; since when a series is another one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ecomine.monitoring.windows import raised, since_change, usual


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), max_size=12), st.integers(1, 4), st.integers(1, 5))
def test_an_alarm_is_up_where_enough_of_the_last_windows_were_bad(bad: list[bool], least: int, of: int) -> None:
    count = 0
    for place in range(len(bad)):
        if place >= len(bad) - of and bad[place]:
            count += 1
    assert raised(bad, least, of) == (count >= least)


def test_one_wild_reading_does_not_widen_what_is_usual() -> None:
    known = usual([1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 9.0])
    assert known.middle == 1.0
    assert known.deviations(0.0) < -0.5
    assert usual([2.0, 2.0, 2.0]).deviations(2.0) == 0.0


def test_a_series_counts_from_its_last_change() -> None:
    random = np.random.default_rng(4)
    before, after = random.normal(1.0, 0.05, 26), random.normal(0.2, 0.05, 2)
    assert since_change(list(before), 4.0, 2, 3) == 0
    assert since_change([*before, *after], 4.0, 2, 3) == 26
    assert since_change([*before, *after, *random.normal(0.2, 0.05, 5)], 4.0, 2, 3) == 26
    assert since_change([*before, after[0]], 4.0, 2, 3) == 0, "one bad window is no change"
    assert since_change([*before[:10], 0.2, *before[10:]], 4.0, 2, 3) == 0


def test_too_few_readings_know_no_change() -> None:
    assert since_change([1.0, 0.0, 0.0], 4.0, 2, 3) == 0
