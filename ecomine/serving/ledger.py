"""The payments that were scored since the last run, so that the next one sees what happened a minute ago.

One SQLite file a workspace, shared by all processes that serve it. A payment is in it before its answer leaves; what a
run has meanwhile learned from is left out by its readers, and forgotten after KEPT.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ecomine import layout
from ecomine.risk.moment import Event
from ecomine.risk.velocity import ENTITIES, MEMORY, MOST
from ecomine.store import Store

KEPT = 2 * MEMORY
"""Microseconds."""

HOUR = 3600.0
COLUMNS = "payment_id, " + ", ".join(Event._fields)


class Ledger:
    """Payments by whom they were made; safe from several threads and processes."""

    def __init__(self, store: Store) -> None:
        self._path = store.path(layout.PAYMENT_LEDGER)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._looked = 0.0

    def past(self, payments: Sequence[tuple[str, Event]], since: int) -> list[tuple[str, Event]]:
        """Payments after a moment (microseconds) that share something with the given ones, none of them itself.

        In order of time; of each entity at most the latest MOST.
        """
        found: dict[str, Event] = {}
        with self._open() as connection:
            for payment_id, event in payments:
                for name, value in zip(ENTITIES, event[2:], strict=True):
                    if value is None:
                        continue
                    rows = connection.execute(
                        f"SELECT {COLUMNS} FROM payments WHERE {name} = ? AND time > ? AND time <= ? "
                        "AND payment_id <> ? ORDER BY time DESC LIMIT ?",
                        (value, since, event.time, payment_id, MOST),
                    )
                    found |= {row[0]: Event(*row[1:]) for row in rows}
        return sorted(found.items(), key=lambda one: (one[1].time, one[0]))

    def add(self, payments: Sequence[tuple[str, Event]]) -> None:
        """Keep payments; one that is there stays as it was."""
        marks = ", ".join("?" * (1 + len(Event._fields)))
        with self._open() as connection:
            connection.executemany(
                f"INSERT OR IGNORE INTO payments ({COLUMNS}) VALUES ({marks})", [(id_, *one) for id_, one in payments]
            )
            if time.monotonic() - self._looked > HOUR or not self._looked:
                newest = connection.execute("SELECT max(time) FROM payments").fetchone()[0] or 0
                connection.execute("DELETE FROM payments WHERE time < ?", (newest - KEPT,))
                self._looked = time.monotonic()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._connection is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.touch(mode=0o600)
                self._connection = sqlite3.connect(self._path, timeout=10.0, check_same_thread=False)
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")
                self._connection.execute(
                    "CREATE TABLE IF NOT EXISTS payments (payment_id TEXT PRIMARY KEY, time INTEGER, amount INTEGER, "
                    + ", ".join(f"{name} TEXT" for name in ENTITIES)
                    + ") WITHOUT ROWID"
                )
                for name in ENTITIES:
                    self._connection.execute(f"CREATE INDEX IF NOT EXISTS by_{name} ON payments ({name}, time)")
            with self._connection:
                yield self._connection
