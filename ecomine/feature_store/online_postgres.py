"""The online store in PostgreSQL: a schema a version, in it a table a feature view, a row an entity.

The schema `{prefix}` holds what is known of versions: `current` (the one that is read), `versions` and `progress`;
`{prefix}_{version}` holds the tables of one. Rows travel by COPY. A read asks for `current` and the rows in one go,
and once more where versions were exchanged meanwhile.
"""

import io
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv

from ecomine.errors import EcomineError, FeatureError, MissingInputError, UnavailableError
from ecomine.feature_store.online_table import (
    EVENT,
    Asked,
    Found,
    OnlineTable,
    nothing_there,
    quoted,
    scattered,
    write_receipt,
)

LOOKS = 10
"""Times that a version which is gone is replaced by the newest one before a read gives up."""

GONE = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)


@dataclass(frozen=True)
class Version:
    """A version: its name and the moment up to which it knows the shop."""

    name: str
    as_of: datetime
    statements: dict[OnlineTable, str] = field(default_factory=dict, compare=False)


class PostgresBackend:
    """The published version in a PostgreSQL database, in schemas whose names begin with `prefix`.

    A read borrows a connection that is idle, or opens one: there are as many as were ever needed at one time.
    """

    def __init__(self, url: str, prefix: str) -> None:
        self._url, self.prefix = url, prefix
        self._idle: deque[psycopg.Connection] = deque()
        self._version: Version | None = None
        weakref.finalize(self, _close, self._idle)

    @property
    def as_of(self) -> datetime:
        with _answering(), self._lent() as connection:
            return self._look(connection).as_of

    @property
    def state(self) -> str | None:
        return None

    def read(self, asked: Asked) -> Found:
        with _answering():
            try:
                return self._read(asked)
            except psycopg.OperationalError:  # as where the server was started anew: once more, on a fresh connection
                _close(self._idle)
                return self._read(asked)

    def _read(self, asked: Asked) -> Found:
        with self._lent() as connection:
            version = self._version or self._look(connection)
            for _ in range(LOOKS):
                try:
                    rows = self._rows(connection, version, asked)
                except GONE:
                    rows = None
                except psycopg.errors.UndefinedColumn as error:
                    raise MissingInputError(
                        f"The online store was filled for other features than params.yaml names now "
                        f"({error.diag.message_primary}). Run `ecomine stage materialize`."
                    ) from error
                if rows is not None:
                    pairs = [
                        scattered(found, len(entities), len(table.features))
                        for found, (table, entities) in zip(rows, asked, strict=True)
                    ]
                    return Found(version.as_of, [values for values, _ in pairs], [moments for _, moments in pairs])
                version = self._look(connection, version)
        raise FeatureError("The versions of the online store are exchanged faster than they can be read.")

    def _rows(self, connection: psycopg.Connection, version: Version, asked: Asked) -> list[list[Any]] | None:
        """The rows of each table asked; None where this version is no longer the current one."""
        with connection.pipeline():
            current = connection.execute(f"SELECT version FROM {quoted(self.prefix)}.current", binary=True)
            cursors = []
            for table, entities in asked:
                statement = version.statements.get(table)
                if statement is None:
                    statement = version.statements[table] = _select(self.schema(version.name), table)
                keys = [[entity[number] for entity in entities] for number in range(len(table.keys))]
                cursors.append(connection.execute(statement, keys, binary=True))
            name = current.fetchone()
            rows = [cursor.fetchall() for cursor in cursors]
        return rows if name == (version.name,) else None

    def load(self, digest: str, as_of: datetime, tables: Sequence[OnlineTable]) -> "PostgresLoad":
        return PostgresLoad(self, digest, as_of, tables)

    def put(self, table: OnlineTable, batch: pa.RecordBatch) -> None:
        with _answering(), self._lent() as connection:
            schema = self.schema(self._look(connection).name)
            with connection.transaction():
                merge(connection, schema, table, batch)

    def shape(self, tables: Sequence[OnlineTable], dropped: Sequence[str]) -> None:
        with _answering(), self._lent() as connection:
            self.prepare(connection)
            with connection.transaction():
                row = connection.execute(f"SELECT version FROM {quoted(self.prefix)}.current FOR UPDATE").fetchone()
                name = row[0] if row else "applied"
                schema = self.schema(name)
                if row is None:
                    self.describe(connection, name, datetime.min)
                    self.point(connection, name)
                for view in dropped:
                    connection.execute(f"DROP TABLE IF EXISTS {quoted(schema)}.{quoted(view)}")
                for table in tables:
                    create(connection, schema, table)

    def schema(self, version: str) -> str:
        return f"{self.prefix}_{version}"

    def connect(self) -> psycopg.Connection:
        # Every statement is prepared at once: reads are few and come again and again.
        return psycopg.connect(self._url, autocommit=True, prepare_threshold=0)

    def prepare(self, connection: psycopg.Connection) -> None:
        """Make the tables that tell of versions, where they are not there yet."""
        own = quoted(self.prefix)
        with connection.transaction():
            # Two that begin at one time would stumble over each other in CREATE IF NOT EXISTS.
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [self.prefix])
            connection.execute("SET LOCAL client_min_messages = warning")
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {own}")
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {own}.current (one boolean PRIMARY KEY DEFAULT true CHECK (one), "
                "version text NOT NULL)"
            )
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {own}.versions (version text PRIMARY KEY, as_of text NOT NULL)"
            )
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {own}.progress (version text, view text, chunk text, "
                "done bigint NOT NULL, PRIMARY KEY (version, view, chunk))"
            )

    def describe(self, connection: psycopg.Connection, version: str, as_of: datetime) -> None:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(self.schema(version))}")
        connection.execute(
            f"INSERT INTO {quoted(self.prefix)}.versions VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [version, as_of.isoformat()],
        )

    def point(self, connection: psycopg.Connection, version: str) -> None:
        """Have everybody read this version from now on."""
        connection.execute(
            f"INSERT INTO {quoted(self.prefix)}.current (version) VALUES (%s) "
            "ON CONFLICT (one) DO UPDATE SET version = excluded.version",
            [version],
        )

    def remove(self, connection: psycopg.Connection, keep: Sequence[str]) -> None:
        """Take away every version but those to keep."""
        own = quoted(self.prefix)
        rows = connection.execute(f"SELECT version FROM {own}.versions WHERE version <> ALL(%s)", [list(keep)])
        for (version,) in rows.fetchall():
            with connection.transaction():
                connection.execute("SET LOCAL client_min_messages = warning")
                connection.execute(f"DROP SCHEMA IF EXISTS {quoted(self.schema(version))} CASCADE")
                connection.execute(f"DELETE FROM {own}.progress WHERE version = %s", [version])
                connection.execute(f"DELETE FROM {own}.versions WHERE version = %s", [version])

    @contextmanager
    def _lent(self) -> Iterator[psycopg.Connection]:
        """A connection that nobody else uses meanwhile."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self.connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    def _look(self, connection: psycopg.Connection, known: Version | None = None) -> Version:
        own = quoted(self.prefix)
        try:
            row = connection.execute(
                f"SELECT version, as_of FROM {own}.current JOIN {own}.versions USING (version)"
            ).fetchone()
        except GONE:
            row = None
        if row is None:
            raise nothing_there(f"{self.prefix}.current in PostgreSQL")
        if known is not None and known.name == row[0]:
            raise FeatureError(f"The online version {row[0]} lacks a table; run `ecomine stage materialize`.")
        self._version = Version(row[0], datetime.fromisoformat(row[1]))
        return self._version


class PostgresLoad:
    """A version in the making, in a schema of its own; a batch and how far it goes are one transaction."""

    def __init__(self, backend: PostgresBackend, digest: str, as_of: datetime, tables: Sequence[OnlineTable]) -> None:
        self._backend, self._digest, self._as_of, self._tables = backend, digest, as_of, tables
        self._own = quoted(backend.prefix)
        with _answering():
            self._connection = connection = backend.connect()
            weakref.finalize(self, connection.close)
            backend.prepare(connection)
            row = connection.execute(f"SELECT version FROM {self._own}.current").fetchone()
            current = row[0] if row else ""
            # A version that is read is never written to, even where the new one is made of the same data.
            self._name = f"{digest}b" if current == f"{digest}a" else f"{digest}a"
            self._schema = backend.schema(self._name)
            backend.remove(connection, keep=(self._name, current))
            with connection.transaction():
                connection.execute("SET LOCAL client_min_messages = warning")
                backend.describe(connection, self._name, as_of)
                for table in tables:
                    create(connection, self._schema, table)

    def done(self, table: str, chunk: str) -> int:
        with _answering():
            row = self._connection.execute(
                f"SELECT done FROM {self._own}.progress WHERE version = %s AND view = %s AND chunk = %s",
                [self._name, table, chunk],
            ).fetchone()
        return int(row[0]) if row else 0

    def write(self, table: OnlineTable, chunk: str, batch: pa.RecordBatch, done: int) -> None:
        with _answering(), self._connection.transaction():
            merge(self._connection, self._schema, table, batch)
            self._connection.execute(
                f"INSERT INTO {self._own}.progress VALUES (%s, %s, %s, %s) "
                "ON CONFLICT (version, view, chunk) DO UPDATE SET done = excluded.done",
                [self._name, table.name, chunk, done],
            )

    def publish(self, folder: Path) -> dict[str, int]:
        rows, connection = {}, self._connection
        with _answering():
            for table in self._tables:
                name = f"{quoted(self._schema)}.{quoted(table.name)}"
                connection.execute(f"ANALYZE {name}")
                rows[table.name] = connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # type: ignore[index]
            with connection.transaction():
                connection.execute(f"DELETE FROM {self._own}.progress WHERE version = %s", [self._name])
                self._backend.point(connection, self._name)
            self._backend.remove(connection, keep=(self._name,))
            connection.close()
        write_receipt(folder, "postgres", self._backend.prefix, self._as_of, self._digest, rows)
        return rows


def _close(idle: deque[psycopg.Connection]) -> None:
    while idle:
        idle.pop().close()


def create(connection: psycopg.Connection, schema: str, table: OnlineTable) -> None:
    """The table of a view, where it is not there yet."""
    columns = [f"{quoted(key)} text" for key in table.keys]
    columns += [f"{quoted(feature)} double precision" for feature in table.features]
    columns += [f"{EVENT} bigint NOT NULL", f"PRIMARY KEY ({', '.join(map(quoted, table.keys))})"]
    connection.execute("SET LOCAL client_min_messages = warning")
    connection.execute(f"CREATE TABLE IF NOT EXISTS {quoted(schema)}.{quoted(table.name)} ({', '.join(columns)})")


def merge(connection: psycopg.Connection, schema: str, table: OnlineTable, batch: pa.RecordBatch) -> None:
    """Put a batch in the place of earlier rows of the same keys; inside a transaction."""
    name, columns = f"{quoted(schema)}.{quoted(table.name)}", ", ".join(map(quoted, table.columns))
    new = ", ".join(f"{quoted(column)} = excluded.{quoted(column)}" for column in table.columns[len(table.keys) :])
    connection.execute(f"CREATE TEMP TABLE incoming (LIKE {name}) ON COMMIT DROP", prepare=False)
    with connection.cursor().copy(f"COPY incoming ({columns}) FROM STDIN (FORMAT csv)") as copy:
        copy.write(_csv(batch))
    connection.execute(
        f"INSERT INTO {name} ({columns}) SELECT {columns} FROM incoming "
        f"ON CONFLICT ({', '.join(map(quoted, table.keys))}) DO UPDATE SET {new}",
        prepare=False,
    )
    connection.execute("DROP TABLE incoming", prepare=False)


def _csv(batch: pa.RecordBatch) -> memoryview:
    """A batch as CSV: texts in quotes, nulls empty, numbers in the shortest form that gives the same double."""
    columns = []
    for column in batch.columns:
        # NaN is a null here as everywhere in the store.
        floating = pa.types.is_floating(column.type)
        columns.append(pa.array(column.to_numpy(zero_copy_only=False), from_pandas=True) if floating else column)
    text = io.BytesIO()
    options = pyarrow.csv.WriteOptions(include_header=False)
    pyarrow.csv.write_csv(pa.RecordBatch.from_arrays(columns, names=batch.schema.names), text, options)
    return text.getbuffer()


def _select(schema: str, table: OnlineTable) -> str:
    names = [f"k{number}" for number in range(len(table.keys))]
    columns = ", ".join(f"stored.{quoted(column)}" for column in (EVENT, *table.features))
    match = " AND ".join(f"stored.{quoted(key)} = wanted.{name}" for key, name in zip(table.keys, names, strict=True))
    return (
        f"SELECT wanted.place - 1, {columns} FROM unnest({', '.join(['%s::text[]'] * len(names))}) "
        f"WITH ORDINALITY AS wanted ({', '.join(names)}, place) "
        f"JOIN {quoted(schema)}.{quoted(table.name)} AS stored ON {match}"
    )


@contextmanager
def _answering() -> Iterator[None]:
    """PostgreSQL's errors as one of ours, without the address, which may hold a password."""
    try:
        yield
    except EcomineError:
        raise
    except psycopg.Error as error:
        told = str(error)
        # A server that says no to a user or a name says so again; one that is starting up does not.
        refused = "FATAL:" in told and "the database system is" not in told
        away = isinstance(error, psycopg.OperationalError) and not refused
        raise (UnavailableError if away else FeatureError)(
            f"The online store in PostgreSQL failed: {told.strip()}. See `online.url` in params.yaml and the "
            "server's log."
        ) from error
