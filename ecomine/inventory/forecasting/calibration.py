"""How sure forecasts may be: what validation says of dispersion, of quantiles, of intervals and of totals."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecomine.inventory.forecasting import distribution as law
from ecomine.inventory.forecasting import zeros
from ecomine.inventory.forecasting.backtest import Backtest
from ecomine.inventory.forecasting.spread import Spread, Totals, dependence, fit
from ecomine.store import write_json


@dataclass(frozen=True)
class Calibration:
    """Dispersion, further zeros, corrections of the levels of quantiles and of the coverage of intervals, dependence of
    totals.
    """

    spread: Spread
    single: law.Correction
    interval: law.Correction
    totals: Totals
    further: zeros.Inflation = zeros.NONE


def calibrate(
    kind: str, test: Backtest, censored: np.ndarray | None, horizon: int, seed: int, threads: int, inflated: bool
) -> Calibration:
    """How sure forecasts may be, all from validation; `inflated` looks for further zeros too."""
    wide = fit(kind, test.seen, test.middle, test.units, seed, threads)
    dispersion = _foreign(kind, test, seed, threads)
    if kind == law.COUNTS:
        dispersion = np.maximum(dispersion, law.LEAST_DISPERSION)
    hidden = None if censored is None else censored[test.rows.series, test.rows.target]
    expected = law.mean(kind, test.middle, dispersion)
    open_ = np.ones(len(expected), bool) if hidden is None else ~hidden
    counted = (test.units[open_], test.middle[open_], dispersion[open_])
    further = zeros.found(*counted) if inflated and kind == law.COUNTS else zeros.NONE
    extra = further.of(expected)
    place = law.probability(kind, test.units, test.middle, dispersion, hidden, seed, extra)
    single = law.correct(place, expected)
    reach = law.reach(kind, *counted, further.of(expected[open_]))
    interval = law.correct(reach, expected[open_])
    code = test.rows.series * (int(test.rows.origin.max()) + 1) + test.rows.origin
    different, line = np.unique(code, return_inverse=True)
    grids = []
    for values in (expected, law.variance(kind, test.middle, dispersion), test.units):
        grid = np.full((len(different), horizon), np.nan)
        grid[line, test.rows.distance - 1] = values
        grids.append(grid)
    sums = dependence(kind, grids[0], grids[1], grids[2], seed)
    return Calibration(wide, single, interval, sums, further)


def _foreign(kind: str, test: Backtest, seed: int, threads: int) -> np.ndarray:
    """Dispersion of each row as learnt from the other half of the series, for what is learnt from looks surer."""
    series, place = np.unique(test.rows.series, return_inverse=True)
    side = (np.random.default_rng(seed).permutation(len(series)) % 2)[place]
    result = np.empty(len(place))
    for one in (0, 1):
        mine = side == one
        other = mine if mine.all() or not mine.any() else ~mine
        if mine.any():
            learnt = fit(kind, test.seen.take(other), test.middle[other], test.units[other], seed, threads)
            result[mine] = learnt.of(test.seen.take(mine), test.middle[mine])
    return result


def save(folder: Path, told: Calibration) -> None:
    """JSON, and UBJ for the booster of the dispersion."""
    write_json(
        folder / "calibration.json",
        {
            "constant": told.spread.constant, "booster": told.spread.booster is not None,
            "single": told.single.plain(), "interval": told.interval.plain(), "totals": told.totals.plain(),
            "zeros": told.further.plain(),
        },
    )  # fmt: skip
    if told.spread.booster is not None:
        told.spread.booster.save_model(folder / "spread.ubj")


def load(folder: Path, threads: int) -> Calibration:
    """The inverse of `save`."""
    state = json.loads((folder / "calibration.json").read_text())
    booster = None
    if state["booster"]:
        import xgboost

        booster = xgboost.Booster({"nthread": threads}, model_file=folder / "spread.ubj")
    single, interval = (law.Correction.read(state[name]) for name in ("single", "interval"))
    further = zeros.Inflation.read(state["zeros"])
    return Calibration(Spread(booster, state["constant"]), single, interval, Totals.read(state["totals"]), further)
