"""Label windows touch, never overlap, and end where the next thing begins."""

from datetime import datetime, timedelta

import pytest

from ecomine import splits
from ecomine.errors import NotEnoughDataError

AS_OF = datetime(2024, 6, 1)


def test_windows_follow_one_another_and_end_at_as_of() -> None:
    split = splits.cutoffs(AS_OF, horizon_days=14, train_periods=4)
    moments = [*split.train, split.test]
    assert len(split.train) == 4
    assert [split.window(moment)[1] for moment in moments] == [*moments[1:], AS_OF]


def test_a_label_that_comes_late_is_known_before_the_test_begins() -> None:
    split = splits.cutoffs(AS_OF, horizon_days=7, train_periods=3, delay_days=5)
    assert split.window(split.train[-1])[1] + timedelta(days=5) == split.test


def test_cutoffs_without_a_horizon_of_history_are_left_out() -> None:
    everything = splits.cutoffs(AS_OF, 14, 4)
    earliest = everything.train[2] - timedelta(days=14)
    assert splits.cutoffs(AS_OF, 14, 4, earliest=earliest).train == everything.train[2:]


def test_too_short_a_history_says_how_much_is_needed() -> None:
    with pytest.raises(NotEnoughDataError, match="at least 42 days"):
        splits.cutoffs(AS_OF, 14, 4, earliest=AS_OF - timedelta(days=41))
    assert splits.cutoffs(AS_OF, 14, 4, earliest=AS_OF - timedelta(days=42)).train
