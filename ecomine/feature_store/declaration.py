"""How a feature is declared: once, with its name, unit, meaning, window and the expression that computes it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ibis

from ecomine.params import FeatureParams

DTYPE = "float64"
"""Of every feature: counts, money and shares alike, so that a missing value never changes a column's type."""

EVENT_TIMESTAMP = "event_timestamp"
CREATED_TIMESTAMP = "created_timestamp"

SCALE = 10_000

DAY = 86_400
"""Seconds."""


@dataclass(frozen=True)
class Feature:
    """A feature, or one a window where the name holds `{w}`.

    expression(table, w) gives the value from the columns that the feature's table offers, where `w` is the length of
    the window in days: each window's in turn for `{w}`, the longest one's for all others.
    """

    name: str
    unit: str
    description: str
    expression: Callable[[Any, int], Any]

    @property
    def windowed(self) -> bool:
        return "{w}" in self.name


@dataclass(frozen=True)
class Column:
    """A feature as it stands in its table, its window filled in."""

    name: str
    unit: str
    description: str
    window: int
    expression: Callable[[Any, int], Any]
    windowed: bool
    dtype: str = DTYPE

    def of(self, table: ibis.Table) -> ibis.Value:
        return self.expression(table, self.window)


@dataclass(frozen=True)
class FeatureTable:
    """Features of one kind of entity; `keys` and the moment from which they hold identify a row.

    build(lines, table, params, tables) gives the table as an expression: keys, event_timestamp, features. A row holds
    for `ttl_days` days, for one snapshot step where that is None.
    """

    name: str
    description: str
    keys: tuple[str, ...]
    ttl_days: int | None
    features: tuple[Feature, ...]
    build: Callable[..., ibis.Table]

    def ttl(self, params: FeatureParams) -> int:
        """Days for which a row holds."""
        return self.ttl_days if self.ttl_days is not None else params.snapshot_days

    def columns(self, params: FeatureParams) -> list[Column]:
        """The table's features for the windows of `params`, in order."""
        windows, columns = spans(params), []
        for feature in self.features:
            for window in windows if feature.windowed else windows[-1:]:
                columns.append(
                    Column(
                        feature.name.format(w=window, longest=windows[-1]),
                        feature.unit,
                        feature.description.format(w=window, longest=windows[-1], shortest=windows[0]),
                        window,
                        feature.expression,
                        feature.windowed,
                    )
                )
        return columns


def spans(params: FeatureParams) -> list[int]:
    """Lengths of the windows in days, shortest first, each once."""
    return sorted(set(params.windows))


def exact(value: ibis.Value) -> ibis.Value:
    """A number in whole ten-thousandths: such floats add up to the same sum in any order, up to 9 · 10¹¹.

    Engines add in parallel, in changing order. Decimals would do as well, but take engines twice the time.
    """
    return (value * SCALE).round().cast("float64")


def total(sum_: ibis.Value) -> ibis.Value:
    """A sum of `exact` numbers in its own unit again; 0 for a sum of nothing."""
    return sum_.fill_null(0.0) / SCALE


def ratio(part: ibis.Value, whole: ibis.Value) -> ibis.Value:
    """A share or an average; null where there is nothing to divide by."""
    return part.cast("float64") / whole.cast("float64").nullif(0.0)
