"""The online store in a SQLite file: the default, nothing to install, the same bytes for the same data.

A load collects its rows in a file of its own, one transaction a batch, so that what a killed run has written stays.
Its end is a copy in the order of the keys, whose bytes no longer tell in how many steps the rows came.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from ecomine import layout
from ecomine.feature_store.online_table import (
    EVENT,
    Asked,
    Entity,
    Found,
    OnlineTable,
    lacking,
    matrix,
    nothing_there,
    quoted,
    scattered,
)
from ecomine.store import moved_aside, sync

ABOUT = "about"
PROGRESS = "progress"
FILE = Path(layout.ONLINE_FILE).name


class SqliteBackend:
    """data/online/online.db of a workspace.

    Each thread has its own connection, opened anew once the file was replaced; while the file is away, for the
    moment of being replaced, the old one is read.
    """

    def __init__(self, workspace: Path) -> None:
        self._workspace = Path(workspace).resolve()
        self._path = self._workspace / layout.ONLINE_FILE
        self._aside = moved_aside(self._path.parent) / FILE
        self._local = threading.local()
        self._statements: dict[OnlineTable, tuple[str, str]] = {}

    @property
    def as_of(self) -> datetime:
        return self._connection()[1]

    @property
    def state(self) -> str | None:
        for path in (self._path, self._aside, self._path):
            try:
                return ":".join(map(str, _identity(path)))
            except FileNotFoundError:
                continue
        raise nothing_there(layout.ONLINE_FILE)

    def read(self, asked: Asked) -> Found:
        connection, as_of = self._connection()
        found = Found(as_of, [], [])
        for table, entities in asked:
            values, moments = scattered(
                self._rows(connection, table, entities) if entities else [], len(entities), len(table.features)
            )
            found.values.append(values)
            found.moments.append(moments)
        return found

    def _rows(self, connection: sqlite3.Connection, table: OnlineTable, entities: Sequence[Entity]) -> list:
        statements = self._statements.get(table)
        if statements is None:
            statements = self._statements[table] = _select_one(table), _select(table)
        try:
            if len(entities) == 1:
                return connection.execute(statements[0], entities[0]).fetchall()
            # All entities travel as one JSON argument, since SQLite limits how many arguments a statement takes.
            return connection.execute(statements[1], (json.dumps(entities, ensure_ascii=False),)).fetchall()
        except sqlite3.OperationalError as error:
            raise lacking(table, _columns(connection, table.name)) from error

    def load(self, digest: str, as_of: datetime, tables: Sequence[OnlineTable]) -> "SqliteLoad":
        return SqliteLoad(self._workspace / layout.LOADS, digest, as_of, tables)

    def put(self, table: OnlineTable, batch: pa.RecordBatch) -> None:
        with self._writing() as file:
            _insert(file, table, batch)

    def shape(self, tables: Sequence[OnlineTable], dropped: Sequence[str]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._writing() as file:
            if not _columns(file, ABOUT):
                _describe(file, datetime.min)
            for name in dropped:
                file.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
            for table in tables:
                _create(file, table)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path)) as file, file:
            yield file

    def _connection(self) -> tuple[sqlite3.Connection, datetime]:
        mine: tuple[tuple[int, int, int, int], sqlite3.Connection, datetime] | None = getattr(self._local, "open", None)
        # Looked for once more at the end: it may have come back between the first look and the second.
        for path in (self._path, self._aside, self._path):
            try:
                identity = _identity(path)
                if mine is not None and (mine[0] == identity or path == self._aside):
                    return mine[1], mine[2]
                connection, as_of = _opened(path)
            except (FileNotFoundError, sqlite3.OperationalError):
                continue
            if mine is not None:
                mine[1].close()
            self._local.open = (identity, connection, as_of)
            return connection, as_of
        if mine is not None:
            return mine[1], mine[2]
        raise nothing_there(layout.ONLINE_FILE)


class SqliteLoad:
    """The rows of a version in a file of its own, until they are all there."""

    def __init__(self, folder: Path, digest: str, as_of: datetime, tables: Sequence[OnlineTable]) -> None:
        self._folder, self._path = folder, folder / f"{digest}.db"
        self._as_of, self._tables = as_of, tables
        folder.mkdir(parents=True, exist_ok=True)
        for other in folder.glob("*.db*"):
            if not other.name.startswith(self._path.name):
                other.unlink()
        try:
            self._begin()
        except sqlite3.DatabaseError:  # damaged, as after a loss of power: begin anew
            for own in folder.glob(f"{self._path.name}*"):
                own.unlink()
            self._begin()

    def _begin(self) -> None:
        self._file = sqlite3.connect(self._path, isolation_level=None)
        for pragma in ("page_size = 8192", "journal_mode = WAL", "synchronous = NORMAL", "cache_size = -65536"):
            self._file.execute(f"PRAGMA {pragma}")
        self._file.execute("BEGIN")
        self._file.execute(
            f"CREATE TABLE IF NOT EXISTS {PROGRESS} (view TEXT, chunk TEXT, done INTEGER, PRIMARY KEY (view, chunk))"
        )
        for table in self._tables:
            _create(self._file, table)
        self._file.execute("COMMIT")

    def done(self, table: str, chunk: str) -> int:
        row = self._file.execute(f"SELECT done FROM {PROGRESS} WHERE view = ? AND chunk = ?", (table, chunk)).fetchone()
        return int(row[0]) if row else 0

    def write(self, table: OnlineTable, chunk: str, batch: pa.RecordBatch, done: int) -> None:
        self._file.execute("BEGIN")
        _insert(self._file, table, batch)
        self._file.execute(f"INSERT OR REPLACE INTO {PROGRESS} VALUES (?, ?, ?)", (table.name, chunk, done))
        self._file.execute("COMMIT")

    def publish(self, folder: Path) -> dict[str, int]:
        target, rows = folder / FILE, {}
        with closing(sqlite3.connect(target, isolation_level=None)) as file:
            # The file takes its place as a whole with its folder, so a journal would guard nothing.
            for pragma in ("page_size = 8192", "journal_mode = OFF", "synchronous = OFF", "cache_size = -65536"):
                file.execute(f"PRAGMA {pragma}")
            file.execute("ATTACH ? AS load", (str(self._path),))
            file.execute("BEGIN")
            _describe(file, self._as_of)
            for table in self._tables:
                _create(file, table)
                name = quoted(table.name)
                rows[table.name] = file.execute(f"INSERT INTO main.{name} SELECT * FROM load.{name}").rowcount
            file.execute("COMMIT")
        sync(target)
        self._file.close()
        for own in self._folder.glob(f"{self._path.name}*"):
            own.unlink()
        self._folder.rmdir()
        return rows


def _identity(path: Path) -> tuple[int, int, int, int]:
    """What is another one once the file was exchanged or written to."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        status = os.fstat(descriptor)
        # SQLite counts its transactions in these bytes of the header; clocks of files stand still for milliseconds.
        changes = int.from_bytes(os.pread(descriptor, 4, 24), "big")
    finally:
        os.close(descriptor)
    return status.st_dev, status.st_ino, status.st_mtime_ns, changes


