"""Reading the online store: SQLite, a table a feature view, a row an entity, found by its keys."""

import json
import sqlite3
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecomine import layout
from ecomine.errors import FeatureError, MissingInputError
from ecomine.feature_store.catalogue import feature_params, service_tables

EVENT = "event_us"
"""Column of a row's time, microseconds since 1970."""

ABOUT = "about"


def name(text: str) -> str:
    """A quoted SQL name."""
    return '"' + text.replace('"', '""') + '"'


def create_table(connection: sqlite3.Connection, view: str, keys: Sequence[str], features: Sequence[str]) -> None:
    """The table of a view, clustered by its keys."""
    columns = [f"{name(key)} TEXT NOT NULL" for key in keys]
    columns += [f"{name(feature)} REAL" for feature in features]
    columns += [f"{EVENT} INTEGER NOT NULL", f"PRIMARY KEY ({', '.join(map(name, keys))})"]
    connection.execute(f"CREATE TABLE IF NOT EXISTS {name(view)} ({', '.join(columns)}) WITHOUT ROWID")


def insert_row(view: str, keys: Sequence[str], features: Sequence[str]) -> str:
    """SQL that writes a row: keys, features, time; in place of an earlier row of the same keys."""
    columns = [*keys, *features, EVENT]
    marks = ", ".join("?" * len(columns))
    return f"INSERT OR REPLACE INTO {name(view)} ({', '.join(map(name, columns))}) VALUES ({marks})"


def lookup(
    connection: sqlite3.Connection,
    view: str,
    keys: Sequence[str],
    columns: Sequence[str],
    entities: Sequence[Sequence[Any]],
) -> list[tuple[Any, ...] | None]:
    """The given columns for each entity, in order; None for one that is absent or has a null key.

    All entities travel as one JSON argument, since SQLite limits how many arguments a statement takes.
    """
    wanted = ", ".join(f"json_extract(entity.value, '$[{number}]') AS k{number}" for number in range(len(keys)))
    match = " AND ".join(f"stored.{name(key)} = wanted.k{number}" for number, key in enumerate(keys))
    rows = connection.execute(
        f"SELECT wanted.place, {', '.join('stored.' + name(column) for column in columns)} "
        f"FROM (SELECT entity.key AS place, {wanted} FROM json_each(?) AS entity) AS wanted "
        f"CROSS JOIN {name(view)} AS stored ON {match}",
        (json.dumps([list(entity) for entity in entities]),),
    )
    found: list[tuple[Any, ...] | None] = [None] * len(entities)
    for place, *values in rows:
        found[place] = tuple(values)
    return found


class OnlineReader:
    """Newest features of a service's entities; safe to use from several threads.

    Each thread has its own connection, opened anew once the file was replaced.
    """

    def __init__(self, workspace: Path, service: str) -> None:
        self._path = Path(workspace) / layout.ONLINE_FILE
        params = feature_params(Path(workspace))
        self._plan = [
            (table.name, list(table.keys), [column.name for column in table.columns(params)])
            for table in service_tables(service)
        ]
        self.features = [f"{view}__{feature}" for view, _, names in self._plan for feature in names]
        self._local = threading.local()

    @property
    def as_of(self) -> datetime:
        """The moment up to which the features know the shop."""
        return datetime.fromisoformat(self._connection().execute(f"SELECT as_of FROM {ABOUT}").fetchone()[0])

    def read(self, rows: pd.DataFrame) -> pd.DataFrame:
        """`rows` with the service's feature columns added; nulls where an entity is not known.

        rows: entity keys, and any further columns, which are left as they are.
        Raises FeatureError where a key is missing, MissingInputError where nothing was materialised.
        """
        connection = self._connection()
        values: dict[str, np.ndarray] = {}
        for view, keys, names in self._plan:
            missing = [key for key in keys if key not in rows.columns]
            if missing:
                raise FeatureError(
                    f"{view} is read by {', '.join(keys)}; the rows lack {', '.join(missing)} "
                    f"and have {', '.join(map(str, rows.columns))}."
                )
            codes, entities = _distinct(rows, keys)
            found = lookup(connection, view, keys, names, entities)
            blank = (None,) * len(names)
            matrix = np.array([blank if row is None else row for row in found], dtype=np.float64).reshape(
                -1, len(names)
            )
            for number, feature in enumerate(names):
                values[f"{view}__{feature}"] = matrix[codes, number] if len(matrix) else np.empty(0)
        return pd.concat([rows, pd.DataFrame(values, index=rows.index)], axis=1)

    def _connection(self) -> sqlite3.Connection:
        try:
            status = self._path.stat()
        except FileNotFoundError as error:
            raise MissingInputError(f"{layout.ONLINE_FILE} is not there; run `ecomine stage materialize`.") from error
        identity = (status.st_dev, status.st_ino, status.st_mtime_ns)
        if getattr(self._local, "identity", None) != identity:
            old = getattr(self._local, "connection", None)
            if old is not None:
                old.close()
            # The file never changes once it is in its place, so SQLite may read it without locks or a journal.
            uri = f"{self._path.resolve().as_uri()}?mode=ro&immutable=1"
            self._local.connection = sqlite3.connect(uri, uri=True)
            self._local.identity = identity
        connection: sqlite3.Connection = self._local.connection
        return connection


def _distinct(rows: pd.DataFrame, keys: list[str]) -> tuple[np.ndarray, list[list[Any]]]:
    """The distinct entities among the rows, and each row's number in them."""
    if len(keys) == 1:
        codes, unique = pd.factorize(rows[keys[0]], use_na_sentinel=False)
        columns = [pd.Series(unique)]
    else:
        parts = [pd.factorize(rows[key], use_na_sentinel=False) for key in keys]
        combined = parts[0][0].astype(np.int64)
        for part, unique in parts[1:]:
            combined = combined * max(len(unique), 1) + part
        codes = pd.factorize(combined)[0]
        firsts = np.unique(codes, return_index=True)[1]
        columns = [rows[key].iloc[firsts].reset_index(drop=True) for key in keys]
    texts = [column.astype(object).where(column.notna(), None).map(str, na_action="ignore") for column in columns]
    return codes, [list(entity) for entity in zip(*texts, strict=True)]
