"""Hierarchical log-log regression: each item's slopes, shrunk towards those of its category and brand.

log(units) = level of item and place + Σ slopes_item · x, slopes_item ~ Normal(all + category + brand, spread). How far
items differ is learnt from the data (empirical Bayes), so that an item of few sales takes its category's slopes and one
of many keeps its own. All items are fitted at once by sums over rows.
"""

from dataclasses import dataclass

import numpy as np

from ecomine.pricing import likelihood

EM_ROUNDS = 25
SETTLED = 0.002
"""Rounds end when slopes and spreads move less."""

LEAST_SPREAD = 0.02
FIRST_SPREAD = 0.5
MOST_STEP = 2.0
ROWS_AT_ONCE = 50_000


@dataclass(frozen=True)
class Groups:
    """Codes of the category and brand of each item."""

    category: np.ndarray
    brand: np.ndarray


@dataclass(frozen=True)
class Slopes:
    """Slopes of each item (items × columns) and how sure they are.

    `deviation` is the posterior standard deviation, `prior` what category and brand say, with `prior_deviation` for an
    item of which nothing is known; `own_share` is the share of the estimate that comes from the item's own data.
    """

    value: np.ndarray
    deviation: np.ndarray
    prior: np.ndarray
    prior_deviation: np.ndarray
    own_share: np.ndarray
    level: np.ndarray
    dispersion: np.ndarray
    filled: np.ndarray
    scatter: float


