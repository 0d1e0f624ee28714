"""One model of trees for all series: the log of expected units over the base that a series starts from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecomine.inventory.forecasting.ahead import PRICES
from ecomine.inventory.forecasting.design import Design, Rows, Seen
from ecomine.inventory.forecasting.distribution import LOG
from ecomine.inventory.forecasting.params import ForecastParams

BINS = 128
PATIENCE = 30
LEAST = 0.5
"""Units under the log that stand for none."""


@dataclass(frozen=True)
class Trees:
    """Fitted boosters, averaged in logs."""

    boosters: tuple[Any, ...]
    kind: str

    def predict(self, seen: Seen) -> np.ndarray:
        """Expected units; with logs, their median."""
        import xgboost

        margin = np.log(seen.base)
        data = xgboost.DMatrix(seen.values, base_margin=margin)
        total = sum(one.predict(data, output_margin=True).astype(float) for one in self.boosters)
        return np.exp(np.clip(total / len(self.boosters), -20, 25))

    def contributions(self, seen: Seen) -> np.ndarray:
        """What each column adds to the log of expected units over the base, rows × names (Lundberg and Lee 2017)."""
        import xgboost

        data = xgboost.DMatrix(seen.values, base_margin=np.log(seen.base))
        total = sum(one.predict(data, pred_contribs=True)[:, :-1].astype(float) for one in self.boosters)
        return np.asarray(total / len(self.boosters))

    def save(self, folder: Path, name: str) -> None:
        for number, booster in enumerate(self.boosters):
            booster.save_model(folder / f"{name}_{number}.ubj")

    @classmethod
    def load(cls, folder: Path, name: str, kind: str, threads: int) -> "Trees":
        import xgboost

        files = sorted(folder.glob(f"{name}_*.ubj"), key=lambda file: int(file.stem.rsplit("_", 1)[1]))
        boosters = tuple(xgboost.Booster({"nthread": threads}, model_file=file) for file in files)
        return cls(boosters, kind)


def targets(kind: str, units: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(units, LEAST)) if kind == LOG else units


def falling(seen: Seen, more: int = 0) -> tuple[int, ...]:
    """XGBoost's constraint by column: nothing rises with the price; `more` columns follow that are free."""
    return tuple(-1 if name in PRICES else 0 for name in seen.names) + (0,) * more


def fit(
    seen: Seen, units: np.ndarray, kind: str, params: ForecastParams, seed: int, threads: int, rounds: int,
    judged: tuple[Seen, np.ndarray] | None = None,
) -> tuple[Trees, int]:  # fmt: skip
    """Boosters and their number of trees; with `judged`, rows of a later time, that number is where they do best."""
    import xgboost

    shape = {
        "max_depth": params.max_depth, "eta": params.learning_rate, "min_child_weight": 10, "subsample": 0.8,
        "colsample_bytree": 0.6, "max_bin": BINS, "nthread": threads, "tree_method": "hist",
        "objective": "reg:squarederror" if kind == LOG else "count:poisson", "monotone_constraints": falling(seen),
    }  # fmt: skip
    data = xgboost.QuantileDMatrix(
        seen.values, targets(kind, units), base_margin=np.log(seen.base), max_bin=BINS, nthread=threads
    )
    more: dict[str, Any] = {}
    if judged is not None:
        later, truth = judged
        test = xgboost.DMatrix(later.values, targets(kind, truth), base_margin=np.log(later.base), nthread=threads)
        more = {"evals": [(test, "later")], "early_stopping_rounds": PATIENCE, "verbose_eval": False}
    boosters, best = [], []
    for number in range(params.seeds):
        booster = xgboost.train({**shape, "seed": seed + number}, data, rounds, **more)
        if judged is not None:
            best.append(booster.best_iteration + 1)
            booster = booster[: booster.best_iteration + 1]
        boosters.append(booster)
    return Trees(tuple(boosters), kind), round(float(np.mean(best))) if best else rounds


def step_by_step(trees: Trees, design: Design, series: np.ndarray, origin: int, horizon: int) -> np.ndarray:
    """Series × horizon: each period forecast from the one before it, which holds what was expected there.

    `trees` are those for a distance of one; the panel's inputs must reach to the last period.
    """
    units = np.full((len(design.panel.keys), origin + 1 + horizon), np.nan, np.float32)
    units[:, : origin + 1] = design.units[:, : origin + 1]
    result = np.empty((len(series), horizon))
    for step in range(horizon):
        last = origin + step
        now = design.seeing(units[:, : last + 1])
        rows = Rows(series, np.full(len(series), last + 1), np.full(len(series), last))
        result[:, step] = trees.predict(now.seen(rows))
        units[series, last + 1] = result[:, step]
    return result


def sampled(
    design: Design, last: int, horizon: int, distance: int | None, count: int, seed: int, without: int | None = None
) -> Rows:
    """Rows to learn from, targets up to the period `last`, each from a random distance up to `horizon` (or the given).

    The horizon after `without` is left out. A target is taken several times where there are few; origins have at least
    a fourth of the level's window behind.
    """
    random = np.random.default_rng(seed)
    warm = min(design.rhythm.level // 2, (last + 1) // 4)
    usable = np.isfinite(design.panel.units[:, : last + 1])
    usable[:, : warm + 1] = False
    if without is not None:
        usable[:, without + 1 : without + 1 + horizon] = False
    cells = np.flatnonzero(usable)
    repeats = 1 if distance is not None else int(np.clip(count // max(len(cells), 1), 1, min(4, horizon)))
    if len(cells) > count:
        cells = cells[np.sort(random.choice(len(cells), count, replace=False, shuffle=False))]
    cells = np.repeat(cells, repeats)
    series, target = np.divmod(cells, last + 1)
    far = random.integers(1, horizon + 1, len(cells)) if distance is None else np.full(len(cells), distance)
    return Rows(series, target, np.maximum(target - far, warm))
