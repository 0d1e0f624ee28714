"""When somebody buys and when they stop: buy-till-you-die models, in which nobody says goodbye.

A customer is told by `x` (purchases after the first), `t_x` (time from the first to the last purchase) and `age` (time
from the first purchase to now), all times in the same unit. While alive, they buy at a rate of their own, gamma
distributed over customers; when they stop is what the models differ in. Each model gives its log-likelihood with
analytic gradients, the probability of being alive, and the exact distribution of the purchases to come:
`tail(…, m)` = P(X(now, now + horizon) >= m), whose sum over m >= 1 is the expected number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from scipy import optimize, special

from ecomine.errors import NotEnoughDataError

LOG_BOUND = 12.0
"""Parameters stay within exp(±12); where the likelihood is flat, as when nobody ever stops, they would run away."""


class BuyingModel(Protocol):
    """What every buy-till-you-die model can do; `theta` holds the parameters in the order of `names`."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def start(self) -> tuple[float, ...]: ...

    def log_likelihood(
        self, theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, age: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]: ...
    def alive(self, theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, age: np.ndarray) -> np.ndarray: ...
    def tail(
        self, theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, age: np.ndarray, horizon: float, m: np.ndarray
    ) -> np.ndarray: ...
    def gap_likelihood(self, log_gaps: float, repeats: float) -> float: ...


