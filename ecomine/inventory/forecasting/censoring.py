"""Demand behind stock-outs: where a shelf ran empty, what was sold is the least that was wanted."""

import numpy as np

from ecomine.inventory.forecasting import distribution as law
from ecomine.inventory.forecasting.history import Rhythm, Sums
from ecomine.inventory.forecasting.panel import PROMOTION, Panel

ROUNDS = 15


def wanted(kind: str, sold: np.ndarray, middle: np.ndarray, dispersion: np.ndarray | float) -> np.ndarray:
    """Expected demand given that it was at least what was sold.

    For counts E[Y | Y >= y] = m P(Y' >= y - 1) / P(Y >= y), where Y' has one more in its size: k p(k; r) = m p(k - 1;
    r + 1). For logs the mean of a normal law cut off below, through its hazard.
    """
    from scipy import special

    if kind == law.LOG:
        spread = np.sqrt(dispersion)
        z = np.clip((np.log(np.maximum(sold, 0.5)) - np.log(middle)) / spread, -30, 6)
        hazard = np.exp(-(z**2) / 2 - special.log_ndtr(-z)) / np.sqrt(2 * np.pi)
        return np.maximum(middle * np.exp(spread * hazard), sold)
    dispersion = np.maximum(dispersion, law.LEAST_DISPERSION)
    size, chance = middle / (dispersion - 1), 1 / dispersion
    whole = np.floor(sold)
    # P(Y >= y) is the incomplete beta of (y, size) at 1 - chance.
    above = np.where(whole > 0, special.betainc(np.maximum(whole, 1), size, 1 - chance), 1.0)
    more = np.where(whole > 1, special.betainc(np.maximum(whole - 1, 1), size + 1, 1 - chance), 1.0)
    return np.maximum(np.where(above > 1e-12, middle * more / np.maximum(above, 1e-12), sold), sold)


def filled(kind: str, panel: Panel, rhythm: Rhythm, block: int) -> np.ndarray:
    """Units of the panel where censored ones become what is expected to have been wanted.

    Expectation and maximisation (Dempster, Laird and Rubin, 1977) against the mean of the periods around in the same
    state of promotion.
    """
    if panel.censored is None or not panel.censored.any():
        return panel.units
    result = panel.units.copy()
    for begin in range(0, len(panel.keys), block):
        part = panel.block(begin, begin + block)
        assert part.censored is not None
        row, period = np.nonzero(part.censored)
        if not len(row):
            continue
        states = [np.isfinite(part.units)]
        if PROMOTION in part.inputs:
            promoted = part.inputs[PROMOTION][:, : panel.periods] > 0
            states = [states[0] & ~promoted, states[0] & promoted]
        units = part.units.copy()
        # What sold out from the start tells nothing at first.
        empty = part.censored & (part.units <= 0)
        for turn in range(ROUNDS):
            middle = np.full(part.units.shape, np.nan)
            for state in states:
                seen = state & ~empty if turn == 0 else state
                middle = np.where(state, _around(units, seen, 2 * rhythm.level), middle)
            everywhere = np.nanmean(np.where(empty, np.nan, units))
            middle = np.maximum(np.where(np.isnan(middle), everywhere, middle), 1e-3)
            open_ = np.isfinite(units) & ~part.censored
            dispersion = float(np.mean(law.scatter(kind, units[open_], middle[open_]))) if open_.any() else 1.5
            new = wanted(kind, part.units[row, period].astype(float), middle[row, period], dispersion)
            moved = np.abs(new - units[row, period]).max()
            units[row, period] = new
            if moved < 1e-3:
                break
        result[begin : begin + block] = units
    return result


def refilled(
    kind: str, panel: Panel, units: np.ndarray, cells: tuple[np.ndarray, np.ndarray], middle: np.ndarray,
    dispersion: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The same for the censored `cells` (series, periods) against what a model expects there."""
    result = units.copy()
    result[cells] = wanted(kind, panel.units[cells].astype(float), middle, dispersion)
    return result


def _around(units: np.ndarray, seen: np.ndarray, reach: int) -> np.ndarray:
    """Mean of the periods from `reach` before to `reach` after, null where none is seen."""
    count, width = units.shape
    total, number = Sums(np.where(seen, units, np.nan)), Sums(seen)
    row = np.repeat(np.arange(count), width)
    period = np.tile(np.arange(width), count)
    last = np.minimum(period + reach, width - 1)
    size = last - np.maximum(period - reach, 0) + 1
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total.window(row, last, size) / number.window(row, last, size)
    return mean.reshape(count, width)
