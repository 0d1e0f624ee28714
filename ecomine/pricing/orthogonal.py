"""Double machine learning of price elasticities: what is left of units on what is left of prices.

Season, promotions and rivals move price and demand together. Two models foretell from them the price, and the units
apart from the price; each is asked only about stretches of time that it has not seen (cross-fitting). What the price
does beyond its forecast is as good as an experiment, and the slope on it is right even where both models are a little
wrong. Source: Chernozhukov and others (2018), Double/debiased machine learning; partially linear model, in logs or for
counts with a log link.
"""

from dataclasses import dataclass

import numpy as np

from ecomine.pricing import likelihood, regression
from ecomine.pricing.params import DemandParams

BINS = 64
STRETCHES = 4


@dataclass(frozen=True)
class Nuisance:
    """What the confounders foretell of each row: `price` (log ratio to the usual) and `units` (log, no intercept)."""

    price: np.ndarray
    units: np.ndarray


def folds(period: np.ndarray, count: int) -> np.ndarray:
    """The fold of each row: STRETCHES stretches of time a fold, in turn, so that none lies far outside the others.

    >>> folds(np.arange(8), 2).tolist()
    [0, 1, 0, 1, 0, 1, 0, 1]
    """
    rank = np.unique(period, return_inverse=True)[1]
    return np.asarray(rank * count * STRETCHES // max(rank.max() + 1, 1) % count)


def double_ml(
    kind: str, slopes: regression.Slopes, values: np.ndarray, period: np.ndarray, series: np.ndarray,
    item: np.ndarray, units: np.ndarray, censored: np.ndarray, groups: regression.Groups, count: int,
    params: DemandParams, seed: int, threads: int,
) -> regression.Slopes:  # fmt: skip
    """Slopes of one column, the own price, of all items; `slopes` of a regression on `values` is where it starts.

    The first column of `values` is the own price, the others are confounders.
    """
    hidden = nuisance(kind, slopes, values, period, series, item, groups, params, seed, threads)
    left = values[:, 0] - hidden.price
    spell = regression.spells(series, values[:, 0])
    offset = hidden.units + slopes.value[item, 0] * hidden.price
    return regression.fit(kind, units, censored, series, item, left[:, None], groups, count, spell, offset)


def nuisance(
    kind: str, slopes: regression.Slopes, values: np.ndarray, period: np.ndarray, series: np.ndarray,
    item: np.ndarray, groups: regression.Groups, params: DemandParams, seed: int, threads: int,
) -> Nuisance:  # fmt: skip
    """Both forecasts, cross-fitted."""
    import xgboost

    own, others = values[:, 0], values[:, 1:]
    size = np.maximum(np.bincount(series), 1)
    usual = (np.bincount(series, own) / size)[series]
    seen = np.column_stack([others, groups.category[item], groups.brand[item]]).astype(np.float32)
    # A number that tells items apart would let the trees learn each item's list price by heart, and take it away.
    # The regression's own confounders are where the forecast of units starts; trees add what is not linear.
    linear = np.einsum("ij,ij->i", others, slopes.value[item, 1:])
    margin = slopes.level[series] + slopes.value[item, 0] * own + linear
    log = kind == likelihood.LOG
    target = np.log(np.maximum(slopes.filled, 0.5)) if log else slopes.filled
    shape = {
        "max_depth": 5, "eta": 0.1, "min_child_weight": 20, "subsample": 0.8, "max_bin": BINS,
        "nthread": threads, "seed": seed, "tree_method": "hist",
    }  # fmt: skip
    price, expected = np.zeros(len(own)), np.zeros(len(own))
    fold = folds(period, params.folds)
    for one in range(params.folds):
        train, test = np.flatnonzero(fold != one), np.flatnonzero(fold == one)
        if not len(train) or not len(test):
            continue
        data = xgboost.QuantileDMatrix(seen[train], (own - usual)[train], max_bin=BINS, nthread=threads)
        trees = xgboost.train({**shape, "objective": "reg:squarederror"}, data, params.nuisance_rounds)
        price[test] = trees.inplace_predict(seen[test]) + usual[test]
        objective = "reg:squarederror" if log else "count:poisson"
        data = xgboost.QuantileDMatrix(
            seen[train], target[train], base_margin=margin[train], max_bin=BINS, nthread=threads
        )
        trees = xgboost.train({**shape, "objective": objective}, data, params.nuisance_rounds)
        expected[test] = trees.inplace_predict(
            seen[test], base_margin=margin[test].astype(np.float32), predict_type="margin"
        )
    return Nuisance(price, expected - slopes.level[series] - slopes.value[item, 0] * own)


def naive(units: np.ndarray, own: np.ndarray, item: np.ndarray, items: int) -> np.ndarray:
    """The slope of log units on log price of each item over the rows with a sale, nothing held fixed; null if none."""
    sold = units > 0
    y, x, code = np.log(units[sold]), own[sold], item[sold]
    size = np.maximum(np.bincount(code, minlength=items), 1)
    dx = x - (np.bincount(code, x, minlength=items) / size)[code]
    dy = y - (np.bincount(code, y, minlength=items) / size)[code]
    square = np.bincount(code, dx * dx, minlength=items)
    return np.where(square > 1e-9, np.bincount(code, dx * dy, minlength=items) / np.maximum(square, 1e-9), np.nan)
