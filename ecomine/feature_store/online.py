"""Reading the online store: which tables, keys and columns a service needs is settled once, then only values move."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ecomine.errors import FeatureError
from ecomine.feature_store.declaration import EVENT_TIMESTAMP
from ecomine.feature_store.live import LIVE_TABLES
from ecomine.feature_store.live_state import Overlaid, live_state
from ecomine.feature_store.online_backend import backend
from ecomine.feature_store.online_table import EPOCH, MISSING, OnlineBackend, OnlineTable, microseconds
from ecomine.feature_store.service import ServiceTable, service_plan

SECOND = 1_000_000
"""In microseconds."""

EVER = int(np.iinfo(np.int64).max)
"""In microseconds."""

FEW = 200
"""Rows up to which a loop is quicker than columns."""

NARROW = 16
"""Columns up to which it is quicker to take out all of them than to choose."""


class Status(IntEnum):
    """What became of an entity in a table."""

    PRESENT = 0
    MISSING = 1
    EXPIRED = 2


class OnlineAnswer(NamedTuple):
    """Features of some rows, and where they come from.

    values: (rows, features), NaN where there is none and no default. ages: (rows, tables), seconds from the time from
    which the values hold to the row's own moment, NaN where the entity is missing. status: (rows, tables), a Status.
    """

    features: Sequence[str]
    tables: Sequence[str]
    values: np.ndarray
    ages: np.ndarray
    status: np.ndarray

    def beside(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows that were asked about, with the features as columns."""
        return pd.concat([rows, pd.DataFrame(self.values, rows.index, list(self.features), copy=False)], axis=1)

    def frame(self) -> pd.DataFrame:
        """features, `{table}__age_seconds` and `{table}__status` as columns."""
        texts = np.array([status.name.lower() for status in Status], dtype=object)[self.status]
        parts = (
            pd.DataFrame(self.values, columns=list(self.features)),
            pd.DataFrame(self.ages, columns=[f"{table}__age_seconds" for table in self.tables]),
            pd.DataFrame(texts, columns=[f"{table}__status" for table in self.tables]),
        )
        return pd.concat(parts, axis=1)


