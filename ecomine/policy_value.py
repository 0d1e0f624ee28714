"""What a policy would have earned, from the log of another one: off-policy evaluation.

A log holds, for each decision that was made, what came of it (`reward`), the probability with which the policy of the
time chose what it chose (`propensity`) and the probability with which the policy in question would have (`target`).
With a model of rewards there are also its prediction for what was chosen (`predicted`) and its average over what the
policy in question would choose (`expected`). Arrays of one length in, an `Estimate` out.

Every estimate is an average of contributions, one a decision; its interval is a percentile bootstrap over units (the
decisions of a person or of a page hang together). A policy that the log hardly ever followed cannot be judged by it:
where the effective sample, (Σw)² / Σw² with w = target / propensity, is too small, the estimate says so instead of
giving a number.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ecomine import metrics
from ecomine.errors import FeatureError, NotEnoughDataError

LEAST_EFFECTIVE = 100.0
"""Effective decisions below which weighted averages are claims about a few lucky ones."""

_SWITCHES = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
"""Quantiles of the weights among which switch-DR looks for its threshold."""


@dataclass(frozen=True)
class Log:
    """Decisions of the logging policy; arrays of one length, `unit` numbers who they belong to."""

    reward: np.ndarray
    propensity: np.ndarray
    target: np.ndarray
    predicted: np.ndarray | None = None
    expected: np.ndarray | None = None
    unit: np.ndarray | None = None

    def __post_init__(self) -> None:
        lengths = {len(value) for value in vars(self).values() if value is not None}
        if lengths == {0}:
            raise NotEnoughDataError("The log holds no decision, so no policy can be judged by it.")
        if len(lengths) != 1:
            raise FeatureError(f"The arrays of the log have {sorted(lengths)} entries; expected the same number each.")
        if not np.all((self.propensity > 0) & (self.propensity <= 1)):
            raise FeatureError("A propensity is not in (0, 1]; log the probability with which a decision was made.")
        if not np.all((self.target >= 0) & (self.target <= 1)):
            raise FeatureError("A target probability is not in [0, 1].")

    @property
    def weight(self) -> np.ndarray:
        return np.asarray(self.target / self.propensity)

    @property
    def effective(self) -> float:
        """Kish's effective number of decisions."""
        weight = self.weight
        total = float((weight**2).sum())
        return float(weight.sum()) ** 2 / total if total > 0 else 0.0


@dataclass(frozen=True)
class Estimate:
    """What the policy earns a decision, with interval; NaN, and why, where the log cannot tell."""

    value: float
    low: float
    high: float
    effective: float
    why: str = ""


def ips(log: Log) -> np.ndarray:
    """Inverse propensity scoring: w·r (Horvitz and Thompson 1952)."""
    return log.weight * log.reward


def snips(log: Log) -> np.ndarray:
    """Self-normalised: Σwr / Σw, as contributions around that ratio (Swaminathan and Joachims 2015; delta method)."""
    weight = log.weight
    mean = weight.mean()
    if mean == 0:
        return np.full(len(weight), np.nan)
    ratio = float((weight * log.reward).mean() / mean)
    return np.asarray(ratio + weight * (log.reward - ratio) / mean)


def direct(log: Log) -> np.ndarray:
    """Direct method: what the model of rewards expects of the policy."""
    return np.asarray(_modelled(log)[1], float)


def doubly_robust(log: Log) -> np.ndarray:
    """The model's expectation, corrected by its weighted errors (Dudík, Langford and Li 2011)."""
    predicted, expected = _modelled(log)
    return np.asarray(expected + log.weight * (log.reward - predicted))


def switch_dr(log: Log) -> np.ndarray:
    """Doubly robust where the weight is moderate, the model alone where it is not (Wang, Agarwal and Dudík 2017).

    The threshold minimises an estimate of the mean squared error: the variance of the mean, and the squared bias of
    leaving out the corrections beyond it, as far as that is more than two standard errors of noise.
    """
    predicted, expected = _modelled(log)
    weight, error = log.weight, log.weight * (log.reward - predicted)
    best, least = np.asarray(expected, float), np.inf
    for threshold in np.unique(np.quantile(weight, _SWITCHES)):
        near = weight <= threshold
        values = expected + np.where(near, error, 0.0)
        left_out = np.where(near, 0.0, error)
        noise = float(left_out.std()) / len(values) ** 0.5
        bias = max(0.0, abs(float(left_out.mean())) - 2 * noise)
        risk = float(values.var()) / len(values) + bias**2
        if risk < least:
            best, least = values, risk
    return np.asarray(best)


