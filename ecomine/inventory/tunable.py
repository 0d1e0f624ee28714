"""How demand is forecast: learned on earlier days, chosen by the last horizons of the training."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ecomine.domain import Range, Report, Tunable, over_time, unreported
from ecomine.errors import NotEnoughDataError
from ecomine.inventory.features import UNITS, sales
from ecomine.inventory.forecasting import DemandForecaster
from ecomine.inventory.params import InventoryParams
from ecomine.inventory.situation import KEYS

HORIZONS = 2
"""Horizons at the end of the training that settings are judged by, the last one first."""

LEVELS = (0.05, 0.5, 0.95)
"""Quantiles of demand that are judged, beside the mean."""


def validate(
    frame: pd.DataFrame, params: InventoryParams, seed: int, threads: int, report: Report = unreported
) -> float:
    """1 - the pinball loss of later horizons, as a share of the units, each foretold from before it.

    The loss is that of quantiles (Koenker and Bassett 1978), averaged over LEVELS. Raises NotEnoughDataError where less
    than three horizons of history are there.
    """
    rows = sales(frame)
    periods = np.unique(rows["date"].to_numpy())
    horizon = params.forecast.horizon
    if len(periods) < 3 * horizon:
        raise NotEnoughDataError(
            f"There are {len(periods)} periods to learn from; three horizons of {horizon} are needed to choose "
            "settings. Shorten inventory.forecast.horizon, raise inventory.train_days or bring a longer history."
        )
    forecast = replace(params.forecast, period_days=int((periods[1] - periods[0]) / np.timedelta64(1, "D")))
    date = rows["date"].to_numpy()

    def judge(number: int) -> float:
        end = len(periods) - number * horizon
        first, last = periods[end - horizon], periods[end - 1]
        model = DemandForecaster(forecast, seed, threads).fit(rows[date < first])
        known = rows[(date >= first) & (date <= last)]
        both = known.merge(model.predict(horizon), on=[*KEYS, "date"], how="inner")
        units = both[UNITS].to_numpy(float)
        losses = [_pinball(units, both[f"q{level:g}"].to_numpy(float), level) for level in LEVELS]
        return 1.0 - float(np.mean(losses)) / max(float(units.mean()), 1e-12)

    return over_time(min(len(periods) // horizon - 2, HORIZONS), judge, report)


def _pinball(units: np.ndarray, told: np.ndarray, level: float) -> float:
    return float(np.maximum(level * (units - told), (level - 1) * (units - told)).mean())


TUNABLE = Tunable(
    space={
        "forecast.likelihood": ("zero_inflated", "counts", "log"),
        "forecast.rounds": Range(50, 500, log=True, whole=True),
        "forecast.learning_rate": Range(0.03, 0.3, log=True),
        "forecast.max_depth": Range(3, 9, whole=True),
        "forecast.identities": (False, True),
    },
    validate=validate,
)
