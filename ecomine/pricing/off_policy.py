"""What a learner's prices would earn, from the log of another policy: before a learner is let loose, it is judged.

An explorer draws prices at random around those that stand, with known probabilities, and logs what came of them. From
that log any other policy is estimated by importance weights (SNIPS) and doubly robust, with a demand model as the model
of rewards. A day's price is taken to earn what it earns that day: what rivals do about it later is not in such an
estimate.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ecomine import policy_value
from ecomine.pricing.demand import DemandModel
from ecomine.pricing.learning import run
from ecomine.pricing.params import DemandParams

WEEK = 7
FOLDS = 2
QUICK = DemandParams(periods_per_year=365.25, likelihood="counts", folds=2, nuisance_rounds=1)
"""The model of rewards needs slopes and seasons alone."""


@dataclass
class Explorer:
    """Asks the standing level with probability `steady`, else any allowed level alike; `allowed` is items × levels.

    It learns nothing but keeps what was `earned`: its log is for others. `propensity` (items × levels) is the law by
    which it draws.
    """

    allowed: np.ndarray
    standing: np.ndarray
    steady: float = 0.4
    seed: int = 0
    propensity: np.ndarray = field(init=False)
    earned: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        alike = self.allowed / np.maximum(self.allowed.sum(axis=1, keepdims=True), 1)
        self.propensity = (1 - self.steady) * alike
        self.propensity[np.arange(len(self.standing)), self.standing] += self.steady
        self.propensity /= self.propensity.sum(axis=1, keepdims=True)

    def act(self) -> np.ndarray:
        below = np.cumsum(self.propensity, axis=1)
        return np.asarray((self.random.random((len(below), 1)) * below[:, -1:] >= below).sum(axis=1))

    def learn(self, action: np.ndarray, reward: np.ndarray, units: np.ndarray) -> None:
        self.earned.append(np.array(reward, float))


@dataclass(frozen=True)
class History:
    """What an explorer logged, days × items: level asked, its price, units and money; and the law of its draws."""

    level: np.ndarray
    price: np.ndarray
    units: np.ndarray
    reward: np.ndarray
    propensity: np.ndarray


def logged(explorer: Explorer, environment: Any, days: int, seed: int) -> History:
    """Lets an explorer act for `days` days of a vector environment and keeps its log."""
    told: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def keep(action: np.ndarray, info: dict[str, Any]) -> None:
        told.append((action.copy(), np.array(info["price"], float), np.array(info["units"], float)))

    first = len(explorer.earned)
    run(explorer, environment, days, seed, keep)
    level, price, units = (np.stack(part) for part in zip(*told, strict=True))
    return History(level, price, units, np.stack(explorer.earned[first:]), explorer.propensity)


def estimates(
    history: History, target: np.ndarray, log_ratio: np.ndarray, cost: np.ndarray, seed: int = 0, threads: int = 1
) -> pd.DataFrame:
    """What asking each item its level of `target` every day earns, an item and day, by each estimator of policy_value.

    `log_ratio` are the levels as logs of factors of a list price, `cost` each item's cost of a unit. Columns estimator,
    value, low, high, effective, why. Intervals are over weeks of the log, so that what a week's season and luck have in
    common stays together. The model of rewards is fitted on the other half of the weeks than it speaks about.
    """
    days, items = history.level.shape
    row = np.arange(items)
    list_price = history.price / np.exp(log_ratio)[history.level]
    asked = list_price * np.exp(log_ratio[target])
    told, wanted = _expected(history, asked, seed, threads)
    log = policy_value.Log(
        reward=history.reward.ravel(),
        propensity=history.propensity[row, history.level].ravel(),
        target=(history.level == target).astype(float).ravel(),
        predicted=((history.price - cost) * told).ravel(),
        expected=((asked - cost) * wanted).ravel(),
        unit=np.repeat(np.arange(days) // WEEK, items),
    )
    return policy_value.table(log, seed=seed)


def _expected(history: History, asked: np.ndarray, seed: int, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """Units expected at the prices of the log, and at others, days × items, by models that did not see the weeks."""
    days, items = history.level.shape
    rows = pd.DataFrame(
        {
            "item_id": np.tile(np.arange(items), days),
            "period": np.repeat(np.arange(days, dtype=float), items),
            "price": history.price.ravel(),
            "units": history.units.ravel(),
        }
    )
    told, wanted = np.zeros(len(rows)), np.zeros(len(rows))
    fold = rows["period"].to_numpy(int) // WEEK % FOLDS
    for one in range(FOLDS):
        test = fold == one
        model = DemandModel(QUICK, seed, threads).fit(rows[~test].reset_index(drop=True), forecasts=False)
        ahead = rows[test].drop(columns="units").reset_index(drop=True)
        told[test] = model.regress(ahead)
        wanted[test] = model.regress(ahead, asked.ravel()[test])
    return told.reshape(days, items), wanted.reshape(days, items)
