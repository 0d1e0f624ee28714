"""Prices learnt by acting: Q-learning, SARSA and Thompson sampling on demand curves, for all items at once.

A learner chooses one of `levels` prices for each item each day, sees what each item earned, and learns. It works with
any vector environment whose actions are price levels, such as `ecomine/Pricing-v0` with `levels`. Explored is only
what the rules allow: `allowed` tells which levels each item may be asked at, and a step is never longer than `stride`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ecomine.pricing.params import PriceRules

CALM = 0.97
"""Weight of the past in the usual money of a day, by which a day's season and weather are taken out of rewards."""


class Learner(Protocol):
    """Chooses a level an item; is told of units and money. `best` is what it would ask if it explored no more."""

    def act(self) -> np.ndarray: ...

    def best(self) -> np.ndarray: ...

    def learn(self, action: np.ndarray, reward: np.ndarray, units: np.ndarray) -> None: ...


@dataclass
class Safety:
    """Which levels are allowed (items × levels), where prices stand now, and how many levels a day they may move.

    An item none of whose levels is allowed stays where it stands.
    """

    allowed: np.ndarray
    standing: np.ndarray
    stride: int

    @classmethod
    def of(
        cls, ratio: np.ndarray, cost_share: np.ndarray, rules: PriceRules, start: np.ndarray | int, stride: int = 2
    ) -> "Safety":
        """`ratio` are the levels as factors of the list price, `cost_share` each item's cost as a share of it;
        `start` the level where prices stand, or would if it were allowed.
        """
        low = -np.inf if rules.lowest is None else rules.lowest
        high = np.inf if rules.highest is None else rules.highest
        allowed = np.tile((ratio >= low - 1e-9) & (ratio <= high + 1e-9), (len(cost_share), 1))
        if rules.margin_floor is not None:
            allowed &= ratio * (1 - rules.margin_floor) >= cost_share[:, None] - 1e-9
        nearest = np.abs(np.arange(len(ratio)) - np.asarray(start).reshape(-1, 1)) + np.where(allowed, 0, len(ratio))
        return cls(allowed, nearest.argmin(axis=1), stride)

    def reachable(self) -> np.ndarray:
        """Levels that may be asked next."""
        near = np.abs(np.arange(self.allowed.shape[1]) - self.standing[:, None]) <= self.stride
        both = self.allowed & near
        both[~both.any(axis=1)] = near[~both.any(axis=1)] & (
            np.arange(self.allowed.shape[1]) == self.standing[~both.any(axis=1), None]
        )
        return both

    def towards(self, wish: np.ndarray) -> np.ndarray:
        """The reachable level next to the one wished for."""
        far = np.abs(np.arange(self.allowed.shape[1]) - wish[:, None]) + np.where(self.reachable(), 0, 10_000)
        self.standing = far.argmin(axis=1)
        return self.standing


@dataclass
class Table:
    """Tabular Q-learning, or SARSA with `on_policy`, one table an item: states are the levels asked last.

    Q(s, a) += (r + discount · Q'(s', ·) − Q(s, a)) · rate, where Q' is the greatest value, or that of the action really
    taken (SARSA). Rewards are divided by what the day earned against the usual. Explores by softmax over neighbours of
    the best level, less and less. Source: Sutton and Barto, Reinforcement Learning, 6.4 and 6.5.
    """

    safety: Safety
    scale: np.ndarray
    on_policy: bool = False
    discount: float = 0.2
    explore: float = 0.5
    decay_days: float = 60.0
    least_rate: float = 0.01
    seed: int = 0
    days: int = 0
    usual: float = 0.0
    value: np.ndarray = field(init=False)
    visits: np.ndarray = field(init=False)
    state: np.ndarray = field(init=False)
    pending: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def __post_init__(self) -> None:
        items, levels = self.safety.allowed.shape
        self.random = np.random.default_rng(self.seed)
        self.value, self.visits = np.zeros((items, levels, levels)), np.zeros((items, levels, levels))
        self.state = self.safety.standing.copy()

    def act(self) -> np.ndarray:
        row = np.arange(len(self.state))
        best = self.best()
        rate = self.explore / (1 + self.days / self.decay_days)
        levels = self.safety.allowed.shape[1]
        # Neighbours of the best are tried: what is far from it would cost more than it teaches.
        aside = best + self.random.integers(-2, 3, len(best))
        wish = np.where(self.random.random(len(best)) < rate, np.clip(aside, 0, levels - 1), best)
        action = self.safety.towards(wish)
        if self.on_policy and self.pending is not None:
            state, before, reward = self.pending
            self._update(state, before, reward, self.value[row, self.state, action])
        return action

    def best(self) -> np.ndarray:
        return np.asarray(np.where(self.safety.allowed, self.known(), -np.inf).argmax(axis=1))

    def known(self) -> np.ndarray:
        """What each level is worth, states pooled by their visits; unseen levels lie between their neighbours."""
        visits, total = self.visits.sum(axis=1), (self.visits * self.value).sum(axis=1)
        # A level is informed by its neighbours, which sell nearly as much: a kernel over the levels.
        levels = np.arange(visits.shape[1])
        near = np.exp(-0.5 * ((levels[:, None] - levels) / 1.0) ** 2)
        weight = visits @ near
        prior = 0.5
        return np.asarray((total @ near) / (weight + prior))

    def learn(self, action: np.ndarray, reward: np.ndarray, units: np.ndarray) -> None:
        day = float(reward.sum())
        self.usual = day if self.days == 0 else CALM * self.usual + (1 - CALM) * day
        told = reward / self.scale * np.clip(self.usual / day if day > 0 else 1.0, 0.5, 2.0)
        self.days += 1
        row = np.arange(len(action))
        if self.on_policy:
            self.pending = self.state.copy(), action, told
        else:
            ahead = np.where(self.safety.allowed, self.value[row, action], -np.inf)
            self._update(self.state, action, told, np.where(np.isfinite(ahead.max(axis=1)), ahead.max(axis=1), 0.0))
        self.state = action.copy()

    def _update(self, state: np.ndarray, action: np.ndarray, reward: np.ndarray, ahead: np.ndarray) -> None:
        row = np.arange(len(action))
        self.visits[row, state, action] += 1
        rate = np.maximum(1 / self.visits[row, state, action], self.least_rate)
        # Values are averages a day, so that a discount blends the next day in and does not add it.
        aim = (1 - self.discount) * reward + self.discount * ahead
        self.value[row, state, action] += rate * (aim - self.value[row, state, action])


