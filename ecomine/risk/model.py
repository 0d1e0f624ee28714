"""The guard: what tells fraud or, where nobody ever said what fraud is, what is strange; and what waits."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from ecomine.columns import READ, require
from ecomine.domain import EVENT_TIMESTAMP, LABEL, Inputs
from ecomine.errors import NotEnoughDataError
from ecomine.risk import rules
from ecomine.risk.anomalies import AnomalyDetector
from ecomine.risk.boosting import RareEvents
from ecomine.risk.credit import Credit
from ecomine.risk.decisions import ALLOW, BLOCK, REVIEW, costs_by_action
from ecomine.risk.detector import reasons
from ecomine.risk.features import (
    ANOMALY,
    DAY,
    FRAUD,
    OWN,
    PAID_AT,
    STAKE,
    orders_of,
    own_columns,
    payments_of,
    rows_of,
    without_verdict,
)  # fmt: skip
from ecomine.risk.memory import Memory
from ecomine.risk.params import RiskParams
from ecomine.store import write_frame, write_json

LEAST = 50
SEPARATOR = "__"
TOP = 0.1
"""Share of the rows, those with the highest probabilities, by which the calibration is judged."""


class Guard:
    """Scores and reasons of payments (or of orders), and the rows of the last days that wait for a decision.

    mode: FRAUD or ANOMALY. features: columns of the feature service that it learned from. review_price: money that a
    look must save to be worth a place in the queue of a usual day. calibration: frauds expected ÷ known, among the TOP
    payments of training, each judged by trees that had not seen it; 1 without labels.
    """

    def __init__(self, params: RiskParams | None = None, seed: int = 42, threads: int = 2) -> None:
        self.params, self.seed, self.threads = params or RiskParams(), seed, threads

    def fit(self, rows: pd.DataFrame, inputs: Inputs) -> Self:
        """Learns from labelled rows with features; raises NotEnoughDataError where there are too few."""
        if len(rows) < LEAST:
            raise NotEnoughDataError(
                f"{len(rows):,} rows to learn from; expected at least {LEAST}. Bring a longer history."
            )
        self.as_of = inputs.as_of
        self.mode = FRAUD if set(OWN[FRAUD]) <= set(rows.columns) else ANOMALY
        self.features = [str(name) for name in rows.columns if SEPARATOR in str(name)]
        self.rules(self.params)
        self.memory: Memory | None = None
        if self.mode == FRAUD:
            verdicts = [name for name in self.features if "_verdicts__" in name]
            self.events = RareEvents(self.params.boosting, None, self.seed, self.threads)
            self.events.fit(rows[[*OWN[FRAUD], *verdicts]], rows[LABEL])
            probability = self.events.apart
            payments = payments_of(inputs)
            asked = without_verdict(inputs, payments)
            self.waiting = rows_of(payments, asked, own_columns(payments, asked), inputs.as_of)
            self.memory = Memory.of(payments, pd.Timestamp(inputs.as_of))
            self.calibration = _calibration(probability, rows[LABEL].to_numpy(float))
        else:
            self.detector = AnomalyDetector(self.params.isolation_trees, self.seed, self.threads)
            self.detector.fit(self._of_orders(rows))
            since = pd.Timestamp(inputs.as_of) - pd.Timedelta(days=self.params.recent_days)
            waiting = orders_of(inputs, since, inputs.as_of)
            self.waiting = waiting.assign(**{EVENT_TIMESTAMP: pd.Timestamp(inputs.as_of).as_unit("us")})
            probability, self.calibration = self.score(rows)[0], 1.0
        self.review_price = self._price(rows, probability)
        self.credit = Credit.fit(inputs, self.seed, self.threads)
        return self

    def requests(self, days: np.ndarray | None = None) -> pd.DataFrame:
        """Rows that wait for a decision, of the given days or of all; features are still to be read."""
        rows = self.waiting if days is None else self.waiting[self.waiting[DAY].isin(days)]
        return rows.reset_index(drop=True)

    def rules(self, params: RiskParams) -> dict[str, rules.Rule]:
        """The rules of the settings, read; raises SettingsError where one cannot be."""
        known = dict.fromkeys([*OWN[self.mode], "amount", *self.features])
        return {name: rules.parse(text, list(known)) for name, text in params.rules.items()}

    def score(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Probability of fraud (or that an order is an anomaly), and the score that is told: the same, or how rare.

        Without labels the probability follows from how rare such an order is and from how rare anomalies are believed
        to be, if those look at least so strange. Raises FeatureError where a feature is missing.
        """
        require(frame.columns, self.features, "rows", READ)
        if not len(frame):
            return np.empty(0), np.empty(0)
        if self.mode == FRAUD:
            probability = self.events.predict(frame)
            return probability, probability
        strange = self.detector.score(self._of_orders(frame))
        share = self.params.anomaly_share
        return share / (share + 10.0**-strange), strange

    def reasons(self, frame: pd.DataFrame) -> pd.DataFrame:
        """reason_1 … reason_3 of each row, such as `device_users_30d = 5`; "" where there are fewer."""
        if not len(frame):
            return pd.DataFrame({f"reason_{number}": pd.Series(dtype=object) for number in (1, 2, 3)})
        if self.mode == ANOMALY:
            return self.detector.reasons(self._of_orders(frame))
        told = reasons(self.events.contributions(frame))
        values = frame[self.events.names].to_numpy(np.float64)
        places = pd.Index(self.events.names)
        for column in told:
            place = places.get_indexer(told[column])
            shown = np.char.mod("%.4g", values[np.arange(len(frame)), place]).astype(object)
            shown = np.where(shown == "nan", "unknown", shown)
            told[column] = np.where(place >= 0, told[column] + " = " + shown, "")
        return told

    def costs(self, probability: np.ndarray, stake: np.ndarray, params: RiskParams) -> dict[str, np.ndarray]:
        """What allow, review and block are expected to cost; strange orders are never blocked, and cost no fee."""
        costs = params.costs.costs
        if self.mode == FRAUD:
            return costs_by_action(probability, stake, costs)
        found = costs_by_action(probability, stake, replace(costs, fee=0.0))
        return {**found, BLOCK: np.full(len(stake), np.inf)}

    def save(self, folder: Path) -> None:
        """JSON, Parquet, npz and XGBoost's UBJ."""
        if self.mode == FRAUD:
            self.events.save(folder)
        else:
            self.detector.save(folder)
        if self.memory is not None:
            self.memory.save(folder)
        if self.credit is not None:
            self.credit.save(folder)
        write_frame(folder / "waiting.parquet", self.waiting)
        state: dict[str, Any] = {
            "mode": self.mode, "features": self.features, "review_price": self.review_price, "as_of": self.as_of,
            "calibration": self.calibration, "seed": self.seed, "threads": self.threads,
            "memory": self.memory is not None, "credit": self.credit is not None,
            "anomaly_share": self.params.anomaly_share,
        }  # fmt: skip
        write_json(folder / "guard.json", state)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The inverse of `save`."""
        state = json.loads((folder / "guard.json").read_text())
        model = cls(RiskParams(anomaly_share=state["anomaly_share"]), state["seed"], state["threads"])
        for name in ("mode", "features", "review_price", "calibration"):
            setattr(model, name, state[name])
        model.as_of = datetime.fromisoformat(state["as_of"])
        if model.mode == FRAUD:
            model.events = RareEvents.load(folder)
        else:
            model.detector = AnomalyDetector.load(folder)
        model.memory = Memory.load(folder) if state["memory"] else None
        model.credit = Credit.load(folder) if state["credit"] else None
        model.waiting = pd.read_parquet(folder / "waiting.parquet")
        return model

    def _of_orders(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The columns that strangeness is told from."""
        return frame[OWN[ANOMALY]]

    def _price(self, rows: pd.DataFrame, probability: np.ndarray) -> float:
        """Money that the last look of a usual day saves, where analysts look at as many as they can."""
        costs = self.costs(probability, rows[STAKE].to_numpy(float), self.params)
        saved = np.sort(np.minimum(costs[ALLOW], costs[BLOCK]) - costs[REVIEW])[::-1]
        days = max((rows[PAID_AT].max() - rows[PAID_AT].min()) / pd.Timedelta(days=1), 1.0)
        place = int(self.params.capacity * days)
        return float(max(saved[place], 0.0)) if place < len(saved) else 0.0


def _calibration(probability: np.ndarray, event: np.ndarray) -> float:
    """Events expected ÷ seen among the TOP rows by probability."""
    order = np.argsort(-probability, kind="stable")[: max(int(TOP * len(event)), 1)]
    return float(probability[order].sum() / max(event[order].sum(), 1.0))
