"""The rows of one kind as they come into the event log, for whoever keeps them in memory."""

import json
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from ecomine.feature_store.catalogue import streaming_params
from ecomine.streaming.log import NOTHING, EventLog, exists

AT_ONCE = 5_000
"""Entries that are read at once."""


class Following:
    """Reads an event log from its beginning on, each entry once; one thread at a time."""

    def __init__(self, workspace: Path, log: EventLog, kind: str) -> None:
        self._workspace, self._log, self._kind = workspace, log, kind
        self._params = streaming_params(workspace)
        self._offset = NOTHING

    def news(self) -> list[tuple[int, dict[str, Any]]]:
        """Time (microseconds since 1970) and columns of the rows that came since the last call, in their order.

        Raises StreamingError where the log cannot be read.
        """
        rows: list[tuple[int, dict[str, Any]]] = []
        if self._offset == NOTHING and not exists(self._workspace, self._params):
            return rows
        count = AT_ONCE
        while count == AT_ONCE:
            entries = self._log.read(self._offset, AT_ONCE)
            count = entries.num_rows
            if count:
                self._offset = entries["offset"][-1].as_py()
                own = entries.filter(pc.equal(entries["kind"], self._kind))
                times, bodies = own["micro"].to_pylist(), own["body"].to_pylist()
                rows += [(micro, json.loads(body)) for micro, body in zip(times, bodies, strict=True)]
        return rows
