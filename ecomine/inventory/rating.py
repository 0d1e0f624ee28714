"""How the plain forecaster estimates rates: pure functions of units and expected units, a row a series and day.

`code` numbers the series of a row, `group` the category of a series or of a row.
"""

import numpy as np

from ecomine.inventory.situation import WEEK

PRIOR_UNITS = 4.0
"""Units that weigh as much as what a series' category and past make expected; multiples where more is due."""

HALF_LIVES = (14.0, 28.0, 56.0, 112.0)
"""Days after which a day counts half in the present level; validation chooses."""

VALIDATION_DAYS = 28
WINDOWS = 8
WEEKS = 52
LEAST_RATE = 1e-6

STEEPEST = 3.0
"""Greatest deviation of a series' price response from that of all."""

USUAL_DRIFT = 0.1
"""Relative standard deviation at which windows of the past are weighed."""


def sum_by(code: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(code, values, count)


def mean_by(code: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    return sum_by(code, values, count) / np.maximum(np.bincount(code, minlength=count), 1)


def level(units: np.ndarray, factor: np.ndarray, code: np.ndarray, count: int, group: np.ndarray) -> np.ndarray:
    """Units a day at usual inputs, drawn a little towards the category's: a gamma prior of PRIOR_UNITS / 4 units."""
    sold, days = sum_by(code, units, count), sum_by(code, factor, count)
    groups = int(group.max(initial=0)) + 1
    usual = sum_by(group, sold, groups) / np.maximum(sum_by(group, days, groups), 1e-9)
    prior = PRIOR_UNITS / 4
    level = (sold + prior) / (days + prior / np.maximum(usual[group], LEAST_RATE))
    return np.maximum(level, LEAST_RATE)


def newton(x: np.ndarray, left: np.ndarray, mean: np.ndarray, code: np.ndarray, count: int) -> np.ndarray:
    """A Newton step of Poisson regression with a level a series, which is taken out of the inputs; a weak ridge.

    Rows of a series lie together. Taking the levels out leaves X'WX - S'S / w, S being each series' sums of W X.
    """
    begins = np.flatnonzero(np.diff(code, prepend=-1))
    weight = np.maximum(sum_by(code, mean, count), 1e-12)
    weighted = x * mean[:, None]
    sums = np.add.reduceat(weighted, begins, axis=0)
    hessian = x.T @ weighted - (sums / weight[:, None]).T @ sums + np.eye(x.shape[1])
    gradient = x.T @ left - sums.T @ (sum_by(code, left, count) / weight)
    return np.asarray(np.clip(np.linalg.solve(hessian, gradient), -1, 1))


def own_slopes(
    slope: np.ndarray,
    price: np.ndarray,
    left: np.ndarray,
    mean: np.ndarray,
    code: np.ndarray,
    count: int,
    spread: float,
) -> np.ndarray:
    """Each series' own deviation of price response, as far as its data tell it (empirical Bayes, normal prior)."""
    weight = np.maximum(sum_by(code, mean, count), 1e-12)
    inner = price - (sum_by(code, mean * price, count) / weight)[code]
    score, known = sum_by(code, inner * left, count), sum_by(code, mean * inner**2, count)
    whole = score + known * slope
    variance = np.clip((whole**2 - spread * known).sum() / max(float((known**2).sum()), 1e-9), 1e-4, 1.0)
    found = np.clip(whole / (known + spread / variance), -STEEPEST, STEEPEST)
    return np.asarray((slope + found) / 2)


def spreads(square: np.ndarray, mean: np.ndarray, code: np.ndarray, count: int) -> np.ndarray:
    """Variance ÷ mean of each series, drawn to that of all as far as it has few units; at least 1."""
    squares, expected = sum_by(code, square, count), sum_by(code, mean, count)
    usual = max(float(squares.sum() / max(float(expected.sum()), 1e-9)), 1.0)
    prior = 20 * PRIOR_UNITS
    return np.maximum((squares + prior * usual) / (expected + prior), 1.0)


def present(
    units: np.ndarray, mean: np.ndarray, code: np.ndarray, age: np.ndarray, group: np.ndarray, count: int, half: float
) -> np.ndarray:
    """Present level of each series against its long one: the category's of late, and its own as far as told."""
    weight = 0.5 ** (age / half)
    sold, told = sum_by(code, weight * units, count), sum_by(code, weight * mean, count)
    groups = int(group.max(initial=0)) + 1
    both = sum_by(group, sold, groups), sum_by(group, told, groups)
    category = ((both[0] + 10 * PRIOR_UNITS) / (both[1] + 10 * PRIOR_UNITS))[group]
    return np.asarray((sold + 5 * PRIOR_UNITS * category) / (told + 5 * PRIOR_UNITS))


def best_half_life(
    units: np.ndarray, mean: np.ndarray, code: np.ndarray, age: np.ndarray, group: np.ndarray, count: int
) -> float:
    """The half-life that foretells the last VALIDATION_DAYS best from the days before (Poisson deviance)."""
    late = age < VALIDATION_DAYS
    if not late.any() or late.all():
        return HALF_LIVES[-1]
    then = ~late
    losses = []
    for half in HALF_LIVES:
        at = present(units[then], mean[then], code[then], age[then] - VALIDATION_DAYS, group, count, half)
        told = np.maximum(mean[late] * at[code[late]], 1e-9)
        losses.append(float((told - units[late] * np.log(told)).sum()))
    return HALF_LIVES[int(np.argmin(losses))]


def drift(
    units: np.ndarray, mean: np.ndarray, code: np.ndarray, age: np.ndarray, group: np.ndarray, count: int,
    half: float, spread: np.ndarray,
) -> float:  # fmt: skip
    """Relative standard deviation of the level over two weeks, beyond what counts explain.

    From windows of the past, each foretold from the days before it: E[(S - M)² / M] = spread + drift² · M.
    """
    extra, told = 0.0, 0.0
    for window in range(WINDOWS):
        end = window * 2 * WEEK
        then, late = age >= end + 2 * WEEK, (age >= end) & (age < end + 2 * WEEK)
        if age.max(initial=0.0) < end + 4 * WEEK or not late.any():
            break
        at = present(units[then], mean[then], code[then], age[then] - end - 2 * WEEK, group, count, half)
        expected = np.maximum(sum_by(code[late], mean[late] * at[code[late]], count), 1e-9)
        missed = sum_by(code[late], units[late], count) - expected
        # Squares weigh by the inverse of their variance: neither the many small series nor the largest decide alone.
        weight = (expected / (spread * expected + (USUAL_DRIFT * expected) ** 2)) ** 2
        extra += float((weight * (missed**2 - spread * expected)).sum())
        told += float((weight * expected**2).sum())
    return float(np.sqrt(np.clip(extra / max(told, 1e-9), 0.0, 0.25)))


def weeks(day_of_year: np.ndarray) -> np.ndarray:
    """Weeks of the year from 0, the last of eight or nine days."""
    return np.minimum((day_of_year - 1) // WEEK, WEEKS - 1)


def season(units: np.ndarray, mean: np.ndarray, group: np.ndarray, week: np.ndarray, groups: int) -> np.ndarray:
    """Factors by category and week of the year of what was wanted beyond `mean`: all categories' and each one's own.

    The first is sharp (a holiday lasts a week), the second smooth: seven weeks count, and units enough.
    """
    sold, told = sum_by(week, units, WEEKS), sum_by(week, mean, WEEKS)
    near = (0.2, 0.6, 0.2)
    both = (around(sold, near) + 25 * PRIOR_UNITS) / (around(told, near) + 25 * PRIOR_UNITS)
    cell, rest = group * WEEKS + week, mean * both[week]
    wide = (0.06, 0.12, 0.2, 0.24, 0.2, 0.12, 0.06)
    own, expected = (
        around(sum_by(cell, values, groups * WEEKS).reshape(groups, WEEKS), wide) for values in (units, rest)
    )
    factor = both * (own + 10 * PRIOR_UNITS) / (expected + 10 * PRIOR_UNITS)
    return np.asarray(np.clip(factor, 0.1, 10.0))


def around(values: np.ndarray, weights: tuple[float, ...]) -> np.ndarray:
    """Weighted sums of neighbours along the last axis, which is a circle."""
    half = len(weights) // 2
    return np.asarray(sum(weight * np.roll(values, step - half, axis=-1) for step, weight in enumerate(weights)))
