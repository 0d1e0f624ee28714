"""The live state in a SQLite file, taken on from the event log beside it.

The events' moments and the offset up to which they are in change in one transaction, by statements that read the log
where it lies: what a process that was killed had begun is not there, and nothing is there twice.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from ecomine.errors import StreamingError
from ecomine.feature_store.declaration import SCALE
from ecomine.feature_store.live import LIVE_TABLES, MILLI, LiveTable, Measure
from ecomine.feature_store.live_state import Moments

WAIT = 5.0
"""Seconds to wait for another one's transaction."""

AT_ONCE = 20_000
"""Rows that are added in one transaction."""


class SqliteLive:
    """data/stream/live.db of a workspace; many read it, one takes events on."""

    def __init__(self, path: Path, event_log: Path) -> None:
        self._path, self._log = path, event_log
        self._local = threading.local()
        self._statements = {name: _moments(table) for name, table in LIVE_TABLES.items()}

    def moments(self, table: LiveTable, entities: Sequence[str], at: int | None) -> Moments:
        if not self._path.exists():
            return Moments.of([], len(table.measures))
        with self._reading() as connection:
            rows = connection.execute(
                self._statements[table.name], (json.dumps(entities, ensure_ascii=False), at)
            ).fetchall()
        return Moments.of(rows, len(table.measures))

    @property
    def position(self) -> str:
        return f"{self._about('offset') or 0}-0"

    @property
    def seeded(self) -> str:
        return str(self._about("seeded") or "")

    def _about(self, column: str) -> object:
        if not self._path.exists():
            return None
        with self._reading() as connection:
            row = connection.execute(f"SELECT {column} FROM position").fetchone()
        return row[0] if row else None

    def apply(self, count: int) -> int:
        with self._writing() as connection:
            before = connection.execute("SELECT offset FROM position").fetchone()[0]
            after = connection.execute(
                "SELECT max(offset), count(*) FROM (SELECT offset FROM log.entries WHERE offset > ? ORDER BY offset "
                "LIMIT ?)",
                (before, count),
            ).fetchone()
            if after[0] is None:
                return 0
            for table in LIVE_TABLES.values():
                connection.execute(_take_on(table), (before, after[0]))
                connection.execute(_trim(table), (before, after[0]))
            connection.execute("UPDATE position SET offset = ?", (after[0],))
            return int(after[1])

    def seed(self, table: LiveTable, rows: pa.Table) -> None:
        marks = ", ".join("?" * (3 + len(table.measures)))
        for batch in rows.to_batches(max_chunksize=AT_ONCE):
            with self._writing() as connection:
                connection.executemany(
                    f"INSERT OR IGNORE INTO {table.name} VALUES ({marks})",
                    zip(*(column.to_pylist() for column in batch.columns), strict=True),
                )

    def mark_seeded(self, name: str) -> None:
        with self._writing() as connection:
            connection.execute("UPDATE position SET seeded = ?", (name,))

    def purge(self, now: int) -> None:
        for table in LIVE_TABLES.values():
            oldest = now - int(table.kept.total_seconds()) * MILLI * MILLI
            with self._writing() as connection:
                connection.execute(f"DELETE FROM {table.name} WHERE micro < ?", (oldest,))

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._connection()
        except sqlite3.Error as error:
            self._close()
            raise StreamingError(f"{self._path.name} cannot be read: {error}.") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._connection()
            if not getattr(self._local, "attached", False):
                connection.execute("ATTACH ? AS log", (str(self._log),))
                self._local.attached = True
            connection.execute("BEGIN")  # not IMMEDIATE, which would keep the API from writing to the log
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._close()
            raise StreamingError(
                f"{self._path.name} cannot be written: {error}. Look at the disk (`df -h`)."
            ) from error

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection; the tables are made where there are none, or others."""
        known: sqlite3.Connection | None = getattr(self._local, "open", None)
        if known is not None:
            return known
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=WAIT, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")  # the offset is lost with what it stands for
            if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                _make(connection)
        except BaseException:
            connection.close()
            raise
        self._local.open, self._local.attached = connection, False
        return connection

    def _close(self) -> None:
        connection = getattr(self._local, "open", None)
        if connection is not None:
            connection.close()
        self._local.open = None


def _make(connection: sqlite3.Connection) -> None:
    """Empty tables as they are declared now, to be filled from the log and the clean tables."""
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        for table in LIVE_TABLES.values():
            columns = ", ".join(f"{one.name} INTEGER NOT NULL" for one in table.measures)
            connection.execute(f"DROP TABLE IF EXISTS {table.name}")
            connection.execute(
                f"CREATE TABLE {table.name} (entity TEXT NOT NULL, micro INTEGER NOT NULL, id BLOB NOT NULL, "
                f"{columns}, PRIMARY KEY (entity, micro, id)) WITHOUT ROWID"
            )
        connection.execute("DROP TABLE IF EXISTS position")
        connection.execute("CREATE TABLE position (offset INTEGER NOT NULL, seeded TEXT NOT NULL)")
        connection.execute("INSERT INTO position VALUES (0, '')")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _part(measure: Measure) -> str:
    """A log entry's part in a measure, as `Measure.of` has it."""
    if measure.column is None:
        return "1"
    value = f"json_extract(body, '$.{measure.column}')"
    if measure.is_money:
        scaled = f"{value} * {SCALE}.0"
        return f"CAST({scaled} AS INTEGER) + ({scaled} - CAST({scaled} AS INTEGER) >= 0.5)"
    return f"coalesce({value} = '{measure.equals}', 0)"


def _entries(table: LiveTable) -> str:
    return (
        f"FROM log.entries WHERE offset > ?1 AND offset <= ?2 AND kind = '{table.source}' "
        f"AND json_extract(body, '$.{table.key}') IS NOT NULL"
    )


def _take_on(table: LiveTable) -> str:
    parts = ", ".join(map(_part, table.measures))
    entity = f"json_extract(body, '$.{table.key}')"
    return f"INSERT OR IGNORE INTO {table.name} SELECT {entity}, micro, id, {parts} {_entries(table)}"


def _trim(table: LiveTable) -> str:
    """Let go of what lies before the horizon of the entities just met."""
    return (
        f"DELETE FROM {table.name} WHERE (entity, micro, id) IN (SELECT old.entity, old.micro, old.id FROM ("
        f"SELECT DISTINCT json_extract(body, '$.{table.key}') AS entity {_entries(table)}) AS met "
        f"CROSS JOIN {table.name} AS old ON old.entity = met.entity AND old.micro < "
        f"(SELECT max(micro) FROM {table.name} AS own WHERE own.entity = met.entity) - {table.horizon})"
    )


def _moments(table: LiveTable) -> str:
    parts = ", ".join(f"own.{one.name}" for one in table.measures)
    return (
        "WITH ends AS (SELECT key AS place, value AS entity, "
        f"coalesce(?2, (SELECT max(micro) FROM {table.name} WHERE entity = value)) AS at FROM json_each(?1)) "
        f"SELECT place, at, own.micro, {parts} FROM ends CROSS JOIN {table.name} AS own ON own.entity = ends.entity "
        f"AND own.micro > at - {(table.longest + 1) * MILLI} AND own.micro < at + {MILLI}"
    )


VERSION = int.from_bytes(
    hashlib.sha256("".join(_take_on(table) for table in LIVE_TABLES.values()).encode()).digest()[:4], "big"
) % (1 << 30)
"""Of the tables; another one makes them anew."""