def _opened(path: Path) -> tuple[sqlite3.Connection, datetime]:
    # The file never changes once it is in its place, so SQLite may read it without locks or a journal.
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        return connection, datetime.fromisoformat(connection.execute(f"SELECT as_of FROM {ABOUT}").fetchone()[0])
    except BaseException:
        connection.close()
        raise


def _describe(file: sqlite3.Connection, as_of: datetime) -> None:
    file.execute(f"CREATE TABLE {ABOUT} (as_of TEXT NOT NULL)")
    file.execute(f"INSERT INTO {ABOUT} VALUES (?)", (as_of.isoformat(),))


def _create(file: sqlite3.Connection, table: OnlineTable) -> None:
    """The table of a view, clustered by its keys."""
    columns = [f"{quoted(key)} TEXT NOT NULL" for key in table.keys]
    columns += [f"{quoted(feature)} REAL" for feature in table.features]
    columns += [f"{EVENT} INTEGER NOT NULL", f"PRIMARY KEY ({', '.join(map(quoted, table.keys))})"]
    file.execute(f"CREATE TABLE IF NOT EXISTS {quoted(table.name)} ({', '.join(columns)}) WITHOUT ROWID")


def _insert(file: sqlite3.Connection, table: OnlineTable, batch: pa.RecordBatch) -> None:
    keys = [batch.column(key).to_pylist() for key in table.keys]
    values = [column.tolist() for column in matrix(table, batch).T]  # SQLite stores NaN as NULL
    marks = ", ".join("?" * len(table.columns))
    file.executemany(
        f"INSERT OR REPLACE INTO {quoted(table.name)} ({', '.join(map(quoted, table.columns))}) VALUES ({marks})",
        zip(*keys, *values, batch.column(EVENT).to_pylist(), strict=True),
    )


def _select_one(table: OnlineTable) -> str:
    columns = ", ".join(map(quoted, (EVENT, *table.features)))
    match = " AND ".join(f"{quoted(key)} = ?" for key in table.keys)
    return f"SELECT 0, {columns} FROM {quoted(table.name)} WHERE {match}"


def _select(table: OnlineTable) -> str:
    keys = range(len(table.keys))
    wanted = ", ".join(f"json_extract(entity.value, '$[{number}]') AS k{number}" for number in keys)
    match = " AND ".join(f"stored.{quoted(key)} = wanted.k{number}" for number, key in enumerate(table.keys))
    columns = ", ".join(f"stored.{quoted(column)}" for column in (EVENT, *table.features))
    return (
        f"SELECT wanted.place, {columns} FROM (SELECT entity.key AS place, {wanted} FROM json_each(?) AS entity) "
        f"AS wanted CROSS JOIN {quoted(table.name)} AS stored ON {match}"
    )


def _columns(file: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in file.execute(f"PRAGMA table_info({quoted(table)})")]