class OnlineReader:
    """Newest features of a service's entities; safe to use from several threads.

    A value holds for its table's time to live, counted up to the row's moment: `now` where it is given, else the
    row's event_timestamp, else the moment up to which the store knows the shop. A value from after that moment is
    given as it is: the store knows only the newest.

    live: whether events that came since the store was filled count, see `live_state`.
    """

    def __init__(self, workspace: Path, service: str, live: bool = True) -> None:
        shown, store = service_plan(workspace, service), backend(workspace)
        if live and any(one.table.name in LIVE_TABLES for one in shown):
            store = Overlaid(store, live_state(workspace))
        self._plan(shown, store)

    @classmethod
    def of(cls, tables: Sequence[OnlineTable], store: OnlineBackend) -> "OnlineReader":
        """A reader of any tables of any online store."""
        reader = cls.__new__(cls)
        reader._plan([ServiceTable(table, table.name, table.keys) for table in tables], store)
        return reader

    def _plan(self, shown: Sequence[ServiceTable], store: OnlineBackend) -> None:
        tables = [one.table for one in shown]
        self._tables, self._store = [(one.table, one.name, one.keys) for one in shown], store
        self._names = [one.name for one in shown]
        self._needed = list(dict.fromkeys(key for one in shown for key in one.keys))
        self._known = EPOCH, 0
        self._wide: tuple[list[Any], pd.Index] = [], pd.Index([])
        # A view without a time to live holds for ever.
        self._spans = np.array([table.ttl // timedelta(microseconds=1) or EVER for table in tables], dtype=np.uint64)
        ends = np.cumsum([len(table.features) for table in tables]).tolist()
        self._places = list(zip([0, *ends], ends, strict=False))
        self.features = [feature for one in shown for feature in one.features]
        self._columns = pd.Index(self.features)
        defaults = np.array([default for table in tables for default in table.defaults], dtype=np.float64)
        self._defaults = defaults if not np.isnan(defaults).all() else None

    @property
    def keys(self) -> list[str]:
        """Columns that rows are read by."""
        return list(self._needed)

    @property
    def as_of(self) -> datetime:
        """The moment up to which the features know the shop."""
        return self._store.as_of

    @property
    def state(self) -> str | None:
        """What is another text as soon as a read may find other rows; None where that cannot be told cheaply."""
        return self._store.state

    def table_keys(self) -> dict[str, tuple[str, ...]]:
        """Table → columns of the rows that it is read by."""
        return {name: tuple(keys) for _, name, keys in self._tables}

    def read(self, rows: pd.DataFrame, now: datetime | None = None) -> pd.DataFrame:
        """`rows` with the service's feature columns added; nulls where an entity is not known and nothing stands in.

        rows: entity keys, event_timestamp (UTC) where there is one, and any further columns, which are left as they
        are. Raises FeatureError where a key is missing, MissingInputError where nothing was materialised.
        """
        values = self.read_detailed(rows, now).values
        answer = pd.concat([rows, pd.DataFrame(values, index=rows.index, copy=False)], axis=1, ignore_index=True)
        # Names are put together once: pandas takes longer over them than over the values of a few rows.
        given, (known, names) = [*rows.columns.tolist(), rows.columns.name], self._wide
        if given != known:
            names = rows.columns.append(self._columns)
            self._wide = given, names
        answer.columns = names
        return answer

    def read_detailed(
        self, rows: pd.DataFrame | Mapping[str, Sequence[Any]], now: datetime | None = None
    ) -> OnlineAnswer:
        """The service's features of `rows`, with the age of each and whether the entity was found.

        rows: as for `read`, or a mapping of the same columns, which for a few rows is quicker.
        """
        given = _listed(rows, self._needed) if isinstance(rows, pd.DataFrame) and len(rows) <= FEW else rows
        asked, codes = [], []
        for table, name, keys in self._tables:
            code, entities = distinct(given, name, keys)
            asked.append((table, entities))
            codes.append(code)
        found = self._store.read(asked)
        values = np.concatenate([part[code] for part, code in zip(found.values, codes, strict=True)], axis=1)
        held = np.array([part[code] for part, code in zip(found.moments, codes, strict=True)]).T
        age = self._moments(given, found.as_of, now) - held
        ages, status = age / SECOND, np.zeros(age.shape, dtype=np.int8)
        # Taken as a number without a sign, the age of what is missing is as great as one past the span.
        if (age.view(np.uint64) > self._spans).any():
            status[age > self._spans.view(np.int64)] = Status.EXPIRED
            missing = held == MISSING
            status[missing], ages[missing] = Status.MISSING, np.nan
            for number, (start, end) in enumerate(self._places):
                values[status[:, number] == Status.EXPIRED, start:end] = np.nan
        if self._defaults is not None:
            values = np.where(np.isnan(values), self._defaults, values)
        return OnlineAnswer(self.features, self._names, values, ages, status)

    def _moments(self, rows: pd.DataFrame | Mapping[str, Sequence[Any]], as_of: datetime, now: datetime | None) -> Any:
        """The moment of each row in microseconds since 1970, or one for all."""
        if now is not None:
            return microseconds(now)
        known, one = self._known
        if known is not as_of:
            one = microseconds(as_of)
            self._known = as_of, one
        if EVENT_TIMESTAMP not in rows:
            return one
        given = rows[EVENT_TIMESTAMP]
        if not (isinstance(given, pd.Series) and isinstance(given.dtype, np.dtype) and given.dtype.kind == "M"):
            given = pd.to_datetime(pd.Series(given), utc=True)
        moments = given.to_numpy(dtype="datetime64[us]").astype(np.int64)
        return np.where(moments == MISSING, one, moments)[:, None]


def _listed(rows: pd.DataFrame, needed: Sequence[str]) -> pd.DataFrame | Mapping[str, Sequence[Any]]:
    """The needed columns of a few rows, all taken out of the frame at once; the frame itself where one is missing."""
    names = rows.columns.tolist()
    if any(name not in names for name in needed):
        return rows
    values = (rows if len(names) <= NARROW else rows[needed]).to_numpy(dtype=object)
    places = names if len(names) <= NARROW else needed
    columns: dict[str, Any] = {name: values[:, places.index(name)].tolist() for name in needed}
    if EVENT_TIMESTAMP in names:
        columns[EVENT_TIMESTAMP] = rows[EVENT_TIMESTAMP]
    return columns


def distinct(
    rows: pd.DataFrame | Mapping[str, Sequence[Any]], table: str, keys: Sequence[str]
) -> tuple[np.ndarray | slice, list[tuple[str | None, ...]]]:
    """Each row's number among the distinct entities, -1 where a key is null, and these entities.

    The numbers are a slice of all but the last, which is nobody, where every row is an entity of its own.
    """
    missing = [key for key in keys if key not in rows]
    if missing:
        raise FeatureError(
            f"{table} is read by {', '.join(keys)}; the rows lack {', '.join(missing)} "
            f"and have {', '.join(map(str, rows))}."
        )
    if len(rows[keys[0]]) <= FEW:
        return _few(list(zip(*[rows[key] for key in keys], strict=True)))
    parts = [pd.factorize(np.asarray(rows[key], dtype=object)) for key in keys]
    texts = [[str(value) for value in unique] for _, unique in parts]
    codes = parts[0][0]
    if len(parts) == 1:
        return codes, [(text,) for text in texts[0]]
    somebody = codes >= 0
    for part, unique in parts[1:]:
        somebody &= part >= 0
        codes = codes * len(unique) + part
    places = np.full(len(codes), -1)
    places[somebody], numbers = pd.factorize(codes[somebody])
    columns = []
    for text in reversed(texts):
        columns.append(np.array(text, dtype=object)[numbers % max(len(text), 1)])
        numbers = numbers // max(len(text), 1)
    return places, list(zip(*(column.tolist() for column in reversed(columns)), strict=True))


def _few(rows: list[tuple[Any, ...]]) -> tuple[np.ndarray | slice, list[tuple[str | None, ...]]]:
    """As `distinct`, one by one: for a few rows that is over before pandas has begun."""
    places: dict[tuple[Any, ...], int] = {}
    codes = []
    for row in rows:
        for value in row:
            if type(value) is not str and _absent(value):
                codes.append(-1)
                break
        else:
            codes.append(places.setdefault(row, len(places)))
    entities: list[tuple[str | None, ...]] = [tuple(map(str, row)) for row in places]
    return slice(-1) if len(entities) == len(codes) else np.array(codes, dtype=np.intp), entities


def _absent(value: Any) -> bool:
    return value is None or value is pd.NA or value != value