@dataclass(frozen=True)
class BetaGeometric:
    """Somebody stops after a purchase, with a probability of their own (beta distributed over customers).

    BG/NBD (Fader, Hardie and Lee 2005): `k` = 1, nobody stops at their first purchase. MBG/CNBD-k (Platzer and
    Reutterer 2016): gaps are Erlang-k distributed, regular for k > 1, and the first purchase may be the last. The
    likelihood leaves out what depends on `k` and the gaps alone, which `gap_likelihood` has.
    """

    k: int = 1
    stops_at_first: bool = False
    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "a", "b")
    start: ClassVar[tuple[float, ...]] = (1.0, 1.0, 1.0, 1.0)

    def _parts(
        self, theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, age: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logarithms of the likelihood's parts: alive and in stage j of a gap (k columns), and stopped."""
        r, alpha, a, b = theta
        chances = x + self.stops_at_first
        ticks = r + self.k * x
        stages = np.arange(self.k)
        with np.errstate(divide="ignore"):
            # log(0) is -inf, as it should be: nobody gets past the first stage in no time.
            waited = np.log(age - t_x)[:, None]
        powers = np.concatenate([np.zeros((len(x), 1)), stages[1:] * waited], axis=1) - special.gammaln(stages + 1)
        living = powers + special.gammaln(ticks[:, None] + stages)
        living -= (ticks[:, None] + stages) * np.log(alpha + age)[:, None]
        living += special.betaln(a, b + chances)[:, None]
        stopped = special.betaln(a + 1, np.maximum(b + chances - 1, 1e-300))
        stopped += special.gammaln(ticks) - ticks * np.log(alpha + t_x)
        return living, np.where(chances > 0, stopped, -np.inf), ticks

    def log_likelihood(
        self, theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, age: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of each customer, and its gradient (a column a parameter)."""
        r, alpha, a, b = theta
        living, stopped, ticks = self._parts(theta, x, t_x, age)
        parts = np.column_stack([living, stopped])
        top = parts.max(axis=1)
        weight = np.exp(parts - top[:, None])
        total = weight.sum(axis=1)
        weight /= total[:, None]
        value = top + np.log(total) + r * np.log(alpha) - special.gammaln(r) - special.betaln(a, b)
        alive, dead = weight[:, :-1], weight[:, -1]
        living_share = alive.sum(axis=1)
        counts = ticks[:, None] + np.arange(self.k)
        chances = x + self.stops_at_first
        by_r = (alive * special.digamma(counts)).sum(axis=1) - living_share * np.log(alpha + age)
        by_r += dead * (special.digamma(ticks) - np.log(alpha + t_x)) + np.log(alpha) - special.digamma(r)
        by_alpha = r / alpha - (alive * counts).sum(axis=1) / (alpha + age) - dead * ticks / (alpha + t_x)
        whole = special.digamma(a + b) - special.digamma(a + b + chances)
        by_a = whole - special.digamma(a) + living_share * special.digamma(a) + dead * special.digamma(a + 1)
        by_b = whole - special.digamma(b) + living_share * special.digamma(b + chances)
        # The weight of having stopped is 0 where there was no chance to.
        by_b += dead * special.digamma(np.maximum(b + chances - 1, 1e-12))
        return value, np.column_stack([by_r, by_alpha, by_a, by_b])

    def gap_likelihood(self, log_gaps: float, repeats: float) -> float:
        """What the gaps add to the log-likelihood whatever the parameters, from the sum of their logarithms."""
        return float((self.k - 1) * log_gaps - repeats * special.gammaln(self.k))

    def _stages(
        self, theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, age: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Posterior probability of being alive in each stage of a gap, and of having stopped."""
        living, stopped, _ = self._parts(theta, x, t_x, age)
        parts = np.column_stack([living, stopped])
        weight = np.exp(parts - parts.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        return weight[:, :-1], weight[:, -1]

    def alive(self, theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, age: np.ndarray) -> np.ndarray:
        """Probability of not having stopped."""
        return np.asarray(self._stages(theta, x, t_x, age)[0].sum(axis=1))

    def tail(
        self, theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, age: np.ndarray, horizon: float, m: np.ndarray
    ) -> np.ndarray:
        """P(X >= m), a row a customer, a column a number in `m`.

        In stage j, m purchases need k·m − j ticks of a clock whose count over the horizon is negative binomial; a
        customer gets that far who does not stop at the m − 1 purchases between.
        """
        r, alpha, a, b = theta
        stages, _ = self._stages(theta, x, t_x, age)
        share = (horizon / (alpha + age + horizon))[:, None]
        chances = (x + self.stops_at_first)[:, None]
        stays = np.exp(special.betaln(a, b + chances + m - 1) - special.betaln(a, b + chances))
        reached = np.zeros((len(x), len(m)))
        for stage in range(self.k):
            ticks = (r + self.k * x + stage)[:, None]
            reached += stages[:, [stage]] * special.betainc(self.k * m - stage, ticks, share)
        return np.asarray(reached * stays)


@dataclass(frozen=True)
class Pareto:
    """Pareto/NBD (Schmittlein, Morrison and Colombo 1987): somebody may stop at any moment.

    The integral over the moment of stopping is done by Gauss-Legendre quadrature in log time, which is exact to many
    digits, needs no hypergeometric function and gives simple gradients.
    """

    nodes: int = 32
    tail_nodes: int = 12
    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "s", "beta")
    start: ClassVar[tuple[float, ...]] = (1.0, 1.0, 1.0, 1.0)

    def _parts(
        self, theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, age: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logarithms of the likelihood's parts (columns), alive first, then stopped at each node; and the nodes."""
        r, alpha, s, beta = theta
        place, width = np.polynomial.legendre.leggauss(self.nodes)
        half = ((age - t_x) / 2)[:, None]
        moment = t_x[:, None] + half * (place + 1)
        bought = (r + x)[:, None]
        with np.errstate(divide="ignore"):
            dying = np.log(half * width) + np.log(s) - bought * np.log(alpha + moment) - (s + 1) * np.log(beta + moment)
        living = -(r + x) * np.log(alpha + age) - s * np.log(beta + age)
        return np.column_stack([living, dying]), np.column_stack([age, moment])

    def log_likelihood(
        self, theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, age: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of each customer, and its gradient (a column a parameter)."""
        r, alpha, s, beta = theta
        parts, moment = self._parts(theta, x, t_x, age)
        top = parts.max(axis=1)
        weight = np.exp(parts - top[:, None])
        total = weight.sum(axis=1)
        weight /= total[:, None]
        value = top + np.log(total) + special.gammaln(r + x) - special.gammaln(r)
        value += r * np.log(alpha) + s * np.log(beta)
        dead = 1.0 - weight[:, 0]
        by_r = special.digamma(r + x) - special.digamma(r) + np.log(alpha)
        by_r -= (weight * np.log(alpha + moment)).sum(axis=1)
        by_alpha = r / alpha - (r + x) * (weight / (alpha + moment)).sum(axis=1)
        by_s = np.log(beta) - (weight * np.log(beta + moment)).sum(axis=1) + dead / s
        shrunk = weight / (beta + moment)
        by_beta = s / beta - (s + 1) * shrunk.sum(axis=1) + shrunk[:, 0]
        return value, np.column_stack([by_r, by_alpha, by_s, by_beta])

    def alive(self, theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, age: np.ndarray) -> np.ndarray:
        """Probability of not having stopped."""
        parts, _ = self._parts(theta, x, t_x, age)
        weight = np.exp(parts - parts.max(axis=1, keepdims=True))
        return np.asarray(weight[:, 0] / weight.sum(axis=1))

    def tail(
        self, theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, age: np.ndarray, horizon: float, m: np.ndarray
    ) -> np.ndarray:
        """P(X >= m), a row a customer, a column a number in `m`; integrated over the moment of stopping."""
        r, alpha, s, beta = theta
        place, width = np.polynomial.legendre.leggauss(self.tail_nodes)
        moments = horizon * (place + 1) / 2
        lasting = (beta + age) / (beta + age + horizon)
        reached = lasting[:, None] ** s * _negative_binomial_tail(r + x, alpha + age, horizon, m)
        for moment, part in zip(moments, width * horizon / 2, strict=True):
            density = s / (beta + age + moment) * ((beta + age) / (beta + age + moment)) ** s
            reached += (part * density)[:, None] * _negative_binomial_tail(r + x, alpha + age, moment, m)
        return np.asarray(reached * self.alive(theta, x, t_x, age)[:, None])

    def gap_likelihood(self, log_gaps: float, repeats: float) -> float:
        """Nothing: gaps are exponentially distributed."""
        return 0.0


def _negative_binomial_tail(shape: np.ndarray, rate: np.ndarray, time: float, m: np.ndarray) -> np.ndarray:
    return np.asarray(special.betainc(m, shape[:, None], (time / (rate + time))[:, None]))


MODELS: dict[str, Callable[[], tuple[BuyingModel, ...]]] = {
    "bg_nbd": lambda: (BetaGeometric(),),
    "pareto_nbd": lambda: (Pareto(),),
    "mbg_cnbd_k": lambda: tuple(BetaGeometric(k, True) for k in range(1, 13)),
}
"""The models on offer; where there are several, they differ in k alone, and the likelihood chooses."""


def fit(
    model: BuyingModel, x: np.ndarray, t_x: np.ndarray, age: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, float]:
    """Maximum-likelihood parameters and the log-likelihood, of customers with `weight` (how often each occurs).

    L-BFGS-B on the logarithms of the parameters. Raises NotEnoughDataError where nobody bought twice.
    """
    if len(x) == 0 or x.max() < 1:
        raise NotEnoughDataError(
            f"{int(weight.sum()):,} customers, none of whom bought twice; a rate of buying needs repeat purchases. "
            "Bring a longer history."
        )
    total = weight.sum()

    def loss(log_theta: np.ndarray) -> tuple[float, np.ndarray]:
        theta = np.exp(log_theta)
        value, gradient = model.log_likelihood(theta, x, t_x, age)
        return -float(weight @ value) / total, -(weight @ gradient) * theta / total

    unit = max(float(age.mean()), 1e-9)
    # A rate is counted against time, so its starting value must be of the size of the ages.
    begin = np.log(
        [
            value * unit if name in ("alpha", "beta") else value
            for name, value in zip(model.names, model.start, strict=True)
        ]
    )
    bounds = [(-LOG_BOUND, LOG_BOUND)] * len(begin)
    options = {"maxiter": 1000, "ftol": 1e-13, "gtol": 1e-8}
    found = optimize.minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.exp(found.x), -float(found.fun) * total


def terms(model: BuyingModel, theta: np.ndarray, x: np.ndarray, age: np.ndarray, horizon: float) -> np.ndarray:
    """How many purchases at most need be considered in the horizon: mean and eight deviations, were all alive."""
    r, alpha = theta[:2]
    k = getattr(model, "k", 1)
    mean = (r + k * x) / (alpha + age) * horizon
    deviation = np.sqrt(mean * (1 + horizon / (alpha + age)))
    return np.asarray(np.ceil((mean + 8 * deviation) / k + 12), np.int64)
