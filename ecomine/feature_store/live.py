"""What somebody did within the last minutes, hours and days: declared once, for training and for the live state.

A live table has a row at each moment at which something happened to an entity. Offline, Ibis computes it from the clean
tables. Online, a live state keeps the entity's own moments of late, as accepted events bring them, and `aggregate` adds
up the same windows from them. Both count (t − length, t], told apart in milliseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import ibis
import numpy as np
from ibis import _

from ecomine.feature_store.declaration import (
    EVENT_TIMESTAMP,
    SCALE,
    Feature,
    FeatureTable,
    Scope,
    exact,
    ratio,
    total,
)
from ecomine.feature_store.lines import after_kept, of_the_touched, seconds

MILLI = 1_000
"""Milliseconds a second; microseconds a millisecond."""

PREVIOUS = "seconds_since_previous"


@dataclass(frozen=True)
class Measure:
    """What is added up: rows, rows whose `column` is `equals`, or the money in `column`."""

    name: str
    unit: str
    meaning: str
    column: str | None = None
    equals: str | None = None

    @property
    def is_money(self) -> bool:
        return self.column is not None and self.equals is None

    def of(self, table: ibis.Table) -> ibis.Value:
        """A row's part in the sum; money in whole ten-thousandths, see `exact`."""
        if self.column is None:
            return ibis.literal(1).cast("float64")
        column = table[self.column]
        return exact(column) if self.is_money else (column == self.equals).cast("float64")


@dataclass(frozen=True)
class LiveTable:
    """Measures of the rows of `source` by `key`, summed over windows (name → seconds); a row holds for `ttl_days`."""

    name: str
    description: str
    key: str
    source: str
    measures: tuple[Measure, ...]
    windows: Mapping[str, int]
    ttl_days: int

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def longest(self) -> int:
        """Length of the longest window, milliseconds."""
        return max(self.windows.values()) * MILLI

    @property
    def horizon(self) -> int:
        """How far back before an entity's newest moment the live state goes, microseconds.

        Twice the longest window, so that one who asks about a moment of a little while ago has all of its window.
        """
        return 2 * self.longest * MILLI

    @property
    def kept(self) -> timedelta:
        """How long a moment may matter at all: while a row that counts it still holds."""
        return timedelta(days=self.ttl_days, microseconds=self.horizon)

    @property
    def features(self) -> tuple[str, ...]:
        """Names in the order of the feature table."""
        return (*(f"{one.name}_{window}" for window in self.windows for one in self.measures), PREVIOUS)

    @property
    def feature_table(self) -> FeatureTable:
        """The declaration that all other features have, too."""
        features = [
            Feature(name, one.unit, f"{one.meaning} in the last {window}", _sum(name, one), default=0.0)
            for window in self.windows
            for one in self.measures
            for name in [f"{one.name}_{window}"]
        ]
        longest = max(self.windows, key=self.windows.__getitem__)
        since = f"time since the moment before; null where none lies in the last {longest}"
        previous = Feature(PREVIOUS, "seconds", since, lambda t, w: t[PREVIOUS])
        return FeatureTable(
            self.name, self.description, (self.key,), self.ttl_days, (*features, previous), self._build, (self.source,)
        )

    def _build(self, table: FeatureTable, scope: Scope) -> ibis.Table:
        """One row for each moment at which something happened to an entity."""
        moments = of_the_touched(self._moments(scope), [self.key], scope)
        previous = _.milli - _.milli.lag(1).over(ibis.window(group_by=self.key, order_by=EVENT_TIMESTAMP))
        windows = moments.mutate(
            gap=previous,
            **{
                f"{one.name}_{window}": _[one.name]
                .sum()
                .over(ibis.window(group_by=self.key, order_by="milli", range=(-(length * MILLI - 1), 0)))
                for window, length in self.windows.items()
                for one in self.measures
            },
        )
        near = ibis.ifelse(_.gap < self.longest, _.gap, ibis.null("int64"))
        windows = after_kept(windows.mutate(**{PREVIOUS: ratio(near, near * 0 + MILLI)}), scope)
        return windows.select(
            self.key,
            EVENT_TIMESTAMP,
            **{column.name: column.of(windows).cast(column.dtype) for column in table.columns(scope.params)},
        )

    def _moments(self, scope: Scope) -> ibis.Table:
        rows = scope.tables[self.source]
        absent = {name: ibis.null("string") for name in [self.key] if name not in rows.columns}
        known = rows.mutate(**absent).filter(_[self.key].notnull(), _[EVENT_TIMESTAMP] <= ibis.literal(scope.as_of))
        known = known.select(self.key, EVENT_TIMESTAMP, **{one.name: one.of(known) for one in self.measures})
        moments = known.group_by(self.key, EVENT_TIMESTAMP).agg(
            **{one.name: _[one.name].sum() for one in self.measures}
        )
        milli = seconds(_[EVENT_TIMESTAMP]) * MILLI + _[EVENT_TIMESTAMP].millisecond().cast("int64")
        return moments.mutate(milli=milli)


