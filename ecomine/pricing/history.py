"""What a forecast may know of the past at a distance: recent residuals, last year's, prices of the periods before."""

from dataclasses import dataclass
from functools import cached_property

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
        sums, key = self._sums[kind], self._keys
        begin = np.searchsorted(key, _key(series, np.full(len(series), -np.inf)))
        end = np.searchsorted(key, _key(series, period - ahead), side="right")

        def between(first: np.ndarray, last: np.ndarray) -> np.ndarray:
            first, last = np.maximum(first, begin), np.maximum(last, begin)
            last = np.maximum(last, first)
            above, below = (one[last] - one[first] for one in sums)
            return np.where(last > first, _ratio(kind, above, below), np.nan)

        columns = [between(end - size, end) for size in WINDOWS]
        columns.append(self._of_items(kind, item, period - ahead))
        left = np.searchsorted(key, _key(series, period - year - SEASON_REACH))
        right = np.searchsorted(key, _key(series, period - year + SEASON_REACH), side="right")
        columns.append(between(left, np.minimum(right, end)))
        columns += [self._before(series, period, own, lag) for lag in LAGS]
        return np.column_stack(columns)

    @cached_property
    def _keys(self) -> np.ndarray:
        return _key(self.series, self.period)

    @cached_property
    def _by_item(self) -> np.ndarray:
        return np.lexsort((self.period, self.item))

    @cached_property
    def _item_keys(self) -> np.ndarray:
        return _key(self.item[self._by_item], self.period[self._by_item])

    # Kept, since one answer over HTTP would otherwise sort the whole past.
    @cached_property
    def _sums(self) -> dict[str, list[np.ndarray]]:
        """By likelihood the running sums of what was sold and what was expected, in the order of rows."""
        return {kind: [_running(part) for part in self._pair(kind)] for kind in (likelihood.LOG, likelihood.COUNTS)}

    @cached_property
    def _item_sums(self) -> dict[str, list[np.ndarray]]:
        return {
            kind: [_running(part[self._by_item]) for part in self._pair(kind)]
            for kind in (likelihood.LOG, likelihood.COUNTS)
        }

    def _pair(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        if kind == likelihood.LOG:
            return np.log(np.maximum(self.units, 0.5) / self.expected), np.ones(len(self.units))
        return self.units, self.expected

    def _of_items(self, kind: str, item: np.ndarray, until: np.ndarray) -> np.ndarray:
        """The same over the last periods of all places of an item."""
        sums, key = self._item_sums[kind], self._item_keys
        end = np.searchsorted(key, _key(item, until), side="right")
        first = np.searchsorted(key, _key(item, until - WINDOWS[1]), side="right")
        above, below = (one[end] - one[first] for one in sums)
        return np.where(end > first, _ratio(kind, above, below), np.nan)

    def _before(self, series: np.ndarray, period: np.ndarray, own: np.ndarray, lag: int) -> np.ndarray:
        """The own price `lag` periods before, from the past, else the rows themselves; null where there is no row."""
        wanted = _key(series, period - lag)
        keys, first = np.unique(_key(series, period), return_index=True)
        return np.where(
            np.isnan(known := _looked_up(self._keys, self.own, wanted)), _looked_up(keys, own[first], wanted), known
        )


def _running(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(values)])


def _looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The value of each wanted key, the first of equal ones; null where there is none. Keys are sorted."""
    if not len(keys):
        return np.full(len(wanted), np.nan)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], np.nan)


def _ratio(kind: str, above: np.ndarray, below: np.ndarray) -> np.ndarray:
    if kind == likelihood.LOG:
        return above / np.maximum(below, 1e-12)
    return np.log((above + 1.0) / (below + 1.0))


def _key(series: np.ndarray, period: np.ndarray) -> np.ndarray:
    """One rising number a series and period; periods are between -2^20 and 2^20."""
    return series * 4_194_304.0 + np.clip(np.round(period * 4) / 4, -1_048_576, 1_048_576)
