"""The file of receipts: one SQLite database a workspace, for several threads and processes.

A receipt is a row of a few bytes that names a part (see `packing`). Many receipts share one transaction; what it wrote
outlives the process from then on.
"""

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from ecomine.serving.packing import Packed

WAIT = 1.0
"""Seconds that an answer waits for a file that another process has locked."""

SHORT = 0.003
"""Seconds that it waits where all others would wait with it."""

HOUR = 3600.0
"""Seconds after which a part that is used is noted as used again."""

MARGIN = 2 * int(HOUR) * 1_000_000
"""Microseconds that a part outlives its last receipt at least: longer than any process goes without noting its use."""

AT_ONCE = 5_000
"""Rows taken away in one transaction."""

OLD_ANSWERS = f"DELETE FROM answers WHERE id IN (SELECT id FROM answers WHERE id < ? LIMIT {AT_ONCE})"
OLD_PARTS = f"DELETE FROM parts WHERE rowid IN (SELECT rowid FROM parts WHERE used < ? LIMIT {AT_ONCE})"

WEEK = 7 * 24 * int(HOUR) * 1_000_000


class ReceiptFile:
    """Rows and parts of receipts; times are microseconds since 1970."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._patient: sqlite3.Connection | None = None
        self._quick: sqlite3.Connection | None = None

    @property
    def ready(self) -> bool:
        """Whether `write_now` can be tried."""
        return self._quick is not None

    def open(self) -> None:
        """Make the file where there is none."""
        with self._open():
            pass

    def write(self, rows: Sequence[tuple[str, Packed]], now: int) -> None:
        """Keep receipts under their ids, all or none; waits for others up to WAIT."""
        with self._open() as connection:
            _write(connection, rows, now)

    def write_now(self, rows: Sequence[tuple[str, Packed]], now: int) -> None:
        """The same for one thread alone, which hardly waits: raises sqlite3.OperationalError where others write."""
        assert self._quick is not None, "`ready` is asked first"
        _write(self._quick, rows, now)

    def head(self, id_: str) -> bytes | None:
        """Content of the part that a receipt is; None where there is no such receipt."""
        with suppress(ValueError), self._open() as connection:
            row = connection.execute(
                "SELECT content FROM answers JOIN parts ON parts.digest = answers.head WHERE answers.id = ?",
                (bytes.fromhex(id_),),
            ).fetchone()
            return row[0] if row else None
        return None

    def part(self, digest: bytes) -> bytes:
        """Content of a part; KeyError where it is gone."""
        with self._open() as connection:
            row = connection.execute("SELECT content FROM parts WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            raise KeyError(digest.hex())
        return bytes(row[0])

    def newest(self, count: int) -> list[tuple[str, bytes]]:
        """Id and head's digest of the last receipts, the newest first."""
        with self._open() as connection:
            rows = connection.execute("SELECT id, head FROM answers ORDER BY id DESC LIMIT ?", (count,)).fetchall()
        return [(id_.hex(), head) for id_, head in rows]

    def count(self) -> int:
        """How many receipts there are."""
        with self._open() as connection:
            return int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])

    def tidy(self, now: int, days: float) -> None:
        """Take away what is older than so many days, a little at a time, since others wait meanwhile."""
        with self._open() as connection:
            oldest = self._cutoff(connection, now, days)
        if oldest is None:
            return
        for statement, before in ((OLD_ANSWERS, _id(oldest)), (OLD_PARTS, oldest - MARGIN)):
            gone = AT_ONCE
            while gone == AT_ONCE:
                with self._open() as connection:
                    gone = connection.execute(statement, (before,)).rowcount

    def checkpoint(self) -> None:
        """Bring what was written from the journal into the database; no writer waits for it."""
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._path, timeout=0)) as own:
            own.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _cutoff(self, connection: sqlite3.Connection, now: int, days: float) -> int | None:
        """The moment before which receipts are too old; None where none is.

        Time in which nothing was answered for long counts as none: it may be a clock that was set, and then receipts
        of a minute ago would look as if they were of last year.
        """
        left = int(days * 24 * HOUR * 1_000_000)
        long = max(int(HOUR) * 1_000_000, min(WEEK, left // 4))
        at = now
        while True:
            latest = _first(connection, "SELECT max(id) FROM answers WHERE id <= ?", _id(at, b"\xff" * 8))
            if latest is None:
                return None
            if at - latest > long:
                at = latest
            if left <= long:
                return at - left
            begin = _first(connection, "SELECT min(id) FROM answers WHERE id >= ?", _id(at - long))
            assert begin is not None, "the latest is one of them"
            left -= at - begin
            at = begin - 1

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The patient connection, for one thread at a time."""
        with self._lock:
            if self._patient is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.touch(mode=0o600)
                patient = _connected(self._path, WAIT)
                _make(patient)
                self._patient, self._quick = patient, _connected(self._path, SHORT)
                self._quick.execute("PRAGMA wal_autocheckpoint = 0")  # it takes milliseconds; see `checkpoint`
            yield self._patient


def _connected(path: Path, wait: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=wait, check_same_thread=False, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _make(connection: sqlite3.Connection) -> None:
    for statement in (
        "CREATE TABLE IF NOT EXISTS answers (id BLOB PRIMARY KEY, head BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS parts (digest BLOB NOT NULL UNIQUE, used INTEGER NOT NULL, content BLOB NOT NULL)",
        "CREATE INDEX IF NOT EXISTS parts_used ON parts (used)",
    ):
        connection.execute(statement)


def _write(connection: sqlite3.Connection, rows: Iterable[tuple[str, Packed]], now: int) -> None:
    steady = time.monotonic()
    needed = {
        id(part): part for _, packed in rows for part in packed.parts if steady - part.kept > HOUR or part.content
    }
    connection.execute("BEGIN IMMEDIATE")
    try:
        for part in needed.values():
            content = part.content
            if content is None:
                connection.execute("UPDATE parts SET used = max(used, ?) WHERE digest = ?", (now, part.digest))
            else:
                connection.execute(
                    "INSERT INTO parts VALUES (?, ?, ?) ON CONFLICT (digest) DO UPDATE SET used = max(used, ?)",
                    (part.digest, now, content, now),
                )
        connection.executemany(
            "INSERT INTO answers VALUES (?, ?)", [(bytes.fromhex(id_), packed.head.digest) for id_, packed in rows]
        )
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    for part in needed.values():
        part.kept, part.content = steady, None


def _first(connection: sqlite3.Connection, query: str, key: bytes) -> int | None:
    """The moment of the id that a query gives."""
    found = connection.execute(query, (key,)).fetchone()[0]
    return None if found is None else int.from_bytes(found[:7], "big")


def _id(moment: int, rest: bytes = b"") -> bytes:
    """Where ids of a moment begin, or end."""
    return max(moment, 0).to_bytes(7, "big") + rest
