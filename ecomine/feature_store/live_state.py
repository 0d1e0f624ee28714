"""Reading the live state: the newest moments of entities, beside what the online store was filled with.

The live state is a store of its own. So a load of the online store undoes nothing that was streamed, and of both the
row that holds from the later moment is read; at the same moment the live one, since late events are in it.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from ecomine import layout
from ecomine.errors import SettingsError, StreamingError
from ecomine.feature_store.catalogue import streaming_params
from ecomine.feature_store.live import LIVE_TABLES, LiveTable, aggregate, parts_of
from ecomine.feature_store.online_table import MISSING, Asked, Entity, Found, OnlineBackend, OnlineLoad, OnlineTable
from ecomine.params import FILE

log = logging.getLogger("ecomine.streaming")


class Moments(NamedTuple):
    """Rows of the live state: the number of each row's entity, the entity's newest moment, the row's own, its parts."""

    places: np.ndarray
    newest: np.ndarray
    micro: np.ndarray
    parts: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[Sequence[float]], measures: int) -> "Moments":
        """Of rows that hold all of it in this order, numbers below 2⁵³."""
        matrix = np.array(rows, dtype=np.float64).reshape(len(rows), 3 + measures)
        whole = matrix[:, :3].astype(np.int64)
        return cls(whole[:, 0], whole[:, 1], whole[:, 2], matrix[:, 3:])


class LiveState(Protocol):
    """The moments of late of all live tables, and how far of the event log they know; safe from several threads."""

    def moments(self, table: LiveTable, entities: Sequence[str], at: int | None) -> Moments:
        """Rows of entities within the longest window before `at` (microseconds), or before each one's newest."""

    @property
    def position(self) -> str:
        """Offset of the last event taken on."""

    def apply(self, count: int) -> int:
        """Take on the next events of the log, at most `count`, and their offset, in one step; returns how many."""

    def seed(self, table: LiveTable, rows: pa.Table) -> None:
        """Add rows that came another way: entity, micro, id, then the measures; those that are there stay."""

    @property
    def seeded(self) -> str:
        """Name of the clean tables whose rows were added last."""

    def mark_seeded(self, name: str) -> None:
        """Note that all rows of these clean tables are in."""

    def purge(self, now: int) -> None:
        """Let go of what no window can hold any more at `now` (microseconds)."""


def live_state(workspace: Path) -> LiveState:
    """The live state of a workspace; raises SettingsError where the section `streaming` cannot be used."""
    from ecomine.feature_store.live_sqlite import SqliteLive

    params = streaming_params(workspace)
    if params.kind == "log":
        return SqliteLive(Path(workspace) / layout.LIVE_STATE, Path(workspace) / layout.EVENT_LOG)
    if params.kind != "redis":
        raise SettingsError(f"{FILE}: `streaming.kind` is {params.kind!r}; expected log or redis.")
    from ecomine.feature_store.online_backend import filled

    try:
        from ecomine.feature_store.live_redis import RedisLive
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{FILE}: `streaming.kind` is redis, whose driver is not installed. "
            "Install it: pip install 'ecomine[redis]'."
        ) from error
    return RedisLive(filled(params.url or "", "streaming.url", "redis"), params.prefix)


def newest(state: LiveState, table: LiveTable, entities: Sequence[Entity]) -> tuple[np.ndarray, np.ndarray]:
    """(values, moments) of the newest row of each entity, as in Found, the last of them nobody's."""
    known = [entity[0] or "" for entity in entities]
    found = state.moments(table, known, None) if known else Moments.of([], len(table.measures))
    ends = np.full(len(entities) + 1, MISSING, dtype=np.int64)
    ends[found.places] = found.newest
    values = aggregate(table, ends, found.places, found.micro, found.parts)
    values[ends == MISSING] = np.nan
    return values, ends


def recent(
    state: LiveState, table: str, key: str, at: datetime, also: Mapping[str, Any] | None = None
) -> dict[str, float]:
    """What the windows of a live table hold for one entity that end at `at` (UTC): feature → value.

    also: a row of the table's source that happens at `at` and counts already, such as `{"amount": 12.5}`; the values
    are then those that training sees at the moment of that row. `seconds_since_previous` is NaN where nothing lies in
    the longest window. Raises StreamingError where the live state cannot be read.
    """
    from ecomine.feature_store.online_table import microseconds

    declared, moment = LIVE_TABLES[table], microseconds(at)
    found = state.moments(declared, [key], moment)
    micro, parts = found.micro, found.parts
    if also is not None:
        micro, parts = np.append(micro, moment), np.vstack([parts, parts_of(declared, [also])])
    values = aggregate(declared, np.array([moment]), np.zeros(len(micro), dtype=np.int64), micro, parts)
    return dict(zip(declared.features, values[0].tolist(), strict=True))


class Overlaid:
    """An online store beside the live state: of each entity the row that holds from the later moment."""

    def __init__(self, store: OnlineBackend, state: LiveState) -> None:
        self._store, self._state = store, state

    @property
    def as_of(self) -> datetime:
        return self._store.as_of

    @property
    def state(self) -> str | None:
        """None: events change it at any moment."""
        return None

    def read(self, asked: Asked) -> Found:
        found = self._store.read(asked)
        for number, (table, entities) in enumerate(asked):
            if table.name in LIVE_TABLES:
                declared = LIVE_TABLES[table.name]
                try:
                    values, ends = newest(self._state, declared, entities)
                except StreamingError as error:  # what was loaded is better than no answer
                    log.error("%s: answered without what came since the last load: %s", table.name, error)
                    continue
                places = [declared.features.index(feature) for feature in table.features]
                later = (ends >= found.moments[number]) & (ends != MISSING)
                found.values[number][later] = values[later][:, places]
                found.moments[number][later] = ends[later]
        return found

    def load(self, digest: str, as_of: datetime, tables: Sequence[OnlineTable]) -> OnlineLoad:
        return self._store.load(digest, as_of, tables)

    def put(self, table: OnlineTable, batch: pa.RecordBatch) -> None:
        self._store.put(table, batch)

    def shape(self, tables: Sequence[OnlineTable], dropped: Sequence[str]) -> None:
        self._store.shape(tables, dropped)
