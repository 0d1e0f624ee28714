"""The classical methods, each series by itself: they may take over where they win in validation."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ecomine.errors import SettingsError
from ecomine.inventory.forecasting.history import Rhythm
from ecomine.inventory.forecasting.intermittent import smoothed

SEASONAL_NAIVE, CROSTON_SBA, TSB, THETA, ETS = "seasonal_naive", "croston_sba", "tsb", "theta", "ets"
ALL = (SEASONAL_NAIVE, CROSTON_SBA, TSB, THETA, ETS)
SLOW = (THETA, ETS)
"""Fitted series by series by statsforecast."""

SEASONS = 4
"""Seasons before the origin that the seasonal naive method averages."""


def check(names: list[str]) -> None:
    """Raises SettingsError for a method that is not known."""
    strange = [name for name in names if name not in ALL]
    if strange:
        raise SettingsError(
            f"`inventory.forecast.classics` has {', '.join(strange)}; expected some of {', '.join(ALL)}."
        )


def expected(name: str, units: np.ndarray, rhythm: Rhythm, horizon: int) -> np.ndarray:
    """Series × horizon: units expected after the last period of `units` (nulls where nothing could be sold)."""
    return _METHODS[name](units, rhythm, horizon)


def _seasonal_naive(units: np.ndarray, rhythm: Rhythm, horizon: int) -> np.ndarray:
    """The mean of the last few periods like it: of the same weekday, or of the same place in a block of four weeks."""
    season = rhythm.week if rhythm.week > 1 else 4
    width = min(season * SEASONS, units.shape[1] // season * season)
    if not width:
        return _flat(np.nan_to_num(units).mean(axis=1), horizon)
    recent = units[:, units.shape[1] - width :].reshape(len(units), -1, season)
    seen = np.isfinite(recent).sum(axis=1)
    mean = np.nan_to_num(recent).sum(axis=1) / np.maximum(seen, 1)
    return np.tile(mean, (1, -(-horizon // season)))[:, :horizon]


def _croston_sba(units: np.ndarray, rhythm: Rhythm, horizon: int) -> np.ndarray:
    return _flat(np.nan_to_num(smoothed(units).croston_sba[:, -1]), horizon)


def _tsb(units: np.ndarray, rhythm: Rhythm, horizon: int) -> np.ndarray:
    return _flat(np.nan_to_num(smoothed(units).tsb[:, -1]), horizon)


def _flat(level: np.ndarray, horizon: int) -> np.ndarray:
    return np.repeat(np.maximum(level, 0.0)[:, None], horizon, axis=1)


def _by_statsforecast(name: str) -> Callable[[np.ndarray, Rhythm, int], np.ndarray]:
    def told(units: np.ndarray, rhythm: Rhythm, horizon: int) -> np.ndarray:
        from statsforecast import StatsForecast
        from statsforecast.models import AutoETS, Naive, Theta

        season = rhythm.week if units.shape[1] >= 2 * rhythm.week else 1
        model = {THETA: Theta, ETS: AutoETS}[name](season_length=season)
        count, width = units.shape
        frame = pd.DataFrame(
            {
                "unique_id": np.repeat(np.arange(count), width),
                "ds": np.tile(np.arange(width), count),
                "y": _closed_filled(units).ravel().astype(float),
            }
        )
        run = StatsForecast([model], freq=1, n_jobs=1, fallback_model=Naive())
        # A series that never changes has no autocorrelation; the fallback takes what cannot be fitted.
        with np.errstate(divide="ignore", invalid="ignore"):
            values = run.forecast(df=frame, h=horizon)[repr(model)].to_numpy(float)
        return np.maximum(np.nan_to_num(values.reshape(count, horizon)), 0.0)

    return told


def _closed_filled(units: np.ndarray) -> np.ndarray:
    """Nulls become the mean of the series, for methods that know no gaps."""
    seen = np.isfinite(units)
    mean = np.where(seen, units, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    return np.where(seen, units, mean[:, None])


_METHODS: dict[str, Callable[[np.ndarray, Rhythm, int], np.ndarray]] = {
    SEASONAL_NAIVE: _seasonal_naive,
    CROSTON_SBA: _croston_sba,
    TSB: _tsb,
    THETA: _by_statsforecast(THETA),
    ETS: _by_statsforecast(ETS),
}
