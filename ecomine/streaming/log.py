"""The event log: accepted events in the order in which they came, each once, on disk before anybody is told so."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa

from ecomine import layout
from ecomine.errors import SettingsError
from ecomine.feature_store.catalogue import streaming_params
from ecomine.feature_store.online_backend import filled
from ecomine.params import FILE

NOTHING = "0-0"
"""Offset before the first entry."""

SLACK_DAYS = 1.0
"""Days for which identities are kept past the window."""


class Entry(NamedTuple):
    """An event: identity (16 bytes), canonical table, time (microseconds since 1970), row as JSON."""

    id: bytes
    kind: str
    micro: int
    body: str


class EventLog(Protocol):
    """Offsets are text, `{number}-{number}`, which grow; see `order`."""

    def append(self, entries: Sequence[Entry]) -> list[bool]:
        """Write entries durably, all or none; of each whether it is new. StreamingError where it cannot be done."""

    def read(self, after: str, count: int) -> pa.Table:
        """The next entries: offset, kind, micro, body."""

    @property
    def last(self) -> str:
        """Offset of the newest entry; NOTHING where there never was one."""

    @property
    def clock(self) -> int:
        """When the newest entry came, microseconds since 1970; it never goes back."""

    def waiting(self, after: str) -> tuple[int, float]:
        """Entries after an offset, and seconds for which the oldest of them has been there."""

    def check(self) -> None:
        """Raises StreamingError where nothing could be written durably now."""

    def forget(self, until: str, micro: int) -> int:
        """Take away entries up to an offset that are dated up to a time; their identities stay for the window."""


def order(offset: str) -> tuple[int, int]:
    """What offsets are sorted by.

    >>> order("9-0") < order("10-0")
    True
    """
    first, _, second = offset.partition("-")
    return int(first), int(second or 0)


def event_log(workspace: Path) -> EventLog:
    """The event log of a workspace; raises SettingsError where the section `streaming` cannot be used."""
    params = streaming_params(workspace)
    if params.kind == "log":
        from ecomine.streaming.log_sqlite import SqliteLog

        return SqliteLog(Path(workspace) / layout.EVENT_LOG, params)
    if params.kind != "redis":
        raise SettingsError(f"{FILE}: `streaming.kind` is {params.kind!r}; expected log or redis.")
    url = filled(params.url or "", "streaming.url", "redis")
    try:
        from ecomine.streaming.log_redis import RedisLog
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{FILE}: `streaming.kind` is redis, whose driver is not installed. "
            "Install it: pip install 'ecomine[redis]'."
        ) from error
    return RedisLog(url, params)


def exists(workspace: Path) -> bool:
    """Whether there may be something in the log: a shop that sends no events pays nothing for it."""
    return streaming_params(workspace).kind != "log" or (Path(workspace) / layout.EVENT_LOG).exists()
