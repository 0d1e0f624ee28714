"""Is this payment fraud? Learned from payments and from labels that come late."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import NotEnoughDataError
from ecomine.risk.boosting import Boosting, RareEvents
from ecomine.risk.payments import ENTITIES, LABEL_WINDOWS, WINDOWS, payment_features
from ecomine.risk.rings import ring_features
from ecomine.store import write_json

REASONS = 3


class FraudDetector:
    """Calibrated probability that a payment is fraud, from what was known at its moment.

    windows, label_windows: over which behaviour and known labels are counted, such as 10m, 1h, 7d. judged: entities
    whose known labels are a feature. rings: whether the component of people who share
    things is a feature, too. A frame of payments has `payment_id`, `event_timestamp`, `amount`, any of ENTITIES, and,
    where known, `is_fraud` with `label_timestamp`.
    """

    def __init__(
        self,
        windows: Sequence[str] = WINDOWS,
        label_windows: Sequence[str] = LABEL_WINDOWS,
        judged: Sequence[str] = ENTITIES,
        boosting: Boosting | None = None,
        seed: int = 42,
        threads: int = 2,
        rings: bool = False,
    ) -> None:
        self.rings = rings
        self.windows, self.label_windows, self.judged = tuple(windows), tuple(label_windows), tuple(judged)
        self.events = RareEvents(boosting, None, seed, threads)

    def features(self, payments: pd.DataFrame, asked: np.ndarray | None = None) -> pd.DataFrame:
        """What the model sees of the payments asked for (flags), point in time."""
        told = payment_features(payments, asked, self.windows, self.label_windows, self.judged)
        return pd.concat([told, ring_features(payments, asked)], axis=1) if self.rings else told

    def fit(
        self,
        payments: pd.DataFrame,
        as_of: datetime | pd.Timestamp,
        since: datetime | pd.Timestamp | None = None,
        until: datetime | pd.Timestamp | None = None,
    ) -> Self:
        """Learns from the payments made from `since` on and before `until` whose label was known at `as_of`.

        Earlier payments count as history. Raises FeatureError where a column is missing, NotEnoughDataError where there
        is too little fraud.
        """
        require(payments.columns, ("is_fraud", "label_timestamp", "event_timestamp"), "payments")
        known = payments[payments["event_timestamp"] <= as_of]
        labelled = known["label_timestamp"].le(as_of) & known["is_fraud"].notna()
        if since is not None:
            labelled &= known["event_timestamp"] >= since
        if until is not None:
            labelled &= known["event_timestamp"] < until
        if not labelled.any():
            raise NotEnoughDataError(
                f"None of the {len(known):,} payments until {as_of} has a label known by then; bring some that have."
            )
        # In order of time: the calibration judges each stretch by models of the others.
        known, labelled = _in_time(known, labelled)
        self.events.fit(self.features(known, labelled), known.loc[labelled, "is_fraud"].astype(float).to_numpy())
        return self

    def score(self, payments: pd.DataFrame, asked: np.ndarray | None = None) -> np.ndarray:
        """Probability of fraud of the payments asked for (flags; all by default), in their order."""
        return self.events.predict(self.features(payments, asked))

    def explain(self, payments: pd.DataFrame, asked: np.ndarray | None = None) -> pd.DataFrame:
        """The features that raise the log odds of each payment most: reason_1 … reason_3, "" where none raises them."""
        parts = self.events.contributions(self.features(payments, asked))
        return reasons(parts)

    def save(self, folder: Path, name: str = "fraud") -> None:
        """JSON and XGBoost's UBJ."""
        self.events.save(folder, f"{name}-events")
        lists = {"windows": self.windows, "label_windows": self.label_windows, "judged": self.judged}
        state = {key: list(value) for key, value in lists.items()}
        write_json(folder / f"{name}.json", {**state, "rings": self.rings})

    @classmethod
    def load(cls, folder: Path, name: str = "fraud") -> Self:
        """The inverse of `save`."""
        detector = cls(**json.loads((folder / f"{name}.json").read_text()))
        detector.events = RareEvents.load(folder, f"{name}-events")
        return detector


def reasons(parts: pd.DataFrame, count: int = REASONS) -> pd.DataFrame:
    """Names of the columns with the greatest positive parts, a row a row, ties in the order of columns."""
    values = parts.to_numpy(float)
    best = np.argsort(-values, axis=1, kind="stable")[:, :count]
    names = np.append(np.asarray(parts.columns, object), "")
    chosen = np.where(np.take_along_axis(values, best, axis=1) > 0, best, len(parts.columns))
    columns = [f"reason_{number + 1}" for number in range(chosen.shape[1])]
    return pd.DataFrame(names[chosen], columns=columns, index=parts.index)


def _in_time(payments: pd.DataFrame, flags: pd.Series) -> tuple[pd.DataFrame, np.ndarray]:
    order = np.lexsort((payments["payment_id"].to_numpy(), payments["event_timestamp"].to_numpy()))
    return payments.iloc[order], flags.to_numpy()[order]
