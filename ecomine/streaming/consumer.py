"""What takes accepted events on: into the live state at once, into the shop's files by and by.

One process of a workspace does so at a time, the one that holds the lock; the others stand by and go on where it ended.
"""

import fcntl
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import duckdb

from ecomine import layout
from ecomine.errors import EcomineError, LockedError, StreamingError
from ecomine.feature_store import LIVE_TABLES, LiveTable, live_state
from ecomine.feature_store.catalogue import streaming_params
from ecomine.feature_store.declaration import SCALE
from ecomine.feature_store.online_table import microseconds
from ecomine.store import Store
from ecomine.streaming.envelope import TIME, identity_sql
from ecomine.streaming.landing import land
from ecomine.streaming.log import event_log, exists

log = logging.getLogger("ecomine.streaming")

PAUSE = 0.02
"""Seconds between two looks into the log."""

AGAIN = 1.0
"""Seconds until what failed is tried again."""

LOOK = 5.0
"""Seconds between two looks for newer clean tables."""

LATE = 1.0
"""Seconds that an event may wait before readiness tells of it."""

DAY = 86_400.0


class Consumer:
    """Takes on the events of one workspace."""

    def __init__(self, workspace: Path) -> None:
        self.workspace, self._store = Path(workspace).resolve(), Store(workspace)
        self._params = streaming_params(workspace)
        self.log, self.state = event_log(workspace), live_state(workspace)
        self._landed = self._looked = self._purged = -DAY

    def once(self) -> tuple[int, int]:
        """Take on all that there is and write it into the files; returns (events taken on, events in files).

        Raises LockedError where another process does so already, StreamingError where it cannot be done.
        """
        with self._alone():
            self._look()
            taken = 0
            while count := self.state.apply(self._params.batch):
                taken += count
            return taken, land(self.workspace)

    def run(self, stop: threading.Event) -> None:
        """Take on events as they come until `stop` is set."""
        while not stop.is_set():
            try:
                with self._alone():
                    log.info("events: taken on by process %d", os.getpid())
                    self._go_on(stop)
            except LockedError:
                stop.wait(AGAIN)

    def _go_on(self, stop: threading.Event) -> None:
        failed = ""
        while not stop.is_set():
            try:
                taken = self._step()
                failed = ""
            except (EcomineError, duckdb.Error, OSError) as error:
                if str(error) != failed:
                    log.error("events are not taken on for the moment: %s", error)
                failed = str(error)
                stop.wait(AGAIN)
                continue
            if taken < self._params.batch:
                stop.wait(PAUSE)  # what comes meanwhile is taken on together

    def _step(self) -> int:
        """What is due; returns how many events were taken on."""
        if not exists(self.workspace):
            return 0
        now = time.monotonic()
        if now - self._looked > LOOK:
            self._look()
            self._looked = now
        taken = self.state.apply(self._params.batch)
        if taken == 0 and now - self._landed > self._params.land_minutes * 60:
            land(self.workspace)
            self._landed = now
        if taken == 0 and now - self._purged > DAY:
            self.state.purge(time.time_ns() // 1000)
            self._purged = now
        return taken

    def _look(self) -> None:
        """Add what newer clean tables say about the time of the windows, and let the log go of what is in them."""
        report = self._store.path(layout.CLEAN_REPORT)
        if not exists(self.workspace) or not report.exists():
            return
        name = hashlib.sha256(report.read_bytes()).hexdigest()[:16]
        if name == self.state.seeded:
            return
        as_of = datetime.fromisoformat(self._store.read_json(layout.CLEAN_REPORT, "as_of")["as_of"])
        with duckdb.connect(config={"threads": 1}) as connection:
            for table in LIVE_TABLES.values():
                path = self._store.path(f"{layout.CLEAN}/{table.source}.parquet")
                if path.exists():
                    since = microseconds(as_of) - table.horizon
                    rows = connection.execute(_of_late(table), [path.as_posix(), since]).to_arrow_table()
                    self.state.seed(table, rows)
        self.state.mark_seeded(name)
        self._forget(as_of)

    def _forget(self, as_of: datetime) -> None:
        """Entries that the last ingest has read from the files and that lie in the time of the clean tables."""
        streamed = json.loads(self._store.path(layout.INGEST_REPORT).read_text()).get("streamed")
        if streamed:
            self.log.forget(str(streamed), microseconds(as_of))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        path = self._store.path(layout.CONSUMER)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(descriptor, 32).decode().strip() or "unknown"
                raise LockedError(
                    f"Events of {self.workspace} are taken on by process {holder} already (`ecomine serve` does so, "
                    "unless `streaming.embedded` is false); one at a time."
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(descriptor)


def lag(consumer: Consumer) -> str:
    """How far the live state is behind the log, in words."""
    with suppress(StreamingError):
        behind, seconds = consumer.log.waiting(consumer.state.position)
        late = f"events are late: {behind:,} wait to be taken on, the oldest for {seconds:.1f} s"
        return late if seconds > LATE else "written and taken on"
    return "the event log or the live state cannot be read"


def _of_late(table: LiveTable) -> str:
    """Rows of a clean table as the live state keeps them: entity, micro, id, measures."""
    parts = [
        "1" if one.column is None
        else f"CAST(round({one.column} * {SCALE}) AS BIGINT)" if one.is_money
        else f"CAST({one.column} = '{one.equals}' AS BIGINT)"
        for one in table.measures
    ]  # fmt: skip
    return (
        f"SELECT {table.key}, epoch_us({TIME}), {identity_sql(table.source)}, {', '.join(parts)} "
        f"FROM read_parquet(?) WHERE {table.key} IS NOT NULL AND epoch_us({TIME}) > ?"
    )