@dataclass
class Hierarchy:
    """What is believed of slopes before an item's data: mean of all, deviations of categories and brands, spreads."""

    mean: np.ndarray
    category: np.ndarray
    brand: np.ndarray
    spread: np.ndarray
    category_spread: np.ndarray
    brand_spread: np.ndarray

    @classmethod
    def start(cls, groups: Groups, columns: int) -> "Hierarchy":
        categories, brands = groups.category.max() + 1, groups.brand.max() + 1
        spread = np.full(columns, FIRST_SPREAD)
        return cls(
            np.zeros(columns), np.zeros((categories, columns)), np.zeros((brands, columns)),
            spread, spread.copy(), spread.copy(),
        )  # fmt: skip

    def prior(self, groups: Groups) -> np.ndarray:
        return self.mean + self.category[groups.category] + self.brand[groups.brand]

    def prior_variance(self, groups: Groups) -> np.ndarray:
        """Of an item of which nothing is known: the spread of items and what is not known of its category."""
        size = np.bincount(groups.category)[groups.category, None]
        unsure = 1.0 / (1.0 / np.maximum(self.category_spread**2, 1e-12) + size / self.spread**2)
        return self.spread**2 + unsure

    def learn(self, value: np.ndarray, variance: np.ndarray, groups: Groups) -> None:
        """One step of expectation and maximisation from the items' posterior means and variances."""
        self.mean = (value - self.category[groups.category] - self.brand[groups.brand]).mean(axis=0)
        self.category, self.category_spread = self._level(
            value - self.mean - self.brand[groups.brand], groups.category, self.category_spread
        )
        self.brand, self.brand_spread = self._level(
            value - self.mean - self.category[groups.category], groups.brand, self.brand_spread
        )
        # Where an item is a category of its own, its spread and the category's are one.
        off = ((value - self.prior(groups)) ** 2).sum(axis=0)
        # MacKay's (1992) fixed point: where data say little, it gets there in a few rounds, the plain step in hundreds.
        heard = np.maximum(1 - variance / self.spread**2, 1e-3).sum(axis=0)
        self.spread = np.clip(np.sqrt(off / heard), LEAST_SPREAD, 1.5 * self.spread)

    def _level(self, left: np.ndarray, code: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count = np.bincount(code)
        if len(count) == 1:
            return np.zeros((1, left.shape[1])), np.zeros(left.shape[1])
        total = by_code(code, left, len(count))
        precision = count[:, None] / self.spread**2 + 1 / np.maximum(spread, 1e-6) ** 2
        effect = total / self.spread**2 / precision
        return effect, np.maximum(np.sqrt((effect**2 + 1 / precision).mean(axis=0)), 1e-3)


def fit(
    kind: str, units: np.ndarray, censored: np.ndarray, series: np.ndarray, item: np.ndarray, values: np.ndarray,
    groups: Groups, count: int, spell: np.ndarray, offset: np.ndarray | float = 0.0,
) -> Slopes:  # fmt: skip
    """Slopes of all items. `values` are rows × columns; `series` and `item` are codes, and
    rows are sorted by them; `count` is the number of series.

    `spell` codes rows that share what is special about a while; `offset` is added to the predictor as it is.

    Newton's method on the penalised likelihood inside expectation and maximisation. Source: Gelman and Hill, Data
    Analysis Using Regression and Multilevel/Hierarchical Models, 12; Laplace's approximation for counts.
    """
    items, columns = len(groups.category), values.shape[1]
    believed = Hierarchy.start(groups, columns)
    slope = np.zeros((items, columns))
    dispersion, scatter = np.ones(items), 1.0
    state: likelihood.Fitted | None = None
    for turn in range(EM_ROUNDS):
        eta = np.einsum("ij,ij->i", values, slope[item]) + offset
        state = likelihood.fitted(kind, units, censored, series, count, eta, state, scatter)
        score, complete, information = sums(values, state, series, item, items, count, censored)
        if turn:
            dispersion, scatter = _dispersion(kind, state, item, items, spell, count, censored)
        information /= dispersion[:, None, None]
        complete /= dispersion[:, None, None]
        score /= dispersion[:, None]
        prior, precision = believed.prior(groups), 1 / believed.spread**2
        posterior, curve = (matrix + np.eye(columns) * precision for matrix in (information, complete))
        step = np.linalg.solve(curve, (score - precision * (slope - prior))[..., None])[..., 0]
        slope = slope + np.clip(step, -MOST_STEP, MOST_STEP)
        variance = np.diagonal(np.linalg.inv(posterior), axis1=1, axis2=2)
        spread = believed.spread
        believed.learn(slope, variance, groups)
        if turn > 2 and max(np.abs(step).max(), np.abs(believed.spread / spread - 1).max()) < SETTLED:
            break
    assert state is not None
    eta = np.einsum("ij,ij->i", values, slope[item]) + offset
    state = likelihood.fitted(kind, units, censored, series, count, eta, state, scatter)
    prior_variance = believed.prior_variance(groups)
    return Slopes(
        slope, np.sqrt(variance), believed.prior(groups), np.sqrt(prior_variance),
        np.clip(1 - variance / believed.spread**2, 0, 1), state.level, dispersion, state.filled, scatter,
    )  # fmt: skip


def sums(
    values: np.ndarray, state: likelihood.Fitted, series: np.ndarray, item: np.ndarray, items: int, count: int,
    censored: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Score (items × columns), and information (items × columns × columns) with and without what was filled in.

    Intercepts of series are profiled out. Steps need the first, or they would overshoot; how sure one is the second.
    """
    columns = values.shape[1]
    weight = np.maximum(np.bincount(series, state.weight, minlength=count), 1e-300)
    mean = by_code(series, values * state.weight[:, None], count) / weight[:, None]
    upper = np.triu_indices(columns)
    score = np.zeros((items, columns))
    half, told = np.zeros((items, len(upper[0]))), np.zeros((items, len(upper[0])))
    for first in range(0, len(item), ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        begins = np.flatnonzero(np.diff(item[rows], prepend=-1))
        inner = values[rows] - mean[series[rows]]
        # What a stock-out hid is no information, however it is filled in.
        product = state.weight[rows, None] * inner[:, upper[0]] * inner[:, upper[1]]
        pull = inner * (state.weight[rows] * state.residual[rows])[:, None]
        code = item[rows][begins]
        score[code] += np.add.reduceat(pull, begins)
        half[code] += np.add.reduceat(product, begins)
        told[code] += np.add.reduceat(product * ~censored[rows, None], begins)
    return score, _square(half, columns), _square(told, columns)


def _square(half: np.ndarray, columns: int) -> np.ndarray:
    """Symmetric matrices from their upper halves."""
    upper = np.triu_indices(columns)
    matrix = np.empty((len(half), columns, columns))
    matrix[:, upper[0], upper[1]] = matrix[:, upper[1], upper[0]] = half
    return matrix


def by_code(code: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Sums of the rows of `values` by code."""
    return np.column_stack([np.bincount(code, values[:, j], minlength=count) for j in range(values.shape[1])])


def spells(series: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Codes of the stretches of rows in which a series keeps its price.

    >>> spells(np.array([0, 0, 0, 1]), np.array([2.0, 2.0, 3.0, 3.0])).tolist()
    [0, 0, 1, 2]
    """
    same = (series[1:] == series[:-1]) & (np.abs(price[1:] - price[:-1]) < 1e-9)
    return np.concatenate([[0], np.cumsum(~same)])


def _dispersion(
    kind: str, state: likelihood.Fitted, item: np.ndarray, items: int, spell: np.ndarray, count: int,
    censored: np.ndarray,
) -> tuple[np.ndarray, float]:  # fmt: skip
    """Residual variance over the likelihood's own, item by item and drawn towards all, and that of single rows.

    What is special about some weeks lasts as long as a price does, so that it is spells whose residuals are
    independent, not rows: the variance is that of sums over spells.
    """
    told = ~censored
    one = item[told][np.unique(spell[told], return_index=True)[1]]
    weight, pull = state.weight[told], (state.weight * state.residual)[told]
    code = np.unique(spell[told], return_inverse=True)[1]
    squares = np.bincount(code, pull) ** 2 / np.bincount(code, weight)
    keep = max(1 - count / max(len(one), 1), 0.1)
    total, free = np.bincount(one, squares, minlength=items), np.bincount(one, minlength=items) * keep
    rows = float((pull**2 / weight).sum() / max(told.sum() - count, 1))
    # Counts that scatter less than Poisson ones do so by chance.
    least = 1.0 if kind == likelihood.COUNTS else 1e-9
    overall = max(total.sum() / max(free.sum(), 1.0), least)
    return np.maximum((total + 30 * overall) / (free + 30), least), max(rows, least)
