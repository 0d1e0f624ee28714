"""What a forecast may know of the past at a distance: recent residuals, last year's, prices of the periods before."""

from dataclasses import dataclass

import numpy as np

from ecomine.pricing import likelihood

WINDOWS = (1, 4, 13, 52)
LAGS = (1, 2)
SEASON_REACH = 1.5
"""Periods to each side of the same time a year ago."""

FEATURES = (
    *(f"recent_{size}" for size in WINDOWS), "recent_item", "last_year", *(f"own_before_{lag}" for lag in LAGS)
)  # fmt: skip


@dataclass(frozen=True)
class Past:
    """Rows of training in the order of series and period: what was sold, what a regression expected, the own price."""

    series: np.ndarray
    item: np.ndarray
    period: np.ndarray
    units: np.ndarray
    expected: np.ndarray
    own: np.ndarray

    def features(
        self, kind: str, series: np.ndarray, item: np.ndarray, period: np.ndarray, own: np.ndarray, ahead: np.ndarray,
        year: float,
    ) -> np.ndarray:  # fmt: skip
        """Rows × FEATURES, where nothing of the last `ahead` periods before a row is seen but prices."""
        top, bottom = self._pair(kind)
        sums = [np.concatenate([[0.0], np.cumsum(values)]) for values in (top, bottom)]
        key = _key(self.series, self.period)
        begin = np.searchsorted(key, _key(series, np.full(len(series), -np.inf)))
        end = np.searchsorted(key, _key(series, period - ahead), side="right")

        def between(first: np.ndarray, last: np.ndarray) -> np.ndarray:
            first, last = np.maximum(first, begin), np.maximum(last, begin)
            last = np.maximum(last, first)
            above, below = (one[last] - one[first] for one in sums)
            return np.where(last > first, _ratio(kind, above, below), np.nan)

        columns = [between(end - size, end) for size in WINDOWS]
        columns.append(self._of_items(kind, top, bottom, item, period - ahead))
        left = np.searchsorted(key, _key(series, period - year - SEASON_REACH))
        right = np.searchsorted(key, _key(series, period - year + SEASON_REACH), side="right")
        columns.append(between(left, np.minimum(right, end)))
        columns += [self._before(series, period, own, lag) for lag in LAGS]
        return np.column_stack(columns)

    def _pair(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        if kind == likelihood.LOG:
            return np.log(np.maximum(self.units, 0.5) / self.expected), np.ones(len(self.units))
        return self.units, self.expected

    def _of_items(
        self, kind: str, top: np.ndarray, bottom: np.ndarray, item: np.ndarray, until: np.ndarray
    ) -> np.ndarray:
        """The same over the last periods of all places of an item."""
        order = np.lexsort((self.period, self.item))
        key = _key(self.item[order], self.period[order])
        sums = [np.concatenate([[0.0], np.cumsum(values[order])]) for values in (top, bottom)]
        end = np.searchsorted(key, _key(item, until), side="right")
        first = np.searchsorted(key, _key(item, until - WINDOWS[1]), side="right")
        above, below = (one[end] - one[first] for one in sums)
        return np.where(end > first, _ratio(kind, above, below), np.nan)

    def _before(self, series: np.ndarray, period: np.ndarray, own: np.ndarray, lag: int) -> np.ndarray:
        """The own price `lag` periods before, from the past and the rows themselves; null where there is no row."""
        everything = np.unique(
            np.concatenate([_key(self.series, self.period), _key(series, period)]), return_index=True
        )
        prices = np.concatenate([self.own, own])[everything[1]]
        wanted = _key(series, period - lag)
        at = np.minimum(np.searchsorted(everything[0], wanted), len(prices) - 1)
        return np.where(everything[0][at] == wanted, prices[at], np.nan)


def _ratio(kind: str, above: np.ndarray, below: np.ndarray) -> np.ndarray:
    if kind == likelihood.LOG:
        return above / np.maximum(below, 1e-12)
    return np.log((above + 1.0) / (below + 1.0))


def _key(series: np.ndarray, period: np.ndarray) -> np.ndarray:
    """One rising number a series and period; periods are between -2^20 and 2^20."""
    return series * 4_194_304.0 + np.clip(np.round(period * 4) / 4, -1_048_576, 1_048_576)
