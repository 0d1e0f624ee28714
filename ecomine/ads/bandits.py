"""Which campaign to show to whom, learnt by showing: LinUCB and Thompson sampling, for many people in one stroke.

Both keep, for each arm, a ridge regression of the reward on the context. `chances` gives the probability with which
each arm would be shown, people × arms; `choose` draws from them, so that the propensity that is logged is exactly the
one that was drawn with. A small share `explore` is drawn evenly, so that no allowed arm has a propensity of 0.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ecomine.errors import FeatureError

BLOCK = 20_000
"""People whose draws are in memory together."""


@dataclass
class LinearArms:
    """What is known of each arm: precision (arms × columns × columns) and reward sums (arms × columns)."""

    arms: int
    columns: int
    ridge: float = 1.0
    explore: float = 0.02
    seed: int = 0
    precision: np.ndarray = field(init=False)
    sums: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.precision = np.tile(self.ridge * np.eye(self.columns), (self.arms, 1, 1))
        self.sums = np.zeros((self.arms, self.columns))
        self.random = np.random.default_rng(self.seed)

    def learn(self, context: np.ndarray, arm: np.ndarray, reward: np.ndarray) -> None:
        """Contexts (rows × columns), what was shown and what it earned; arms of -1 (nothing shown) teach nothing."""
        context, arm, reward = self._checked(context), np.asarray(arm), np.asarray(reward, float)
        for number in range(self.arms):
            rows = context[arm == number]
            self.precision[number] += rows.T @ rows
            self.sums[number] += rows.T @ reward[arm == number]

    @property
    def mean(self) -> np.ndarray:
        """Coefficients, arms × columns."""
        return np.asarray(np.linalg.solve(self.precision, self.sums[..., None])[..., 0])

    def chances(self, context: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
        """People × arms; a row without an allowed arm is all 0."""
        context = self._checked(context)
        may = np.ones((len(context), self.arms), bool) if allowed is None else np.asarray(allowed, bool)
        if may.shape != (len(context), self.arms):
            raise FeatureError(f"`allowed` is {may.shape}; expected {(len(context), self.arms)}, people × arms.")
        best = np.concatenate(
            [
                self._best(context[start : start + BLOCK], may[start : start + BLOCK])
                for start in range(0, len(context), BLOCK)
            ]
            or [np.zeros((0, self.arms))]
        )
        even = may / np.maximum(may.sum(axis=1, keepdims=True), 1)
        return np.asarray(np.where(may.any(axis=1, keepdims=True), (1 - self.explore) * best + self.explore * even, 0))

    def choose(self, context: np.ndarray, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The arm of each person (-1 where none is allowed) and its propensity."""
        chance = self.chances(context, allowed)
        total = np.cumsum(chance, axis=1)
        drawn = self.random.random(len(chance))[:, None] * total[:, -1:]
        arm = np.minimum((drawn >= total).sum(axis=1), self.arms - 1)
        some = total[:, -1] > 0
        row = np.arange(len(chance))
        return np.where(some, arm, -1), np.where(some, chance[row, arm], 0.0)

    def _best(self, context: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        """Share of the time that each allowed arm is the best by the learner's lights."""
        raise NotImplementedError

    def _checked(self, context: np.ndarray) -> np.ndarray:
        values = np.atleast_2d(np.asarray(context, float))
        if values.shape[1] != self.columns:
            raise FeatureError(f"A context has {values.shape[1]} columns; this bandit was made for {self.columns}.")
        return values


@dataclass
class LinUCB(LinearArms):
    """Shows the arm whose expected reward plus `alpha` of its standard error is greatest (Li et al. 2010, Alg. 1)."""

    alpha: float = 0.3

    def _best(self, context: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        inverse = np.linalg.inv(self.precision)
        error = np.sqrt(np.maximum(np.einsum("ni,aij,nj->na", context, inverse, context, optimize=True), 0.0))
        bound = np.where(allowed, context @ self.mean.T + self.alpha * error, -np.inf)
        best = np.zeros(bound.shape)
        best[np.arange(len(bound)), bound.argmax(axis=1)] = 1.0
        return best


@dataclass
class LinThompson(LinearArms):
    """Shows each arm as often as it is the best of rewards drawn from what is believed (Agrawal and Goyal 2013).

    `noise` is the standard deviation of a reward around its expectation; the chances are those of `draws` draws.
    """

    noise: float = 0.3
    draws: int = 50

    def _best(self, context: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        inverse = np.linalg.inv(self.precision)
        error = np.sqrt(np.maximum(np.einsum("ni,aij,nj->na", context, inverse, context, optimize=True), 0.0))
        mean, count = context @ self.mean.T, np.zeros((len(context), self.arms))
        row = np.arange(len(context))
        for _ in range(self.draws):
            drawn = mean + self.noise * error * self.random.standard_normal(mean.shape)
            count[row, np.where(allowed, drawn, -np.inf).argmax(axis=1)] += 1
        return count / self.draws


BANDITS: dict[str, Callable[..., LinearArms]] = {"linucb": LinUCB, "thompson": LinThompson}
