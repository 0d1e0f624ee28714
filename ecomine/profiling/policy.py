"""From predictions to profiles: the table that everybody reads, with words for what drives it, and whom to contact."""

import re

import numpy as np
import pandas as pd

from ecomine.domain import EVENT_TIMESTAMP
from ecomine.explanation import because
from ecomine.profiling.model import Profiler
from ecomine.profiling.params import ProfilingParams

STAGES = ("new", "active", "at risk", "lost")
"""Stages of a customer's life, in the order in which they come."""

NEVER = "not expected"
BLOCK = 50_000
"""Customers that are decided on at a time."""

_NEW_DAYS = 30.0
_AT_RISK, _LOST = 0.5, 0.1

PORTRAIT = (
    "category", "category_strength", "category_trend", "brand", "brand_strength", "brand_trend", "hour", "weekday",
    "next_purchase", "price_sensitivity", "discount_share", "discounted_share", "coupon_share", "basket_lines",
    "basket_value", "variety", "location", "device", "referrer", "sessions", "segment",
)  # fmt: skip
TOLD = ("alive", "churn", "buy", "session_purchase", "value", "value_low", "value_high")
REASONS = ("value_reason", "churn_reason", "buy_reason")
DECISION_COLUMNS = (
    "user_id", "recency_days", "frequency", "money", "stage", *PORTRAIT, *TOLD, *REASONS, "contact", "contact_gain",
    "vector",
)  # fmt: skip


def decide(model: Profiler, frame: pd.DataFrame, params: ProfilingParams) -> pd.DataFrame:
    """Profiles: columns DECISION_COLUMNS, a row a customer, sorted by user_id.

    Raises FeatureError where a feature the model learned from is missing.
    """
    # A block at a time: what trees add to each column is many numbers a row, of which three words remain.
    starts = range(0, max(len(frame), 1), BLOCK)
    made = pd.concat([_decided(model, frame.iloc[start : start + BLOCK], params) for start in starts])
    return made.sort_values("user_id", ignore_index=True)


def _decided(model: Profiler, frame: pd.DataFrame, params: ProfilingParams) -> pd.DataFrame:
    design = model.design(frame)
    told = model.predict(design)
    frame = frame.reset_index(drop=True)
    quiet = (frame[EVENT_TIMESTAMP] - frame["last_order"]).dt.total_seconds() / 86_400
    # The lifetime model tells how wide the range is around its own mean; the trees tell the mean.
    scale = told["value"] / np.maximum(frame["expected_value"], 1e-9)
    gain = contact_gain(told["value"], params)
    made = frame.assign(
        recency_days=quiet,
        frequency=frame["orders"].astype(np.int64),
        stage=stages(frame["alive"], frame["age_days"], frame["repeats"]),
        hour=frame["hour"].astype(np.int64),
        next_purchase=next_purchase(frame),
        buy=told["buy"],
        churn=told["churn"],
        value=told["value"],
        value_low=np.minimum(frame["expected_low"] * scale, told["value"]),
        value_high=np.maximum(frame["expected_high"] * scale, told["value"]),
        contact_gain=gain,
        contact=gain > 0,
        vector=_vector(frame),
        **{f"{name}_reason": reason for name, reason in reasons(model, design).items()},
    )
    return made[list(DECISION_COLUMNS)]


def contact_gain(value: pd.Series | np.ndarray, params: ProfilingParams) -> np.ndarray:
    """Money that a contact is expected to bring: effect · margin · money to come, less the cost."""
    return np.asarray(params.contact_effect * params.margin * np.asarray(value, float) - params.contact_cost)


def stages(alive: pd.Series, age_days: pd.Series, repeats: pd.Series) -> np.ndarray:
    """new (first order lately), active, at risk or lost, by the probability of being alive."""
    fresh = (repeats.to_numpy() == 0) & (age_days.to_numpy() <= _NEW_DAYS)
    return np.asarray(
        np.select([fresh, alive < _LOST, alive < _AT_RISK], [STAGES[0], STAGES[3], STAGES[2]], STAGES[1]), object
    )


def next_purchase(frame: pd.DataFrame) -> np.ndarray:
    """Expected date of the next purchase as ISO text: the usual gap after the last order, or after now where overdue.

    Somebody who is more probably gone than not has none.
    """
    gap = pd.to_timedelta(frame["gap_days"], unit="D")
    due = frame["last_order"] + gap
    due = due.where(due > frame[EVENT_TIMESTAMP], frame[EVENT_TIMESTAMP] + gap / 2)
    return np.where(frame["alive"] >= _AT_RISK, due.dt.strftime("%Y-%m-%d").astype(object), NEVER)


def reasons(model: Profiler, design: pd.DataFrame) -> dict[str, np.ndarray]:
    """For value, churn and buy the three columns that move each row's prediction most, in words, strongest first."""
    parts = model.contributions(design) if len(design) else {}
    return {
        name: because(parts[name], design) if name in parts else np.full(len(design), "too few cases to tell", object)
        for name in ("value", "churn", "buy")
    }


def _vector(frame: pd.DataFrame) -> np.ndarray:
    """The numbers as one text, so that a row of the table stays flat."""
    names = [name for name in frame.columns if re.fullmatch(r"vector_\d+", str(name))]
    text = np.full(len(frame), "", object)
    for place, name in enumerate(names):
        text = text + (" " if place else "") + frame[name].map("{:.4f}".format).to_numpy(object)
    return text
