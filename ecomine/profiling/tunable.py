"""The trees of profiling: learned on earlier label windows, chosen by the later ones."""

import numpy as np
import pandas as pd

from ecomine.domain import EVENT_TIMESTAMP, LABEL, Range, Report, Tunable, over_time, unreported
from ecomine.errors import NotEnoughDataError
from ecomine.profiling.features import LOST, VALUE
from ecomine.profiling.model import Profiler
from ecomine.profiling.params import ProfilingParams

WINDOWS = 2
"""Training windows at most that settings are judged by, the last one first."""


def validate(
    frame: pd.DataFrame, params: ProfilingParams, seed: int, threads: int, report: Report = unreported
) -> float:
    """Mean skill of what is told of a later window, 0 for the plain mean and 1 for the truth.

    Of buying again and of being lost the Brier skill score (Brier 1950), of money the share of the absolute error that
    the model spares. Raises NotEnoughDataError where there is one window only.
    """
    moments = np.unique(frame[EVENT_TIMESTAMP])
    if len(moments) < 2:
        raise NotEnoughDataError(
            f"There is {len(moments)} training window; two are needed to choose settings. Raise "
            "profiling.train_periods or bring a longer history."
        )
    time = frame[EVENT_TIMESTAMP].to_numpy()

    def judge(number: int) -> float:
        model = Profiler(params, seed, threads).learn(frame[time < moments[-1 - number]])
        later = frame[time == moments[-1 - number]].reset_index(drop=True)
        told = model.predict(model.design(later))
        truth = {name: later[column].to_numpy(float) for name, column in TOLD.items()}
        skills = [
            _skill((told[name].to_numpy() - truth[name]) ** 2, _apart(truth[name]) ** 2) for name in PROBABILITIES
        ]
        money = _skill(np.abs(told["value"].to_numpy() - truth["value"]), np.abs(_apart(truth["value"])))
        return float(np.mean([*skills, money]))

    return over_time(min(len(moments) - 1, WINDOWS), judge, report)


PROBABILITIES = ("buy", "churn")
TOLD = {"buy": LABEL, "churn": LOST, "value": VALUE}


def _apart(truth: np.ndarray) -> np.ndarray:
    return truth - truth.mean()


def _skill(loss: np.ndarray, plain: np.ndarray) -> float:
    return 1.0 - float(loss.sum()) / max(float(plain.sum()), 1e-12)


TUNABLE = Tunable(
    space={
        "trees": Range(30, 400, log=True, whole=True),
        "max_depth": Range(1, 6, whole=True),
        "learning_rate": Range(0.01, 0.2, log=True),
    },
    validate=validate,
)
