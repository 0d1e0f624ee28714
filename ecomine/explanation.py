"""What moves a model's predictions, in words: drivers for everybody, reasons for a single case.

Both are made of contributions: what each column adds to the prediction of a row (Lundberg and Lee 2017), as XGBoost's
`pred_contribs` tells exactly for trees.
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

DRIVER_COLUMNS = ("outcome", "driver", "strength", "share", "direction")
CASE_COLUMNS = ("unit", "outcome", "told", "because")
RAISES, LOWERS, BOTH = "raises", "lowers", "both"
"""What much of a driver does to the prediction."""

_CLEAR = 0.3
"""Rank correlation of a column's values with what it adds from which on its direction is told."""

_TOLD = 3


@dataclass(frozen=True)
class Explanation:
    """Why a model predicts what it predicts.

    drivers: DRIVER_COLUMNS: what is predicted, a column in words, mean absolute contribution on the scale of the model,
        its share of all, and what much of it does; strongest first within an outcome.
    cases: CASE_COLUMNS: some units, what is predicted of each, the value told and the reasons in words.
    """

    drivers: pd.DataFrame
    cases: pd.DataFrame


def drivers(outcome: str, parts: pd.DataFrame, design: pd.DataFrame, most: int = 12) -> pd.DataFrame:
    """The columns that move an outcome most: DRIVER_COLUMNS, strongest first, ties by name.

    parts: contributions; design: the values of the same columns; both a row a case.

    >>> parts = pd.DataFrame({"age_days": [0.2, -0.2], "orders": [0.0, 0.0]})
    >>> drivers("buy", parts, pd.DataFrame({"age_days": [9.0, 1.0], "orders": [1.0, 1.0]}))[["driver", "direction"]]
           driver direction
    0  age (days)    raises
    """
    # Rounded, so that a last bit never decides between two columns that count the same.
    strength = np.round(parts.abs().mean(), 9)
    strongest = strength[strength > 0].sort_index().sort_values(ascending=False, kind="stable").head(most)
    return pd.DataFrame(
        {
            "outcome": outcome,
            "driver": [words(str(name)) for name in strongest.index],
            "strength": strongest.to_numpy(float),
            "share": strongest.to_numpy(float) / max(float(strength.sum()), 1e-12),
            "direction": [_direction(parts[name], design[name]) for name in strongest.index],
        },
        columns=list(DRIVER_COLUMNS),
    )


def because(parts: pd.DataFrame, design: pd.DataFrame, most: int = _TOLD) -> np.ndarray:
    """The columns that move each row's prediction most, in words, strongest first."""
    values = parts.to_numpy()
    # Rounded, so that a last bit never decides between two columns that count the same.
    strength = np.round(np.abs(values), 9)
    names = np.array([words(str(name)) for name in parts.columns], object)
    order = np.argsort(-strength, axis=1, kind="stable")[:, :most]
    numbers = design[list(parts.columns)].to_numpy()
    text = np.full(len(parts), "", object)
    row = np.arange(len(parts))
    for place in range(order.shape[1]):
        column = order[:, place]
        number = numbers[row, column]
        shown = pd.Series(number).round(2).map("{:g}".format).to_numpy(object)
        shown = np.where(np.isnan(number), "unknown", shown)
        way = np.where(values[row, column] > 0, "raises it", "lowers it")
        text = text + ("; " if place else "") + names[column] + " " + shown + " " + way
    return text


def words(name: str) -> str:
    """The name of a column as a person says it.

    >>> words("user_snapshot__spend_90d"), words("age_days")
    ('spend of the last 90 days', 'age (days)')
    """
    plain = name.split("__")[-1]
    plain = re.sub(r"_(\d+)d$", r" of the last \1 days", plain)
    plain = re.sub(r"_days$", " (days)", plain)
    return plain.replace("_", " ")


def _direction(part: pd.Series, value: pd.Series) -> str:
    known = value.notna().to_numpy()
    ranks = value[known].rank().to_numpy(), part[known].rank().to_numpy()
    if min((len(np.unique(one)) for one in ranks), default=0) < 2:
        return BOTH
    tie = float(np.corrcoef(*ranks)[0, 1])
    return RAISES if tie > _CLEAR else LOWERS if tie < -_CLEAR else BOTH
