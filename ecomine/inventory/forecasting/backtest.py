"""Forecasts from moments of the past, against what came: what is learnt from them is how sure the model may be."""

from dataclasses import dataclass

import numpy as np

from ecomine.inventory.forecasting import distribution as law
from ecomine.inventory.forecasting import spread, trees
from ecomine.inventory.forecasting.design import Design, Rows, Seen
from ecomine.inventory.forecasting.params import ForecastParams

LEAST_GAIN = 0.01
"""Share of the loss that going step by step must save to be worth its time."""

STEPWISE_SERIES = 1000


@dataclass(frozen=True)
class Backtest:
    """Validation rows and what was expected of them, and the choices that came of it.

    `rounds` and `step_rounds` are trees of the direct and the stepwise model; distances up to `steps` are forecast step
    by step, the others directly.
    """

    rows: Rows
    seen: Seen
    units: np.ndarray
    middle: np.ndarray
    rounds: int
    step_rounds: int
    steps: int
    direct: trees.Trees


def origins(periods: int, horizon: int, count: int) -> list[int]:
    """Origins of validation, newest first, whose forecasts do not overlap and leave as much again to learn from."""
    return [periods - 1 - horizon * (turn + 1) for turn in range(count) if periods - horizon * (turn + 1) >= horizon]


def run(design: Design, kind: str, params: ForecastParams, horizon: int, seed: int, threads: int) -> Backtest:
    """Learn from what lay before the earliest origin, forecast from all, choose."""
    panel = design.panel
    from_ = origins(panel.periods, horizon, params.origins)
    rows = judged(design, from_, horizon, params.rows, seed)
    seen = design.seen(rows)
    units = design.units[rows.series, rows.target].astype(float)
    learnt = trees.sampled(design, from_[-1], horizon, None, params.rows, seed)
    truth = design.units[learnt.series, learnt.target].astype(float)
    direct, rounds = trees.fit(design.seen(learnt), truth, kind, params, seed, threads, params.rounds, (seen, units))
    middle = direct.predict(seen)
    steps, step_rounds = 0, 0
    if params.method != "direct" and horizon > 1:
        near = trees.sampled(design, from_[-1], horizon, 1, params.rows, seed + 1)
        truth = design.units[near.series, near.target].astype(float)
        first = rows.distance == 1
        judge = (design.seen(rows.take(first)), units[first])
        stepwise, step_rounds = trees.fit(design.seen(near), truth, kind, params, seed, threads, params.rounds, judge)
        walked = stepwise_of(stepwise, design, rows, horizon, None if params.method == "recursive" else seed)
        steps = _steps(kind, rows, units, middle, walked, horizon, params.method)
        if steps and params.method != "recursive":
            walked = stepwise_of(stepwise, design, rows, horizon, None)
        middle = np.where(rows.distance <= steps, walked, middle) if steps else middle
    return Backtest(rows, seen, units, middle, rounds, step_rounds, steps, direct)


def judged(design: Design, from_: list[int], horizon: int, most: int, seed: int) -> Rows:
    """Every open period within the horizon of each origin, of as many series as `most` rows allow."""
    panel = design.panel
    count = max(most // (horizon * len(from_)), 1)
    series = np.arange(len(panel.keys))
    if len(series) > count:
        series = np.sort(np.random.default_rng(seed).choice(series, count, replace=False))
    target = np.concatenate([np.arange(origin + 1, origin + 1 + horizon) for origin in from_])
    origin = np.repeat(from_, horizon)
    row, column = np.nonzero(np.isfinite(panel.units[series][:, target]))
    return Rows(series[row], target[column], origin[column])


def stepwise_of(stepwise: trees.Trees, design: Design, rows: Rows, horizon: int, seed: int | None) -> np.ndarray:
    """What going step by step expects of rows; with a seed of a sample of series only, null for the others."""
    result = np.full(len(rows.series), np.nan)
    series = np.unique(rows.series)
    if seed is not None and len(series) > STEPWISE_SERIES:
        series = np.sort(np.random.default_rng(seed).choice(series, STEPWISE_SERIES, replace=False))
    for origin in np.unique(rows.origin):
        told = trees.step_by_step(stepwise, design, series, int(origin), horizon)
        place = np.minimum(np.searchsorted(series, rows.series), len(series) - 1)
        mine = (rows.origin == origin) & (series[place] == rows.series)
        result[mine] = told[place[mine], rows.distance[mine] - 1]
    return result


def _steps(
    kind: str, rows: Rows, units: np.ndarray, direct: np.ndarray, walked: np.ndarray, horizon: int, method: str
) -> int:
    """Up to which distance going step by step loses less."""
    if method == "recursive":
        return horizon
    there = np.isfinite(walked)
    loss = [deviance(kind, units[there], middle[there]) for middle in (direct, walked)]
    gain = np.bincount(rows.distance[there], loss[0] - loss[1], horizon + 1)[1:].cumsum()
    best = int(gain.argmax())
    return best + 1 if gain[best] > LEAST_GAIN * loss[0].sum() else 0


def deviance(kind: str, units: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Loss of each row: squared error of logs, or half the Poisson deviance."""
    if kind == law.LOG:
        return law.scatter(kind, units, middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(units > 0, units * np.log(units / middle), 0.0) - (units - middle)


def calibrate(
    kind: str, test: Backtest, censored: np.ndarray | None, horizon: int, seed: int, threads: int
) -> tuple[spread.Spread, law.Correction, spread.Totals]:
    """Dispersion, correction of levels, and the dependence within totals, all from validation."""
    wide = spread.fit(kind, test.seen, test.middle, test.units, seed, threads)
    dispersion = wide.of(test.seen, test.middle)
    if kind == law.COUNTS:
        dispersion = np.maximum(dispersion, law.LEAST_DISPERSION)
    hidden = None if censored is None else censored[test.rows.series, test.rows.target]
    expected = law.mean(kind, test.middle, dispersion)
    place = law.probability(kind, test.units, test.middle, dispersion, hidden, seed)
    single = law.correct(place, expected)
    code = test.rows.series * (int(test.rows.origin.max()) + 1) + test.rows.origin
    different, line = np.unique(code, return_inverse=True)
    grids = []
    for values in (expected, law.variance(kind, test.middle, dispersion), test.units):
        grid = np.full((len(different), horizon), np.nan)
        grid[line, test.rows.distance - 1] = values
        grids.append(grid)
    return wide, single, spread.totals(kind, grids[0], grids[1], grids[2], seed)
