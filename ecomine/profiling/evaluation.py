"""On the test window: how true the predictions came, and what contacting the right customers was worth.

The money of a contact is `contact_effect` of what the customer spent in the window, at the `margin`, less the cost:
the same assumption for every method, so that their difference tells who chose better. The model contacts whom it
expects to bring more than the contact costs, at most `contact_share` of the customers, the most valuable first. The
baselines contact that share by recency and frequency (`recency_frequency`: mean of the two ranks) and by the money of
the past (`past_money`: mean spend a day so far).
"""

import numpy as np
import pandas as pd

from ecomine import metrics
from ecomine.domain import LABEL, Evaluation
from ecomine.errors import NotEnoughDataError
from ecomine.profiling.features import LOST, VALUE
from ecomine.profiling.model import Profiler
from ecomine.profiling.params import ProfilingParams
from ecomine.profiling.policy import contact_gain


def evaluate(model: Profiler, frame: pd.DataFrame, truth: pd.DataFrame, params: ProfilingParams) -> Evaluation:
    """Rank correlation, error and total of value, AUC and calibration of probabilities; money a customer.

    Raises NotEnoughDataError where there is no customer or nobody bought.
    """
    if truth.empty or frame.empty or truth[VALUE].sum() <= 0:
        raise NotEnoughDataError(
            f"The test window holds {len(truth):,} customers with money {truth[VALUE].sum():.2f}; nothing can be "
            "measured. Bring a longer history or a longer horizon."
        )
    actual = frame[["user_id"]].merge(truth, on="user_id", how="left", validate="1:1")
    spent = actual[VALUE].to_numpy(float)
    design = model.design(frame)
    told, plainly = model.predict(design), model.predict(design, plainly=True)
    worth = contact_gain(spent, params)
    past = (frame["mean_spend"].fillna(0) * frame["paid_days"] / np.maximum(frame["age_days"], 1)).to_numpy(float)
    quiet = (frame["age_days"] - frame["recency_days"]).to_numpy(float)
    recency_frequency = _rank(-quiet) + _rank(frame["repeats"].to_numpy(float))
    most = int(np.ceil(params.contact_share * len(frame)))
    chosen = {
        "model": _best(told["value"].to_numpy(), most) & (contact_gain(told["value"], params) > 0),
        "recency_frequency": _best(recency_frequency, most),
        "past_money": _best(past, most),
        "nobody": np.zeros(len(frame), bool),
    }
    values = pd.DataFrame({"user_id": frame["user_id"].to_numpy()})
    for name, contacted in chosen.items():
        values[name] = np.where(contacted, worth, 0.0)
    bought, lost = actual[LABEL].to_numpy(float), actual[LOST].to_numpy(float)
    horizon = model.params.horizon_days
    results = {
        "model": {
            **_value(told["value"].to_numpy(), spent),
            **_probability("buy", told["buy"].to_numpy(), bought),
            **_probability("churn", told["churn"].to_numpy(), lost),
        },
        "linear": {
            **_probability("buy", plainly["buy"].to_numpy(), bought),
            **_probability("churn", plainly["churn"].to_numpy(), lost),
        },
        "lifetime": {
            **_value(frame["expected_value"].to_numpy(float), spent),
            "interval_holds": float(
                ((spent >= frame["expected_low"] - 0.005) & (spent <= frame["expected_high"] + 0.005)).mean()
            ),
        },
        "past_money": _value(past * horizon, spent),
    }
    plots = {
        "calibration_buy": metrics.calibration(told["buy"].to_numpy(), bought, 10),
        "calibration_churn": metrics.calibration(told["churn"].to_numpy(), lost, 10),
        "calibration_value": metrics.calibration(told["value"].to_numpy(), spent, 10),
        **model.tables,
    }
    return Evaluation(results, values, plots)


def _value(told: np.ndarray, spent: np.ndarray) -> dict[str, float]:
    best = _best(told, int(np.ceil(len(told) / 10)))
    return {
        "rank_correlation": _correlation(_rank(told), _rank(spent)),
        "correlation": _correlation(told, spent),
        "mean_absolute_error": float(np.abs(told - spent).mean()),
        "predicted_total": float(told.sum() / spent.sum()),
        "money_in_best_tenth": float(spent[best].sum() / spent.sum()),
    }


def _probability(name: str, told: np.ndarray, happened: np.ndarray) -> dict[str, float]:
    """Area under the curve (Mann-Whitney; 0.5 where only one thing happened), Brier score and calibration error."""
    ranks = _rank(told)
    yes = happened.sum()
    no = len(happened) - yes
    area = (ranks[happened > 0].sum() - yes * (yes + 1) / 2) / (yes * no) if yes and no else 0.5
    groups = metrics.calibration(told, happened, 10)
    error = float((groups["score"] - groups["label"]).abs() @ groups["rows"] / groups["rows"].sum())
    return {
        f"{name}_auc": float(area),
        f"{name}_brier": float(((told - happened) ** 2).mean()),
        f"{name}_calibration_error": error,
    }


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    if one.std() < 1e-12 or other.std() < 1e-12:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _rank(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, the mean rank for ties."""
    return pd.Series(values).rank().to_numpy()


def _best(score: np.ndarray, count: int) -> np.ndarray:
    """Whether each is among the `count` highest, ties to the first row."""
    chosen = np.zeros(len(score), bool)
    chosen[np.argsort(-score, kind="stable")[:count]] = True
    return chosen
