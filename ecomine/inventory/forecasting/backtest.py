"""Forecasts from moments of the past, against what came: what is learnt from them is how sure the model may be."""

from dataclasses import dataclass

import numpy as np

from ecomine.inventory.forecasting import classics, trees
from ecomine.inventory.forecasting import distribution as law
from ecomine.inventory.forecasting.design import Design, Rows, Seen
from ecomine.inventory.forecasting.params import ForecastParams

LEAST_GAIN = 0.01
"""Share of the loss that going step by step must save to be worth its time."""

STEPWISE_SERIES = 1000
SURE = 2.5
"""Standard errors by which a classical method must win a series."""

FLOOR = 0.02
"""Units, or share of what the trees expect, below which no classical method is heard."""


@dataclass(frozen=True)
class Told:
    """Rows, what is seen of them, the units that came, and what was expected (`middle`)."""

    rows: Rows
    seen: Seen
    units: np.ndarray
    middle: np.ndarray

    def beside(self, other: "Told | None") -> "Told":
        """Both together."""
        if other is None:
            return self
        mine, theirs = self.rows, other.rows
        return Told(
            Rows(*(np.concatenate(both) for both in zip(_fields(mine), _fields(theirs), strict=True))),
            Seen(
                np.concatenate([self.seen.base, other.seen.base]),
                np.concatenate([self.seen.values, other.seen.values]),
                self.seen.names,
            ),
            np.concatenate([self.units, other.units]),
            np.concatenate([self.middle, other.middle]),
        )


def _fields(rows: Rows) -> tuple[np.ndarray, ...]:
    return rows.series, rows.target, rows.origin


@dataclass(frozen=True)
class Backtest:
    """Validation rows and what was expected of them, and the choices that came of it.

    `rounds` and `step_rounds` are trees of the direct and the stepwise model; distances up to `steps` are forecast step
    by step, the others directly. `season` are forecasts of the same time a year ago, where there was one; how sure
    forecasts may be is learnt from them too, for one stretch alone may be calm. `classic` is the place in
    params.classics of the method that takes over a series, -1 where none does.
    """

    rows: Rows
    seen: Seen
    units: np.ndarray
    middle: np.ndarray
    rounds: int
    step_rounds: int
    steps: int
    direct: trees.Trees
    classic: np.ndarray
    season: Told | None = None

    @property
    def told(self) -> Told:
        """All that is judged by."""
        return Told(self.rows, self.seen, self.units, self.middle).beside(self.season)


def year_ago(periods: int, year: int) -> int | None:
    """The origin a year before the end, where it has as long a past of its own."""
    origin = periods - 1 - year
    return origin if origin >= year else None


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
    then = year_ago(panel.periods, design.rhythm.year)
    learnt = trees.sampled(design, from_[-1], horizon, None, params.rows, seed, then)
    truth = design.units[learnt.series, learnt.target].astype(float)
    direct, rounds = trees.fit(design.seen(learnt), truth, kind, params, seed, threads, params.rounds, (seen, units))
    middle = direct.predict(seen)
    steps, step_rounds = 0, 0
    if params.method != "direct" and horizon > 1:
        near = trees.sampled(design, from_[-1], horizon, 1, params.rows, seed + 1, then)
        truth = design.units[near.series, near.target].astype(float)
        day_before = Rows(rows.series, rows.target, rows.target - 1)
        judge = (design.seen(day_before), units)
        stepwise, step_rounds = trees.fit(design.seen(near), truth, kind, params, seed, threads, params.rounds, judge)
        walked = stepwise_of(stepwise, design, rows, horizon, None if params.method == "recursive" else seed)
        steps = _steps(kind, rows, units, middle, walked, horizon, params.method)
        if steps and params.method != "recursive":
            walked = stepwise_of(stepwise, design, rows, horizon, None)
        middle = np.where(rows.distance <= steps, walked, middle) if steps else middle
    classic, middle = _classic(design, kind, params, rows, units, middle, horizon)
    season = None if then is None or then >= from_[-1] else _season(design, direct, then, horizon, params.rows, seed)
    return Backtest(rows, seen, units, middle, rounds, step_rounds, steps, direct, classic, season)


def _season(design: Design, direct: trees.Trees, origin: int, horizon: int, most: int, seed: int) -> Told | None:
    """Direct forecasts from an origin whose targets were not learnt from."""
    rows = judged(design, [origin], horizon, most, seed)
    if not len(rows.series):
        return None
    seen = design.seen(rows)
    return Told(rows, seen, design.units[rows.series, rows.target].astype(float), direct.predict(seen))


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


def _classic(
    design: Design, kind: str, params: ForecastParams, rows: Rows, units: np.ndarray, middle: np.ndarray, horizon: int
) -> tuple[np.ndarray, np.ndarray]:
    """The classical method that takes over each series, and what is expected of rows with it.

    It must lose less from every origin, and by more than chance alone would have it.
    """
    count = len(design.panel.keys)
    choice, best = np.full(count, -1), np.zeros(count)
    result, own = middle, deviance(kind, units, middle)
    different = np.unique(rows.origin)
    for number, name in enumerate(params.classics):
        told = classic_of(design, name, rows, horizon, params.classics_series, choice)
        there = np.isfinite(told)
        told = np.where(there, np.maximum(told, FLOOR * np.maximum(middle, 1.0)), middle)
        gain = own - deviance(kind, units, told)
        size = np.maximum(np.bincount(rows.series, minlength=count), 1)
        mean = np.bincount(rows.series, gain, count) / size
        error = np.sqrt(np.bincount(rows.series, gain**2, count) / size / size)
        wins = (mean > SURE * error) & (mean > best) & (error > 0)
        for origin in different:
            wins &= np.bincount(rows.series, np.where(rows.origin == origin, gain, 0.0), count) >= 0
        choice[wins], best[wins] = number, mean[wins]
        result = np.where(wins[rows.series], told, result)
    return choice, result


def classic_of(
    design: Design, name: str, rows: Rows, horizon: int, most: int, choice: np.ndarray | None = None
) -> np.ndarray:
    """What a classical method expects of rows; of the slow ones only for the `most` series that sell most."""
    series = np.unique(rows.series)
    if name in classics.SLOW and choice is not None and len(series) > most:
        sold = np.nansum(design.units[series], axis=1, dtype=float)
        series = np.sort(series[np.argsort(-sold, kind="stable")[:most]])
    result = np.full(len(rows.series), np.nan)
    if not len(series):
        return result
    place = np.minimum(np.searchsorted(series, rows.series), len(series) - 1)
    for origin in np.unique(rows.origin):
        told = classics.expected(name, design.units[series, : origin + 1], design.rhythm, horizon)
        mine = (rows.origin == origin) & (series[place] == rows.series)
        result[mine] = told[place[mine], rows.distance[mine] - 1]
    return result


def deviance(kind: str, units: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Loss of each row: squared error of logs, or half the Poisson deviance."""
    if kind == law.LOG:
        return law.scatter(kind, units, middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(units > 0, units * np.log(units / middle), 0.0) - (units - middle)