ESTIMATORS: dict[str, Callable[[Log], np.ndarray]] = {
    "ips": ips,
    "snips": snips,
    "dm": direct,
    "dr": doubly_robust,
    "switch_dr": switch_dr,
}
"""Contributions, one a decision, whose mean is the value of the policy."""

NEED_A_MODEL = frozenset({"dm", "dr", "switch_dr"})


def least_risk(log: Log) -> str:
    """The estimator of the least estimated mean squared error, told from the log alone.

    The error is variance and squared bias; the bias of an estimator is how far it lies from one that has none (doubly
    robust, else ips), as far as that is more than noise. A direct method learnt from the log is held to be no surer
    than the log's own mean. Source: Su, Srinath and Krishnamurthy, Adaptive estimator selection for off-policy
    evaluation (2020), 3, whose bounds are taken as estimates.

    >>> log = Log(np.array([1.0, 0.0] * 200), np.full(400, 0.5), np.array([1.0, 0.0] * 200))
    >>> least_risk(log)
    'snips'
    """
    modelled = log.predicted is not None
    names = [name for name in ESTIMATORS if modelled or name not in NEED_A_MODEL]
    found = {name: ESTIMATORS[name](log) for name in names}
    sound, count, risk = found["dr" if modelled else "ips"], len(log.reward), {}
    for name, values in found.items():
        variance, apart = float(values.var()), values - sound
        if name == "dm" and log.reward.mean() != 0:
            variance = max(variance, float(log.reward.var()) * (float(values.mean()) / float(log.reward.mean())) ** 2)
        bias = max(0.0, float(apart.mean()) ** 2 - float(apart.var()) / count)
        risk[name] = variance / count + bias
    return min(names, key=lambda name: risk[name])


def estimate(
    log: Log,
    estimator: str = "snips",
    *,
    confidence: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
    least_effective: float = LEAST_EFFECTIVE,
) -> Estimate:
    """The value of the policy by one of `ESTIMATORS`.

    >>> log = Log(reward=np.array([1.0, 0.0] * 200), propensity=np.full(400, 0.5), target=np.array([1.0, 0.0] * 200))
    >>> round(estimate(log).value, 3)
    1.0
    """
    if estimator not in ESTIMATORS:
        raise FeatureError(f"There is no estimator {estimator!r}; there are {', '.join(ESTIMATORS)}.")
    effective = log.effective
    if estimator != "dm" and effective < least_effective:
        nan = float("nan")
        return Estimate(
            nan,
            nan,
            nan,
            effective,
            f"the log of {len(log.reward):,} decisions is worth {effective:.0f} for this policy; "
            f"at least {least_effective:.0f} are needed for a claim",
        )
    values = ESTIMATORS[estimator](log)
    units = values if log.unit is None else _by_unit(values, log.unit)
    low, high = metrics.mean_interval(units, confidence, samples, seed)
    return Estimate(float(values.mean()), low, high, effective)


def table(log: Log, **options: float | int) -> pd.DataFrame:
    """All estimators that the log allows: columns estimator, value, low, high, effective, why."""
    names = [name for name in ESTIMATORS if log.predicted is not None or name not in NEED_A_MODEL]
    return pd.DataFrame(
        [{"estimator": name, **vars(estimate(log, name, **options))} for name in names]  # type: ignore[arg-type]
    )


def _modelled(log: Log) -> tuple[np.ndarray, np.ndarray]:
    if log.predicted is None or log.expected is None:
        raise FeatureError(
            "This estimator needs a model of rewards: its prediction for what was chosen (`predicted`) and its average "
            "over what the policy would choose (`expected`)."
        )
    return log.predicted, log.expected


def _by_unit(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Contributions by unit, scaled so that their mean is that of the decisions."""
    _, number = np.unique(unit, return_inverse=True)
    sums = np.bincount(number, values)
    return np.asarray(sums * len(sums) / len(values))
