"""Payments that are scored, as events: each is written to the event log, and seen by those that are scored after it."""

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ecomine.errors import StreamingError
from ecomine.feature_store.catalogue import streaming_params
from ecomine.risk.lately import Lately
from ecomine.risk.moment import Event
from ecomine.risk.timeline import SCALE
from ecomine.risk.velocity import ENTITIES
from ecomine.streaming import Following, Intake, judge

log = logging.getLogger("ecomine.serving")

KIND = "payments"
EPOCH = datetime(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)


class Till:
    """The payments of a workspace's event log, whoever brought them; safe from several threads."""

    DOMAIN = "risk"

    def __init__(self, workspace: Path, intake: Intake) -> None:
        self._intake, self._params = intake, streaming_params(workspace)
        self._following = Following(workspace, intake.log, KIND)
        self._lately = Lately()
        self._lock = threading.Lock()

    def look(self) -> None:
        """Take note of what has come into the log until now; where it cannot be read, payments are judged without."""
        with self._lock:
            try:
                for micro, row in self._following.news():
                    self._lately.add(row["payment_id"], event(micro, row))
            except StreamingError as error:
                log.error("risk: the last minutes cannot be read: %s", error)

    def past(self, payments: Sequence[tuple[str, Event]], since: int) -> list[tuple[str, Event]]:
        """As `Lately.past`, with what has come into the log until now."""
        self.look()
        with self._lock:
            return self._lately.past(payments, since)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> "Future[list[bool]] | None":
        """Bring payments, as rows of the canonical table, to the log; the answer is there once they are on disk.

        One of a time that no event may have (`streaming.window_days`, `ahead_minutes`) is left out; None where none is
        left.
        """
        judged = judge([{"kind": KIND, **row} for row in rows], self._intake.now, self._params)
        if not judged.entries:
            return None
        refused = {one.row for one in judged.refusals}
        kept = [row for number, row in enumerate(rows) if number not in refused]
        with self._lock:
            for entry, row in zip(judged.entries, kept, strict=True):
                self._lately.add(row["payment_id"], event(entry.micro, row))
        return self._intake.submit(judged.entries)


def event(time: int, row: Mapping[str, Any]) -> Event:
    """A row of payments at a time (microseconds since 1970) as features are told of it."""
    return Event(time, round(row["amount"] * SCALE), *(row.get(name) for name in ENTITIES))
