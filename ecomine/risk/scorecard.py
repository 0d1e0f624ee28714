"""Who will not pay credit back: points from a scorecard that anybody can add up, and constrained trees beside it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from scipy import optimize, special

from ecomine.columns import require
from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.risk.binning import Binning, bin_column
from ecomine.risk.boosting import Boosting, RareEvents
from ecomine.store import write_json

PROTECTED = (
    "age",
    "age_group",
    "gender",
    "sex",
    "race",
    "ethnicity",
    "religion",
    "nationality",
    "disability",
    "marital_status",
)
"""Columns by which nobody may be judged."""

TREES = Boosting(
    depth=4, rounds=400, learning_rate=0.03, min_child_weight=20, subsample=0.7, colsample=0.4, reg_lambda=5, seeds=3,
    honest_per_fraud=0,
)  # fmt: skip


@dataclass(frozen=True)
class Points:
    """How log odds become points: `base` points at odds of `odds` good to one bad, `double` points more double them."""

    base: float = 600.0
    odds: float = 50.0
    double: float = 20.0


class CreditScorecard:
    """Points by bins of each column: monotone binning, weight of evidence, logistic regression (Siddiqi 2006).

    monotone: column → 1 where the risk may only rise with it, -1 fall, for bins and trees alike; bins of other columns
    are monotone in the way the data say. `trees` are XGBoost under the same constraints, for comparison or to be used
    instead (`risk_by_trees`). protected: columns that are refused. Frames hold numbers; nulls are allowed.
    """

    def __init__(
        self,
        monotone: Mapping[str, int] | None = None,
        bins: int = 10,
        least_share: float = 0.01,
        penalty: float = 1.0,
        points: Points | None = None,
        trees: Boosting | None = TREES,
        protected: Sequence[str] = PROTECTED,
        seed: int = 42,
        threads: int = 2,
    ) -> None:
        self.monotone, self.bins, self.least_share, self.penalty = dict(monotone or {}), bins, least_share, penalty
        self.scale, self.trees, self.protected = points or Points(), trees, tuple(protected)
        self.seed, self.threads = seed, threads

    def fit(self, frame: pd.DataFrame, bad: pd.Series | np.ndarray) -> Self:
        """Learns; `bad` is 1 for what was not paid back. Raises FeatureError for protected or unknown columns."""
        self._check(frame)
        event = np.asarray(bad, float)
        if set(np.unique(event)) != {0.0, 1.0}:
            raise NotEnoughDataError(
                f"{len(event):,} labels with the values {sorted(set(event.tolist()))[:5]}; expected both 0 and 1."
            )
        self.binnings = [
            bin_column(frame[name], event, self.bins, self.least_share, self.monotone.get(str(name), 0))
            for name in frame.columns
        ]
        self.binnings = [binning for binning in self.binnings if binning.information > 0]
        self.intercept, self.weights = _regression(self._evidence(frame), event, self.penalty)
        if self.trees is not None:
            # Dealt like cards, since the calibration of the trees takes consecutive rows for a part.
            order = np.random.default_rng(self.seed).permutation(len(event))
            self.events = RareEvents(self.trees, self.monotone, self.seed, self.threads)
            self.events.fit(frame.iloc[order], event[order])
        return self

    def risk(self, frame: pd.DataFrame) -> np.ndarray:
        """Probability of not being paid back by the scorecard, a number a row."""
        return np.asarray(special.expit(self.intercept + self._evidence(frame) @ self.weights))

    def risk_by_trees(self, frame: pd.DataFrame) -> np.ndarray:
        """The same by constrained trees."""
        return self.events.predict(frame)

    def score(self, frame: pd.DataFrame) -> np.ndarray:
        """Whole points, more for less risk: the sum of the points of each column's bin."""
        return self._points(frame).sum(axis=1).astype(np.int64)

    def card(self) -> pd.DataFrame:
        """The scorecard: for each column and bin its points, weight of evidence and share of the rows."""
        rows = []
        for binning, points in zip(self.binnings, self._table(), strict=True):
            for place, value in enumerate(points):
                rows.append((binning.name, binning.label(place), int(value), binning.woe[place], binning.share[place]))
        return pd.DataFrame(rows, columns=["column", "bin", "points", "woe", "share"])

    def reasons(self, frame: pd.DataFrame, count: int = 3) -> pd.DataFrame:
        """Bins that cost each applicant most points against the column's best bin: reason_1 … ; "" where none does."""
        lost = np.array([points.max() for points in self._table()])[None, :] - self._points(frame)
        worst = np.argsort(-lost, axis=1, kind="stable")[:, :count]
        labels, start = [""], []
        for binning in self.binnings:
            start.append(len(labels))
            labels += [binning.label(place) for place in range(len(binning.woe))]
        number = np.where(lost > 0, np.array(start)[None, :] + self._places(frame), 0)
        chosen = np.asarray(labels, object)[np.take_along_axis(number, worst, axis=1)]
        columns = [f"reason_{place + 1}" for place in range(chosen.shape[1])]
        return pd.DataFrame(chosen, columns=columns, index=frame.index)

    def save(self, folder: Path, name: str = "scorecard") -> None:
        """JSON, and XGBoost's UBJ for the trees."""
        state = {
            "arguments": {
                "monotone": self.monotone,
                "bins": self.bins,
                "least_share": self.least_share,
                "penalty": self.penalty,
                "protected": list(self.protected),
                "seed": self.seed,
                "threads": self.threads,
            },
            "points": asdict(self.scale),
            "trees": asdict(self.trees) if self.trees else None,
            "binnings": [binning.state() for binning in self.binnings],
            "intercept": self.intercept,
            "weights": self.weights.tolist(),
        }
        write_json(folder / f"{name}.json", state)
        if self.trees is not None:
            self.events.save(folder, f"{name}-trees")

    @classmethod
    def load(cls, folder: Path, name: str = "scorecard") -> Self:
        """The inverse of `save`."""
        state = json.loads((folder / f"{name}.json").read_text())
        trees = Boosting(**state["trees"]) if state["trees"] else None
        card = cls(**state["arguments"], points=Points(**state["points"]), trees=trees)
        card.binnings = [Binning.restore(one) for one in state["binnings"]]
        card.intercept, card.weights = state["intercept"], np.asarray(state["weights"], float)
        if trees is not None:
            card.events = RareEvents.load(folder, f"{name}-trees")
        return card

    def _check(self, frame: pd.DataFrame) -> None:
        refused = [name for name in frame.columns if str(name).lower() in self.protected]
        if refused:
            raise FeatureError(
                f"Nobody may be judged by {', '.join(refused)}. Leave it out; `fairness` takes it to compare groups."
            )
        require(frame.columns, self.monotone, "columns of the scorecard", "Constrain columns that are there.")

    def _places(self, frame: pd.DataFrame) -> np.ndarray:
        require(frame.columns, [binning.name for binning in self.binnings], "columns of the scorecard")
        found = [binning.places(frame[binning.name].to_numpy(float)) for binning in self.binnings]
        return np.column_stack(found) if found else np.empty((len(frame), 0), np.int64)

    def _evidence(self, frame: pd.DataFrame) -> np.ndarray:
        places = self._places(frame)
        values = [binning.woe[places[:, number]] for number, binning in enumerate(self.binnings)]
        return np.column_stack(values) if values else np.empty((len(frame), 0))

    def _table(self) -> list[np.ndarray]:
        """Points of each bin: an equal share of the intercept and of the offset goes to every column."""
        factor = self.scale.double / np.log(2.0)
        offset = self.scale.base - factor * np.log(self.scale.odds)
        columns = max(len(self.binnings), 1)
        return [
            np.round(offset / columns - factor * (self.intercept / columns + weight * binning.woe))
            for weight, binning in zip(self.weights, self.binnings, strict=True)
        ]

    def _points(self, frame: pd.DataFrame) -> np.ndarray:
        places, table = self._places(frame), self._table()
        return np.column_stack([points[places[:, number]] for number, points in enumerate(table)])


def _regression(evidence: np.ndarray, event: np.ndarray, penalty: float) -> tuple[float, np.ndarray]:
    """Logistic regression with a ridge and without negative weights, which would turn the meaning of a bin around."""

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        odds = weights[0] + evidence @ weights[1:]
        error = special.expit(odds) - event
        value = (np.logaddexp(0, odds) - event * odds).sum() + 0.5 * penalty * float(weights[1:] @ weights[1:])
        gradient = np.concatenate([[error.sum()], evidence.T @ error + penalty * weights[1:]])
        return float(value) / len(event), gradient / len(event)

    start = np.concatenate([[special.logit(event.mean())], np.full(evidence.shape[1], 0.5)])
    bounds = [(None, None)] + [(0.0, None)] * evidence.shape[1]
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return float(found.x[0]), found.x[1:]
