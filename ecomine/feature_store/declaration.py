"""How a feature is declared: once, with its name, unit, meaning, window and the expression that computes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
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
    the window in days: each window's in turn for `{w}`, the longest one's for all others. `empty` is the value of a
    window with nothing in it; `default` stands in for a null, and where the entity is not known.
    """

    name: str
    unit: str
    description: str
    expression: Callable[[Any, int], Any]
    empty: float | None = 0.0
    default: float | None = None

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
    empty: float | None = 0.0
    dtype: str = DTYPE
    default: float | None = None

    def of(self, table: ibis.Table) -> ibis.Value:
        return self.expression(table, self.window)

    def over(self, rows: ibis.Table) -> ibis.Value:
        """The feature of a window, from the rows in it."""
        value = self.of(rows)
        return value if self.empty is None else value.fill_null(self.empty)


@dataclass(frozen=True)
class Scope:
    """What a feature table is computed from: clean `tables` and prepared `lines`, on one engine, up to `as_of`.

    newest: None for everything; else only the snapshots of a lower number are wanted, and of tables with a row an
    event only the rows after snapshot `newest`. `lines` then hold no more than these need, and `kept` has the earlier
    rows of tables that carry a state on.
    """

    as_of: datetime
    params: FeatureParams
    tables: Mapping[str, ibis.Table]
    lines: ibis.Table
    newest: int | None = None
    kept: Mapping[str, ibis.Table] = field(default_factory=dict)


@dataclass(frozen=True)
class FeatureTable:
    """Features of one kind of entity; `keys` and the moment from which they hold identify a row.

    build(table, scope) gives the table as an expression: keys, event_timestamp, features, then the columns of `state`,
    from which the next day goes on and which are no features. A row holds for `ttl_days` days, for one snapshot step
    where that is None. `sources` are the clean tables without which the table is not made, `improves` those that it
    also reads where they are there. `apart` is the first of the keys where an entity's rows follow from its own order
    lines alone, so that a part of the entities may be computed at a time.
    """

    name: str
    description: str
    keys: tuple[str, ...]
    ttl_days: int | None
    features: tuple[Feature, ...]
    build: "Callable[[FeatureTable, Scope], ibis.Table]"
    sources: tuple[str, ...] = ("order_lines",)
    improves: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    apart: str | None = None

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
                        feature.empty,
                        default=feature.default,
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
