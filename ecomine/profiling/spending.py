"""How much an order is worth: the Gamma-Gamma model of spend (Fader, Hardie and Lee 2005; Colombo and Jiang 1999).

A customer's orders are gamma distributed with shape `p` and a rate of their own, which is gamma distributed over
customers with shape `q` and rate `gamma`.
"""

import numpy as np
from scipy import optimize, special

from ecomine.errors import NotEnoughDataError

NAMES = ("p", "q", "gamma")
LOG_BOUND = 14.0


def log_likelihood(theta: np.ndarray, orders: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the `mean` spend of a number of `orders`, and its gradient (a column a parameter)."""
    p, q, gamma = theta
    shape, total = p * orders, gamma + orders * mean
    value = special.gammaln(shape + q) - special.gammaln(shape) - special.gammaln(q) + q * np.log(gamma)
    value += (shape - 1) * np.log(mean) + shape * np.log(orders) - (shape + q) * np.log(total)
    joint = special.digamma(shape + q) - np.log(total)
    by_p = orders * (joint - special.digamma(shape) + np.log(mean * orders))
    by_q = joint - special.digamma(q) + np.log(gamma)
    by_gamma = q / gamma - (shape + q) / total
    return value, np.column_stack([by_p, by_q, by_gamma])


def fit(orders: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Maximum-likelihood p, q and gamma by L-BFGS-B on their logarithms, from customers with at least one order.

    Raises NotEnoughDataError for fewer than two customers.
    """
    if len(mean) < 2:
        raise NotEnoughDataError(f"{len(mean)} customers with spend above 0; at least two are needed to compare.")
    unit = float(np.median(mean))

    def loss(log_theta: np.ndarray) -> tuple[float, np.ndarray]:
        theta = np.exp(log_theta)
        value, gradient = log_likelihood(theta, orders, mean / unit)
        return -float(value.mean()), -gradient.mean(axis=0) * theta

    options = {"maxiter": 1000, "ftol": 1e-13, "gtol": 1e-8}
    found = optimize.minimize(
        loss, np.log([3.0, 3.0, 3.0]), jac=True, method="L-BFGS-B", bounds=[(-LOG_BOUND, LOG_BOUND)] * 3,
        options=options,
    )  # fmt: skip
    return np.asarray(np.exp(found.x) * [1.0, 1.0, unit])


def posterior(theta: np.ndarray, orders: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shape and rate of the gamma distribution of each customer's own rate; `mean` may be null where orders are 0."""
    p, q, gamma = theta
    return q + p * orders, gamma + np.where(orders > 0, orders * np.nan_to_num(mean), 0.0)


def expected(theta: np.ndarray, orders: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Expected money of an order; where the prior has no mean (q <= 1), shape is held just above 1."""
    shape, rate = posterior(theta, orders, mean)
    return np.asarray(theta[0] * rate / np.maximum(shape - 1, 0.05))