@dataclass
class Thompson:
    """Thompson sampling on demand curves: units ~ Poisson(exp(level − elasticity · log ratio)), items in one stroke.

    Belief in (level, slope) is normal, brought up to date by one Newton step a day (Laplace) and widened a little
    (`level_drift`, `slope_drift`: standard deviations a day), for demand moves. Each day a curve is drawn from it, and
    the level asked that earns most on that curve. `usual_units` and `cost_share` (of the list price) are what the shop
    knows. Source: Chapelle and Li (2011); Ferreira, Simchi-Levi and Wang (2018) for prices.
    """

    safety: Safety
    log_ratio: np.ndarray
    cost_share: np.ndarray
    usual_units: np.ndarray
    slope: float = -2.0
    level_spread: float = 1.0
    slope_spread: float = 0.5
    level_drift: float = 0.03
    slope_drift: float = 0.004
    scatter: float = 1.3
    seed: int = 0
    mean: np.ndarray = field(init=False)
    precision: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        items = len(self.cost_share)
        self.random = np.random.default_rng(self.seed)
        self.mean = np.stack([np.log(np.maximum(self.usual_units, 1e-3)), np.full(items, self.slope)], axis=1)
        self.precision = np.zeros((items, 2, 2))
        self.precision[:, 0, 0], self.precision[:, 1, 1] = self.level_spread**-2, self.slope_spread**-2

    def act(self) -> np.ndarray:
        root = np.linalg.cholesky(np.linalg.inv(self.precision))
        drawn = self.mean + (root @ self.random.standard_normal((len(self.mean), 2, 1)))[..., 0]
        return self.safety.towards(self._best_at(drawn[:, 1]))

    def best(self) -> np.ndarray:
        return self._best_at(self.mean[:, 1])

    def _best_at(self, slope: np.ndarray) -> np.ndarray:
        """The allowed level that earns most where demand falls with `slope`."""
        fall = np.clip(slope, -6.0, -0.2)[:, None] * self.log_ratio
        profit = (np.exp(self.log_ratio) - self.cost_share[:, None]) * np.exp(fall)
        return np.asarray(np.where(self.safety.allowed, profit, -np.inf).argmax(axis=1))

    def learn(self, action: np.ndarray, reward: np.ndarray, units: np.ndarray) -> None:
        x = np.stack([np.ones(len(action)), self.log_ratio[action]], axis=1)
        eta = np.clip((self.mean * x).sum(axis=1), -12, 12)
        expected = np.exp(eta)
        # What moves all items alike, season and weekday, is taken out of the day.
        alike = np.clip((units.sum() + 1) / (expected.sum() + 1), 0.2, 5.0)
        mean = expected * alike
        # Season and rivals move the level day by day, and the slope hardly.
        drift = np.diag([self.level_drift**2, self.slope_drift**2])
        precision = (
            np.linalg.inv(np.linalg.inv(self.precision) + drift)
            + (mean / self.scatter)[:, None, None] * x[:, :, None] * x[:, None]
        )
        pull = ((units - mean) / self.scatter)[:, None] * x
        step = np.linalg.solve(precision, pull[..., None])[..., 0]
        self.mean = self.mean + np.clip(step, -1.0, 1.0)
        self.precision = precision


LEARNERS: dict[str, Callable[..., Learner]] = {
    "q_learning": lambda **known: Table(known["safety"], known["scale"], seed=known["seed"]),
    "sarsa": lambda **known: Table(known["safety"], known["scale"], on_policy=True, seed=known["seed"]),
    "thompson": lambda **known: Thompson(
        known["safety"], known["log_ratio"], known["cost_share"], known["usual_units"], seed=known["seed"]
    ),
}
"""By name; each is given safety, scale (usual money a day, by item), log_ratio, cost_share, usual_units and seed."""


class Actor(Protocol):
    """What `run` lets act: a learner, or one that only explores."""

    def act(self) -> np.ndarray: ...

    def learn(self, action: np.ndarray, reward: np.ndarray, units: np.ndarray) -> None: ...


def run(
    learner: Actor, environment: Any, days: int, seed: int, each_day: Callable[[np.ndarray, dict[str, Any]], None]
) -> None:
    """Lets a learner act for `days` days of a vector environment; `each_day` sees the levels and what was told."""
    environment.reset(seed=seed)
    for _ in range(days):
        action = learner.act()
        _, reward, _, ended, info = environment.step(action)
        learner.learn(action, reward, info["units"])
        each_day(action, info)
        if ended.any():
            # The step after an end only begins the next episode, whatever the action.
            environment.step(action)
