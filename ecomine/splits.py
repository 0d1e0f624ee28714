"""Time splits: what may be learned from, and what is kept for the test, as pure functions of a few dates."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ecomine.errors import NotEnoughDataError


@dataclass(frozen=True)
class Cutoffs:
    """Moments at which everything must have been known; the label of a cutoff lies in (cutoff, cutoff + horizon]."""

    train: tuple[datetime, ...]
    test: datetime
    horizon: timedelta

    def window(self, cutoff: datetime) -> tuple[datetime, datetime]:
        """The label window of a cutoff: after the first moment, up to and with the second."""
        return cutoff, cutoff + self.horizon


def cutoffs(
    as_of: datetime, horizon_days: int, train_periods: int, delay_days: int = 0, earliest: datetime | None = None
) -> Cutoffs:
    """Training cutoffs, oldest first, and the one test cutoff, whose window ends at `as_of`.

    Windows are `horizon_days` long and never overlap; `delay_days` is how long after its window a label becomes known,
    so it lies between the last training window and the test cutoff. A training cutoff before `earliest` plus one
    horizon has too little history and is left out. Raises NotEnoughDataError when none is left.

    >>> split = cutoffs(datetime(2024, 3, 1), horizon_days=14, train_periods=2)
    >>> [f"{cutoff:%d %b}" for cutoff in split.train], f"{split.test:%d %b}"
    (['19 Jan', '02 Feb'], '16 Feb')
    >>> [f"{moment:%d %b}" for moment in split.window(split.train[-1])]
    ['02 Feb', '16 Feb']

    With labels that are known ten days late, training ends ten days earlier:

    >>> late = cutoffs(datetime(2024, 3, 1), horizon_days=14, train_periods=1, delay_days=10)
    >>> f"{late.train[0]:%d %b}", f"{late.test:%d %b}"
    ('23 Jan', '16 Feb')
    """
    horizon = timedelta(days=horizon_days)
    test = as_of - horizon
    newest = test - timedelta(days=delay_days) - horizon
    train = [newest - period * horizon for period in reversed(range(train_periods))]
    kept = tuple(cutoff for cutoff in train if earliest is None or cutoff >= earliest + horizon)
    if not kept:
        needed = (3 * horizon + timedelta(days=delay_days)).days
        raise NotEnoughDataError(
            f"The data begins on {earliest:%Y-%m-%d} and as_of is {as_of:%Y-%m-%d}; one training and one test window "
            f"of {horizon_days} days need at least {needed} days of history. Shorten the horizon or bring older data."
        )
    return Cutoffs(kept, test, horizon)
