"""How demand is learnt: from earlier weeks, chosen by how well it foretells the later ones of the training."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ecomine.domain import EVENT_TIMESTAMP, LABEL, Range, Report, Tunable, over_time, unreported
from ecomine.errors import NotEnoughDataError
from ecomine.pricing.demand import DemandModel
from ecomine.pricing.model import Pricer
from ecomine.pricing.momentum import Momentum
from ecomine.pricing.params import PricingParams

STRETCHES = 2
"""Stretches of `test_weeks` at most that settings are judged by, the last one first."""


def validate(frame: pd.DataFrame, params: PricingParams, seed: int, threads: int, report: Report = unreported) -> float:
    """1 - the weighted absolute percentage error of forecasts over later stretches, each foretold from before it.

    A stretch is what shares its moment: the weeks whose prices were set at once. Raises NotEnoughDataError where there
    is one only, or nothing was sold in the last.
    """
    moments = np.unique(frame[EVENT_TIMESTAMP])
    time, units = frame[EVENT_TIMESTAMP].to_numpy(), frame[LABEL].to_numpy(float)
    if len(moments) < 2 or not units[time == moments[-1]].sum():
        raise NotEnoughDataError(
            f"There are {len(moments)} stretches of weeks to learn from; two with sales are needed to choose settings. "
            "Raise pricing.train_weeks, lower pricing.test_weeks or bring a longer history."
        )
    horizon = replace(params.demand, horizon=max(params.demand.horizon, params.test_weeks))

    def judge(number: int) -> float:
        before, later = time < moments[-1 - number], time == moments[-1 - number]
        model = Pricer(params, seed, threads)
        model.momentum = Momentum.fit(frame[before])
        demand = DemandModel(horizon, seed, threads).fit(model.sales(frame[before]))
        told = demand.predict(model.sales(frame[later]).drop(columns="units"))
        return 1.0 - float(np.abs(told - units[later]).sum() / max(units[later].sum(), 1e-12))

    # The earliest stretches have too little before them to learn from.
    return over_time(min(max((len(moments) - 1) // 2, 1), STRETCHES), judge, report)


TUNABLE = Tunable(
    space={
        "demand.likelihood": ("auto", "log", "counts"),
        "demand.rounds": Range(50, 600, log=True, whole=True),
        "demand.learning_rate": Range(0.02, 0.2, log=True),
        "demand.max_depth": Range(2, 8, whole=True),
        "demand.min_information": Range(0.2, 0.9),
    },
    validate=validate,
)