def _sum(name: str, measure: Measure) -> Any:
    return lambda t, w: total(t[name]) if measure.is_money else t[name]


def aggregate(
    table: LiveTable, ends: np.ndarray, places: np.ndarray, micro: np.ndarray, parts: np.ndarray
) -> np.ndarray:
    """(entities, features): what the windows of a live table hold that end at `ends`.

    ends: of each entity, microseconds since 1970. places, micro, parts: of each row the number of its entity, its time
    in microseconds and its part in each measure, money in whole ten-thousandths. Rows outside of the windows are left
    out; without a row before the end there is NaN for the time since.
    """
    milli, until = micro // MILLI, (ends // MILLI)[places]
    values = np.empty((len(ends), len(table.features)))
    number = 0
    for length in table.windows.values():
        inside = (milli <= until) & (milli > until - length * MILLI)
        for column, one in enumerate(table.measures):
            summed = np.bincount(places[inside], weights=parts[inside, column], minlength=len(ends))
            values[:, number] = summed / SCALE if one.is_money else summed
            number += 1
    before = (micro < ends[places]) & (milli > until - table.longest)
    latest = np.full(len(ends), -np.inf)
    np.maximum.at(latest, places[before], milli[before].astype(np.float64))
    since = (ends // MILLI - latest) / MILLI
    values[:, number] = np.where(np.isfinite(since), since, np.nan)
    return values


def parts_of(table: LiveTable, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """(rows, measures): the part of each of a few rows in each measure, as `Measure.of` has it."""
    parts = np.empty((len(rows), len(table.measures)))
    for column, one in enumerate(table.measures):
        for place, row in enumerate(rows):
            if one.column is None:
                parts[place, column] = 1.0
            elif one.is_money:
                parts[place, column] = whole(float(row[one.column]))
            else:
                parts[place, column] = float(row.get(one.column) == one.equals)
    return parts


def whole(money: float) -> float:
    """Money in whole ten-thousandths, halves away from zero, as engines round."""
    scaled = money * SCALE
    cut = float(np.trunc(scaled))
    return cut + float(np.copysign(1.0, scaled)) if abs(scaled - cut) >= 0.5 else cut


def _kind(name: str, event_type: str) -> Measure:
    return Measure(name, "events", f"events of type {event_type}", "event_type", event_type)


ATTEMPTS = Measure("attempts", "attempts", "attempts to pay, this one with them,")
AMOUNT = Measure("amount", "money", "money of the attempts to pay, this one with them,", "amount")
MINUTES = {"10m": 600, "1h": 3_600, "24h": 86_400}

LIVE_TABLES: dict[str, LiveTable] = {
    table.name: table
    for table in (
        LiveTable(
            "user_activity",
            "what a user does on the site, from each event on",
            "user_id",
            "events",
            (
                Measure("events", "events", "events"),
                _kind("searches", "search"),
                _kind("views", "view"),
                _kind("carts", "cart"),
                _kind("purchases", "purchase"),
            ),
            {"1h": 3_600, "24h": 86_400, "7d": 604_800},
            7,
        ),
        LiveTable(
            "user_velocity",
            "how fast a user tries to pay, from each attempt on",
            "user_id",
            "payments",
            (ATTEMPTS, AMOUNT),
            MINUTES,
            1,
        ),
        LiveTable(
            "card_velocity",
            "how fast a card is used to pay, from each attempt on",
            "card_id",
            "payments",
            (ATTEMPTS, AMOUNT),
            MINUTES,
            1,
        ),
        LiveTable(
            "device_velocity",
            "how fast a device is used to pay, from each attempt on",
            "device_id",
            "payments",
            (ATTEMPTS, AMOUNT),
            MINUTES,
            1,
        ),
    )
}

TABLES: tuple[FeatureTable, ...] = tuple(table.feature_table for table in LIVE_TABLES.values())
