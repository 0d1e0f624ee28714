"""Forecast of demand: XGBoost on top of the hierarchical regression, never rising with the own price.

Trees start from what the regression expects and see what it cannot: recent residuals, last year's, earlier prices,
curvature and interactions. Each training row pretends to lie a random number of periods ahead and sees only what was
known then, so that one model forecasts all distances up to the horizon.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecomine.pricing import history, likelihood, panel, regression
from ecomine.pricing.params import DemandParams

BINS = 128
PATIENCE = 30
FILE = "forecast.ubj"
AFTER = (*history.FEATURES, "ahead", "level", "elasticity", "category", "brand", "item")
"""What the trees see beside the columns of the regression, see `design`."""


@dataclass
class Forecast:
    """The fitted trees."""

    booster: Any
    horizon: int

    def __post_init__(self) -> None:
        # A few rows are sooner done by one thread than by several that wait for each other. It is set here, once: a
        # booster whose settings change while another thread predicts with it fails that thread.
        self.booster.set_param({"nthread": 1})

    def predict(
        self, kind: str, past: history.Past, eta: np.ndarray, values: np.ndarray, ahead: panel.Panel,
        slopes: regression.Slopes, known: panel.Series, year: float,
    ) -> np.ndarray:  # fmt: skip
        """Expected units of rows in the panel's order."""
        import xgboost

        seen = self._seen(kind, past, eta, values, ahead, slopes, known, year)
        log = self.booster.predict(xgboost.DMatrix(seen, base_margin=eta, nthread=1), output_margin=True)
        return np.exp(log.astype(float))

    def contributions(
        self, kind: str, past: history.Past, eta: np.ndarray, values: np.ndarray, ahead: panel.Panel,
        slopes: regression.Slopes, known: panel.Series, year: float,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """What each column adds to the log of what the regression expects, rows × columns of `design`, and `design`."""
        import xgboost

        seen = self._seen(kind, past, eta, values, ahead, slopes, known, year)
        data = xgboost.DMatrix(seen, base_margin=eta, nthread=1)
        return np.asarray(self.booster.predict(data, pred_contribs=True)[:, :-1], float), seen

    @staticmethod
    def _seen(
        kind: str, past: history.Past, eta: np.ndarray, values: np.ndarray, ahead: panel.Panel,
        slopes: regression.Slopes, known: panel.Series, year: float,
    ) -> np.ndarray:  # fmt: skip
        distance = np.maximum(ahead.period - past.period.max(), 1.0)
        return design(
            kind, past, ahead.series, ahead.item, ahead.period, ahead.planned, values, distance, eta, slopes, known,
            year,
        )  # fmt: skip

    def save(self, folder: Path) -> None:
        self.booster.save_model(folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> "Forecast":
        import xgboost

        booster = xgboost.Booster(model_file=folder / FILE)
        return cls(booster, int(booster.attr("horizon") or 1))


def design(
    kind: str, past: history.Past, series: np.ndarray, item: np.ndarray, period: np.ndarray, planned: np.ndarray,
    values: np.ndarray, ahead: np.ndarray, eta: np.ndarray, slopes: regression.Slopes, known: panel.Series, year: float,
) -> np.ndarray:  # fmt: skip
    """What the trees see, rows × columns; the first is the own price."""
    before = past.features(kind, series, item, period, planned, ahead, year)
    level = slopes.level[np.minimum(series, len(slopes.level) - 1)]
    # A trend that goes on is for the regression: trees cannot extrapolate.
    return np.column_stack(
        [values, before, ahead, level, slopes.value[item, 0], known.category[item], known.brand[item], item]
    ).astype(np.float32)


def fit(
    kind: str, past: history.Past, eta: np.ndarray, values: np.ndarray, slopes: regression.Slopes, known: panel.Series,
    year: float, params: DemandParams, seed: int, threads: int,
) -> Forecast:  # fmt: skip
    """Learns from the past; the last `horizon` periods choose the number of trees, then all periods are learnt from."""
    import xgboost

    random = np.random.default_rng(seed)
    last = past.period.max()
    tested = past.period > last - params.horizon
    ahead = random.integers(1, params.horizon + 1, len(past.period)).astype(float)
    # In validation all rows are forecast from one moment, as in use.
    from_cut = np.where(tested, past.period - (last - params.horizon), ahead)
    log = kind == likelihood.LOG
    target = np.log(np.maximum(past.units, 0.5)) if log else past.units

    def seen(distance: np.ndarray) -> np.ndarray:
        return design(
            kind, past, past.series, past.item, past.period, past.own, values, distance, eta, slopes, known, year
        )

    shape = {
        "max_depth": params.max_depth, "eta": params.learning_rate, "min_child_weight": 8, "subsample": 0.8,
        "colsample_bytree": 0.7, "max_bin": BINS, "nthread": threads, "seed": seed, "tree_method": "hist",
        "objective": "reg:squarederror" if log else "count:poisson",
    }  # fmt: skip
    rounds = params.rounds
    every = seen(from_cut)
    shape["monotone_constraints"] = "(" + ",".join(["-1"] + ["0"] * (every.shape[1] - 1)) + ")"
    if 0 < tested.sum() < 0.5 * len(tested):
        train = xgboost.QuantileDMatrix(
            every[~tested], target[~tested], base_margin=eta[~tested], max_bin=BINS, nthread=threads
        )
        test = xgboost.DMatrix(every[tested], target[tested], base_margin=eta[tested], nthread=threads)
        stopped = xgboost.train(
            shape, train, params.rounds, evals=[(test, "later")], early_stopping_rounds=PATIENCE, verbose_eval=False
        )
        rounds = stopped.best_iteration + 1
    data = xgboost.QuantileDMatrix(seen(ahead), target, base_margin=eta, max_bin=BINS, nthread=threads)
    booster = xgboost.train(shape, data, rounds)
    booster.set_attr(horizon=str(params.horizon))
    return Forecast(booster, params.horizon)
