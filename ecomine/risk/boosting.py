"""Boosted trees for rare events: XGBoost from several seeds, honest rows thinned and weighted back, calibrated."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from scipy import optimize, special

from ecomine.columns import require
from ecomine.errors import NotEnoughDataError
from ecomine.risk.shares import DEEPEST, Shares
from ecomine.risk.trees import Trees
from ecomine.store import write_json

FEW = 1000
"""Rows up to which one thread is quicker than several."""

SINGLE = 8
"""Rows up to which walking the trees one by one is quicker than handing them to XGBoost."""


@dataclass(frozen=True)
class Boosting:
    """How trees are grown.

    seeds: models whose margins are averaged. honest_per_fraud: so many rows without the event are kept for each with
    it, and weigh so much more that probabilities stay what they were; 0 keeps all.
    """

    depth: int = 4
    rounds: int = 150
    learning_rate: float = 0.03
    min_child_weight: float = 5.0
    subsample: float = 0.7
    colsample: float = 0.3
    reg_lambda: float = 3.0
    seeds: int = 3
    honest_per_fraud: int = 200


class RareEvents:
    """Calibrated probability of a rare event from a frame of numbers; nulls are allowed.

    monotone: column → 1 (the probability may only rise with it) or -1. The calibration (Platt 1999) is learned on parts
    of the rows that the predicting trees had not seen: stretches of consecutive rows, so that rows in order of time are
    judged by models of other times. After `fit`, `apart` has the calibrated probabilities that these gave.
    """

    PARTS = 3

    def __init__(
        self,
        settings: Boosting | None = None,
        monotone: Mapping[str, int] | None = None,
        seed: int = 42,
        threads: int = 2,
    ) -> None:
        self.settings, self.monotone = settings or Boosting(), dict(monotone or {})
        self.seed, self.threads = seed, threads

    def fit(self, frame: pd.DataFrame, label: pd.Series | np.ndarray) -> Self:
        """Learns; raises NotEnoughDataError where a part of the rows lacks the event, or all rows have it."""
        event = np.asarray(label, float)
        part = np.arange(len(event)) * self.PARTS // max(len(event), 1)
        counts = [int(event[part == number].sum()) for number in range(self.PARTS)]
        if not min(counts) or sum(counts) == len(event):
            raise NotEnoughDataError(
                f"{len(event):,} rows of which {int(event.sum()):,} have the event, {counts} in each third; expected "
                "some in each third and rows without it. Bring a longer stretch of time."
            )
        self.names = list(frame.columns)
        values = frame.to_numpy(np.float32)
        apart = np.empty(len(event))
        for number in range(self.PARTS):
            here = part == number
            self._grow(values[~here], event[~here], 1)
            apart[here] = self._margin(values[here])
        self.line = calibration(apart, event)
        self.apart = np.asarray(special.expit(self.line[0] + self.line[1] * apart))
        self._grow(values, event, self.settings.seeds)
        return self

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Probability of the event, a number a row; raises FeatureError where a column is missing."""
        return np.asarray(special.expit(self.line[0] + self.line[1] * self._margin(self._matrix(frame))))

    def predict_values(self, values: np.ndarray) -> np.ndarray:
        """`predict` of rows × `names` in single precision, without a frame, which costs more than the trees."""
        if len(values) <= SINGLE:
            walked = [[trees.margin(row) for row in values] for trees in self._trees]
            margin = np.asarray(np.mean(np.array(walked, np.float32), axis=0), float)
        else:
            margin = self._margin(values)
        return np.asarray(special.expit(self.line[0] + self.line[1] * margin))

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each column adds to the log odds of each row (Lundberg and Lee 2017)."""
        return pd.DataFrame(self.contributed(self._matrix(frame)), columns=self.names, index=frame.index)

    def contributed(self, values: np.ndarray) -> np.ndarray:
        """`contributions` of rows × `names` in single precision."""
        if self.settings.depth <= DEEPEST:
            return np.asarray(np.mean([shares.contributed(values) for shares in self._shares], axis=0))
        import xgboost

        data = xgboost.DMatrix(values, nthread=1 if len(values) <= FEW else self.threads)
        return np.asarray(np.mean([booster.predict(data, pred_contribs=True)[:, :-1] for booster in self.boosters], 0))

    def save(self, folder: Path, name: str = "events") -> None:
        """JSON and XGBoost's UBJ, a file a seed."""
        for number, booster in enumerate(self.boosters):
            booster.save_model(folder / f"{name}-{number}.ubj")
        state = {
            "settings": asdict(self.settings),
            "monotone": self.monotone,
            "seed": self.seed,
            "threads": self.threads,
            "names": self.names,
            "line": list(self.line),
        }
        write_json(folder / f"{name}.json", state)

    @classmethod
    def load(cls, folder: Path, name: str = "events") -> Self:
        """The inverse of `save`."""
        import xgboost

        state = json.loads((folder / f"{name}.json").read_text())
        model = cls(Boosting(**state["settings"]), state["monotone"], state["seed"], state["threads"])
        model.names, model.line = state["names"], tuple(state["line"])
        files = [folder / f"{name}-{number}.ubj" for number in range(model.settings.seeds)]
        # What is loaded answers, few rows at a time: waking more threads takes longer than they save.
        model.boosters = [xgboost.Booster({"nthread": 1}, model_file=file) for file in files]
        return model

    def _matrix(self, frame: pd.DataFrame) -> np.ndarray:
        require(frame.columns, self.names, "features")
        return frame[self.names].to_numpy(np.float32)

    def _grow(self, values: np.ndarray, event: np.ndarray, seeds: int) -> None:
        import xgboost

        settings = self.settings
        kept, weight = _thinned(event, settings.honest_per_fraud, self.seed)
        options = {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "max_bin": 128,
            "max_depth": settings.depth,
            "learning_rate": settings.learning_rate,
            "min_child_weight": settings.min_child_weight,
            "subsample": settings.subsample,
            "colsample_bynode": settings.colsample,
            "lambda": settings.reg_lambda,
            "base_score": float(event.mean()),
            "nthread": self.threads,
        }
        if self.monotone:
            options["monotone_constraints"] = tuple(self.monotone.get(name, 0) for name in self.names)
        data = xgboost.QuantileDMatrix(values[kept], event[kept], weight=weight, max_bin=128, nthread=self.threads)
        self.boosters = [
            xgboost.train({**options, "seed": self.seed + number}, data, settings.rounds) for number in range(seeds)
        ]

    def _margin(self, values: np.ndarray) -> np.ndarray:
        predicted = [
            booster.inplace_predict(values, predict_type="margin", validate_features=False) for booster in self.boosters
        ]
        return np.asarray(np.mean(predicted, axis=0), float)

    @cached_property
    def _trees(self) -> list[Trees]:
        return [Trees.of(booster) for booster in self.boosters]

    @cached_property
    def _shares(self) -> list[Shares]:
        return [Shares.of(trees, len(self.names)) for trees in self._trees]


def calibration(margin: np.ndarray, event: np.ndarray) -> tuple[float, float]:
    """Intercept and slope of the logistic regression of the event on the margin (slope between 0.05 and 5)."""

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        odds = line[0] + line[1] * margin
        error = special.expit(odds) - event
        value = np.logaddexp(0, odds) - event * odds
        return float(value.mean()), np.array([error.mean(), (error * margin).mean()])

    found = optimize.minimize(loss, np.array([0.0, 1.0]), jac=True, method="L-BFGS-B", bounds=[(None, None), (0.05, 5)])
    return float(found.x[0]), float(found.x[1])


def _thinned(event: np.ndarray, ratio: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers to learn from, in order, and what each weighs."""
    honest = np.flatnonzero(event == 0)
    wanted = int(event.sum()) * ratio
    if not ratio or wanted >= len(honest):
        return np.arange(len(event)), np.ones(len(event), np.float32)
    chosen = np.random.default_rng(seed).choice(honest, wanted, replace=False)
    kept = np.sort(np.concatenate([np.flatnonzero(event > 0), chosen]))
    weight = np.where(event[kept] > 0, 1.0, len(honest) / wanted)
    return kept, weight.astype(np.float32)
