"""Smoothing of sparse demand, all series at once: sizes and frequencies of demand are smoothed apart."""

from dataclasses import dataclass

import numpy as np

SMOOTHING = 0.1


@dataclass(frozen=True)
class Smoothed:
    """Series × periods, each as of the end of the period: expected units a period by three methods."""

    croston_sba: np.ndarray
    tsb: np.ndarray
    simple: np.ndarray


def smoothed(units: np.ndarray, alpha: float = SMOOTHING, beta: float = SMOOTHING, quick: float = 0.3) -> Smoothed:
    """Levels of every period; nulls are passed over, and levels are null before the first sale.

    Sources: Croston (1972) with the correction of Syntetos and Boylan (2005), 1 - alpha / 2; Teunter, Syntetos and
    Babai (2011), whose probability of demand also falls while nothing sells; simple exponential smoothing (`quick`).
    """
    count, width = units.shape
    sba, tsb, simple = (np.full((count, width), np.nan, np.float32) for _ in range(3))
    size = np.full(count, np.nan)
    interval = np.full(count, np.nan)
    chance = np.full(count, np.nan)
    level = np.full(count, np.nan)
    since = np.ones(count)
    for period in range(width):
        value = units[:, period].astype(float)
        seen, sold = np.isfinite(value), value > 0
        begun = np.isfinite(size)
        level = np.where(seen, np.where(np.isnan(level), value, level + quick * (value - level)), level)
        fresh = sold & ~begun
        chance = np.where(seen & begun, chance + beta * (sold - chance), chance)
        interval = np.where(sold & begun, interval + alpha * (since - interval), interval)
        size = np.where(sold & begun, size + alpha * (value - size), size)
        size, interval = np.where(fresh, value, size), np.where(fresh, since, interval)
        chance = np.where(fresh, 1.0 / since, chance)
        since = np.where(sold, 1.0, since + seen)
        sba[:, period] = (1 - alpha / 2) * size / interval
        tsb[:, period] = chance * size
        simple[:, period] = level
    return Smoothed(sba, tsb, simple)
