"""How units scatter around what is expected: in logs, or as counts. What a stock-out hides is filled in by expectation.

With an intercept for each series, both lead to one weighted regression: the intercepts have closed forms.
"""

from dataclasses import dataclass

import numpy as np

COUNTS, LOG = "counts", "log"
LARGE, ENOUGH = 20.0, 0.99
"""Units count as large where their median reaches this and so many of them are above zero."""


@dataclass(frozen=True)
class Fitted:
    """Residuals and weights of rows given their linear predictor: score = Σ weight · residual · x.

    `level` is the intercept of each series, `expected` the units of each row.
    """

    residual: np.ndarray
    weight: np.ndarray
    level: np.ndarray
    expected: np.ndarray
    filled: np.ndarray


def chosen(likelihood: str, units: np.ndarray) -> str:
    """`log` or `counts`; `auto` takes log for large units."""
    if likelihood != "auto":
        return likelihood
    return LOG if np.median(units) >= LARGE and (units > 0).mean() >= ENOUGH else COUNTS


def fitted(
    kind: str, units: np.ndarray, censored: np.ndarray, series: np.ndarray, count: int, eta: np.ndarray,
    before: Fitted | None = None, scatter: float = 1.0,
) -> Fitted:  # fmt: skip
    """Rows given `eta`, the predictor without intercepts; `before` tells what censored rows hid.

    `scatter` is the variance of logs, or that of counts over their mean. Source for counts: the conditional
    likelihood of Hausman, Hall and Griliches (1984), in which intercepts are Σ units / Σ exp(eta); for censoring:
    expectation and maximisation, Dempster, Laird and Rubin (1977).
    """
    filled = units if before is None else _filled(kind, units, censored, before, scatter)
    if kind == LOG:
        log = np.log(np.maximum(filled, 0.5))
        size = np.maximum(np.bincount(series, minlength=count), 1)
        level = np.bincount(series, log - eta, minlength=count) / size
        value = eta + level[series]
        return Fitted(log - value, np.ones(len(eta)), level, np.exp(value), filled)
    # The greatest predictor of a series is taken out, so that no exponential overflows.
    top = np.full(count, -np.inf)
    np.maximum.at(top, series, eta)
    raw = np.exp(eta - top[series])
    total, wanted = np.bincount(series, raw, minlength=count), np.bincount(series, filled, minlength=count)
    share = np.maximum(wanted, 1e-9) / np.maximum(total, 1e-300)
    expected = np.maximum(raw * share[series], 1e-9)
    level = np.log(share) - np.where(np.isfinite(top), top, 0.0)
    return Fitted((filled - expected) / expected, expected, level, expected, filled)


def _filled(kind: str, units: np.ndarray, censored: np.ndarray, before: Fitted, scatter: float) -> np.ndarray:
    """Units, where censored ones become what is expected to have been wanted."""
    if not censored.any():
        return units
    from scipy import special, stats

    result = units.copy()
    if kind == LOG:
        spread = np.sqrt(scatter)
        middle = np.log(before.expected[censored])
        z = np.clip((np.log(np.maximum(units[censored], 0.5)) - middle) / spread, -30, 6)
        hazard = np.exp(stats.norm.logpdf(z) - stats.norm.logsf(z))
        result[censored] = np.exp(middle + spread * hazard)
        return np.maximum(result, units)
    # Y / scatter counts as Poisson: E[Y | Y >= y] = mean · P(Y >= y - 1) / P(Y >= y).
    mean, least = before.expected[censored] / scatter, units[censored] / scatter
    above = np.where(least > 0, special.gammainc(np.maximum(least, 1e-9), mean), 1.0)
    more = np.where(least > 1, special.gammainc(np.maximum(least - 1, 1e-9), mean), 1.0)
    result[censored] = np.where(above > 1e-12, mean * more / np.maximum(above, 1e-12), least) * scatter
    return np.maximum(result, units)
