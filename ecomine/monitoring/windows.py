"""When a reading is out of the ordinary, when several make an alarm, and since when a series is another one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SPREAD = 1.4826
"""Median absolute deviation × this = standard deviation of a normal law."""


@dataclass(frozen=True)
class Usual:
    """What readings usually are: their median and spread."""

    middle: float
    spread: float

    def deviations(self, value: float) -> float:
        """How many spreads a reading lies above the middle; below it, negative."""
        return (value - self.middle) / self.spread


def usual(readings: Sequence[float]) -> Usual:
    """Median and spread of readings, the greater of the robust and the plain spread's half.

    A robust spread alone is nearly nothing where most readings are equal.
    """
    values = np.asarray(readings, float)
    middle = float(np.median(values))
    robust = SPREAD * float(np.median(np.abs(values - middle)))
    return Usual(middle, max(robust, float(values.std()) / 2, 1e-9))


def raised(bad: Sequence[bool], least: int, of: int) -> bool:
    """Whether at least `least` of the last `of` windows were bad: one bad day is no alarm.

    >>> raised([True, False, True], 2, 3), raised([True, False, False, True], 2, 3)
    (True, False)
    """
    return sum(bad[-of:]) >= least


def since_change(readings: Sequence[float], deviations: float, least: int, of: int) -> int:
    """Place from which on readings are of one kind: 0, or the first bad one where the last ones make an alarm.

    A version that is trained after a change is compared with what has been usual since then.
    """
    if len(readings) <= of:
        return 0
    known = usual(readings)
    bad = [known.deviations(value) < -deviations for value in readings]
    end = len(bad)
    while end > 0 and raised(bad[:end], least, of):
        end -= 1
    if end == len(bad):
        return 0
    first = max(end - of + 1, 0)
    return first + bad[first:].index(True)
