"""Forecasts of items, categories and locations that agree with each other."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import FeatureError
from ecomine.inventory.forecasting.panel import DATE, ITEM, LOCATION

MEAN, VARIANCE = "mean", "variance"
OUTER = 3.2897
"""Standard deviations of a normal law between its 0.05 and 0.95 quantiles."""


def reconcile(bottom: pd.DataFrame, above: Mapping[Sequence[str], pd.DataFrame]) -> dict[tuple[str, ...], pd.DataFrame]:
    """The forecasts of single series and those `above` them, changed so that every sum agrees.

    `bottom` holds item_id, location_id, date, mean, the columns that levels go by (such as category) and either
    `variance` or the quantiles q0.05 and q0.95; `above` maps columns, such as ("category",) or () for everything, to a
    frame of those columns, date, mean and the same. What is surer moves less: a variance of 0 is kept (top-down), an
    infinite one is not heard (bottom-up). Quantiles move in proportion to the mean. Returns frames by level, the
    bottom's under (item_id, location_id), sorted. Source: Wickramasuriya, Athanasopoulos and Hyndman (2019), MinT with
    a diagonal covariance, written as the update of the bottom by what was forecast above. Raises FeatureError.
    """
    require(bottom.columns, (ITEM, LOCATION, DATE, MEAN), "forecasts of series")
    bottom = bottom.sort_values([ITEM, LOCATION, DATE], ignore_index=True)
    mean, spread = bottom[MEAN].to_numpy(float), _variance(bottom, "forecasts of series")
    levels = {tuple(columns): frame for columns, frame in above.items()}
    day, days = pd.factorize(bottom[DATE], sort=True)
    told = [_matched(bottom, day, days, columns, frame) for columns, frame in levels.items()]
    result = mean.copy()
    order = np.argsort(day, kind="stable")
    bounds = np.searchsorted(day[order], np.arange(len(days) + 1))
    for number in range(len(days)):
        rows = order[bounds[number] : bounds[number + 1]]
        result[rows] = _updated(mean[rows], spread[rows], [one.of(rows, number) for one in told])
    scale = np.where(mean > 0, result / np.where(mean > 0, mean, 1.0), 1.0)
    quantiles = [name for name in bottom.columns if str(name).startswith("q0.")]
    agreed = bottom.assign(**{name: bottom[name] * scale for name in quantiles}, **{MEAN: result})
    frames: dict[tuple[str, ...], pd.DataFrame] = {(ITEM, LOCATION): agreed}
    for columns in levels:
        frames[columns] = agreed.groupby([*columns, DATE], sort=True, as_index=False)[MEAN].sum()
    return frames


class _Level:
    """Forecasts of one level above, by group and day, and the group of each row of the bottom."""

    def __init__(self, group: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> None:
        self.group, self.mean, self.variance = group, mean, variance

    def of(self, rows: np.ndarray, day: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.group[rows], self.mean[:, day], self.variance[:, day]


def _matched(
    bottom: pd.DataFrame, day: np.ndarray, days: pd.Index, columns: tuple[str, ...], frame: pd.DataFrame
) -> _Level:
    what = f"forecasts by {', '.join(columns) or 'everything'}"
    require(frame.columns, (*columns, DATE, MEAN), what)
    require(bottom.columns, columns, "forecasts of series")
    both = pd.concat([bottom[list(columns)], frame[list(columns)]], ignore_index=True)
    code = both.groupby(list(columns), sort=True).ngroup().to_numpy() if columns else np.zeros(len(both), np.int64)
    group, of_frame = code[: len(bottom)], code[len(bottom) :]
    when = pd.Index(days).get_indexer(frame[DATE])
    shape = (int(code.max(initial=0)) + 1, len(days))
    mean, variance = np.zeros(shape), np.full(shape, np.inf)
    inside = when >= 0
    mean[of_frame[inside], when[inside]] = frame[MEAN].to_numpy(float)[inside]
    variance[of_frame[inside], when[inside]] = _variance(frame, what)[inside]
    return _Level(group, mean, variance)


def _variance(frame: pd.DataFrame, what: str) -> np.ndarray:
    if VARIANCE in frame.columns:
        variance = frame[VARIANCE].to_numpy(float)
    else:
        require(frame.columns, ("q0.05", "q0.95"), what, "Bring these quantiles, or a column `variance`.")
        variance = ((frame["q0.95"] - frame["q0.05"]).to_numpy(float) / OUTER) ** 2
    if not (variance >= 0).all():
        raise FeatureError(f"The {what} have variances below 0 or none; expected 0 or more.")
    return variance


def _updated(
    mean: np.ndarray, variance: np.ndarray, levels: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> np.ndarray:
    """One day: b + D A' (A D A' + V)^-1 (a - A b), never below zero."""
    from scipy import sparse
    from scipy.sparse import linalg

    sums, told, spread = [], [], []
    for group, expected, uncertain in levels:
        shape = (len(expected), len(mean))
        matrix = sparse.csr_array((np.ones(len(mean)), (group, np.arange(len(mean)))), shape=shape)
        heard = np.isfinite(uncertain) & (matrix.sum(axis=1) > 0)
        sums.append(matrix[heard])
        told.append(expected[heard])
        spread.append(uncertain[heard])
    if not sums or not sum(len(one) for one in told):
        return mean
    matrix, expected, uncertain = sparse.vstack(sums).tocsr(), np.concatenate(told), np.concatenate(spread)
    # Levels that say the same with no variance at all would leave the equations without one solution.
    wide = np.maximum(variance, 1e-9 * (1 + mean))
    inner = matrix @ sparse.diags_array(wide) @ matrix.T
    inner = inner + sparse.diags_array(uncertain + 1e-9 * (1 + inner.diagonal()))
    step = linalg.spsolve(inner.tocsc(), expected - matrix @ mean)
    return np.maximum(mean + wide * (matrix.T @ step), 0.0)
