"""The model of who answers: learned on earlier campaigns, chosen by the later ones of the training."""

import numpy as np
import pandas as pd

from ecomine.ads.bases import LINEAR, XGBOOST
from ecomine.ads.model import Placement
from ecomine.ads.params import AdsParams
from ecomine.domain import EVENT_TIMESTAMP, LABEL, Range, Report, Tunable, over_time, unreported
from ecomine.errors import NotEnoughDataError

STRETCHES = (0.75, 0.5)
"""Where, as shares of the training campaigns, what is judged by begins; each lasts to the one before, or the end."""


def validate(frame: pd.DataFrame, params: AdsParams, seed: int, threads: int, report: Report = unreported) -> float:
    """Skill of the probabilities that contacted people of later campaigns answer: 1 - log loss ÷ that of their share.

    The uplift model is chosen by each training for itself. Raises NotEnoughDataError where a stretch of campaigns has
    only answers, or none.
    """
    reached = frame[frame["treated"].to_numpy(float) > 0].reset_index(drop=True)
    time, label = reached[EVENT_TIMESTAMP].to_numpy(), reached[LABEL].to_numpy(float)
    starts = np.unique(time)
    asked = dict.fromkeys(starts[int(len(starts) * share)] for share in STRETCHES if len(starts))
    begins = [start for start in asked if start > starts[0]]
    if not begins:
        raise NotEnoughDataError(
            f"There are {len(starts)} campaigns to learn from that began one after the other; two are needed to choose "
            "settings. Bring a longer history, or lower ads.test_days."
        )
    model = Placement(params, seed, threads)

    def judge(number: int) -> float:
        before = time < begins[number]
        later = ~before if number == 0 else (time >= begins[number]) & (time < begins[number - 1])
        if not all(len(np.unique(label[part])) == 2 for part in (before, later)):
            raise NotEnoughDataError(
                f"{len(starts):,} training campaigns, with contacts that all ended alike in a part of them; expected "
                "answers and none before and after. Bring a longer history, or lower ads.test_days."
            )
        model.prepare(reached[before])
        seen = model.seen(reached)
        told = model.response_model().fit(seen[before], label[before]).predict(seen[later])
        return 1.0 - _log_loss(told, label[later]) / _log_loss(np.full(later.sum(), label[later].mean()), label[later])

    return over_time(len(begins), judge, report)


def _log_loss(told: np.ndarray, label: np.ndarray) -> float:
    sure = np.clip(told, 1e-9, 1 - 1e-9)
    return float(-(label * np.log(sure) + (1 - label) * np.log(1 - sure)).mean())


TUNABLE = Tunable(
    space={
        "model": (XGBOOST, LINEAR),
        "rounds": Range(20, 300, log=True, whole=True),
        "max_depth": Range(1, 6, whole=True),
        "learning_rate": Range(0.02, 0.3, log=True),
    },
    validate=validate,
)
