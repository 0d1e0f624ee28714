"""The event log in a Redis stream, for several machines: identity and entry are written by one script, all or none.

Names: `{prefix}:events` is the stream, `{prefix}:event:{identity}` an identity, which expires with the window. Redis
must sync its append-only file before it answers (`appendonly yes`, `appendfsync always`), which `check` looks at.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import redis
from redis.exceptions import RedisError, ResponseError

from ecomine.errors import StreamingError
from ecomine.params import StreamingParams
from ecomine.streaming.log import NOTHING, SLACK_DAYS, Entry, order

WAIT = 5.0
"""Seconds to wait for an answer of the server."""

APPEND = """
local new = {}
for i = 3, #ARGV, 4 do
    if redis.call('SET', ARGV[1] .. ARGV[i], '', 'NX', 'EX', ARGV[2]) then
        redis.call('XADD', KEYS[1], '*', 'id', ARGV[i], 'kind', ARGV[i + 1], 'micro', ARGV[i + 2], 'body', ARGV[i + 3])
        new[#new + 1] = 1
    else
        new[#new + 1] = 0
    end
end
return new
"""

SLICE = 1_000
"""Entries that one script writes."""


class RedisLog:
    """The stream of a prefix; safe from several threads, processes and machines."""

    def __init__(self, url: str, params: StreamingParams) -> None:
        self._client: Any = redis.Redis.from_url(url, socket_timeout=WAIT, socket_connect_timeout=WAIT)
        self._stream, self._ids = f"{params.prefix}:events", f"{params.prefix}:event:"
        self._kept = int((params.window_days + params.ahead_minutes / 1440 + SLACK_DAYS) * 86_400)
        self._append = self._client.register_script(APPEND)
        self._durable = False

    def append(self, entries: Sequence[Entry]) -> list[bool]:
        if not self._durable:
            self.check()
        new: list[bool] = []
        with self._asking("written"):
            for start in range(0, len(entries), SLICE):
                arguments: list[Any] = [self._ids, self._kept]
                for one in entries[start : start + SLICE]:
                    arguments += [one.id.hex(), one.kind, one.micro, one.body]
                new += [bool(number) for number in self._append(keys=[self._stream], args=arguments)]
        return new

    def read(self, after: str, count: int) -> pa.Table:
        with self._asking("read"):
            rows = self._client.xrange(self._stream, f"({after}", "+", count)
        return pa.table(
            {
                "offset": pa.array([offset.decode() for offset, _ in rows], pa.string()),
                "kind": pa.array([row[b"kind"].decode() for _, row in rows], pa.string()),
                "micro": pa.array([int(row[b"micro"]) for _, row in rows], pa.int64()),
                "body": pa.array([row[b"body"].decode() for _, row in rows], pa.string()),
            }
        )

    @property
    def last(self) -> str:
        with self._asking("read"):
            try:
                return str(self._client.xinfo_stream(self._stream)["last-generated-id"].decode())
            except ResponseError:  # no such stream yet
                return NOTHING

    @property
    def clock(self) -> int:
        return order(self.last)[0] * 1000

    def waiting(self, after: str) -> tuple[int, float]:
        with self._asking("read"):
            oldest = self._client.xrange(self._stream, f"({after}", "+", 1)
            if not oldest:
                return 0, 0.0
            # Entries are added and taken away one by one, so a count of all is at hand and that of a part is not.
            count = len(self._client.xrange(self._stream, f"({after}", "+", 10_000))
        return count, max(time.time() - order(oldest[0][0].decode())[0] / 1000, 0.0)

    def check(self) -> None:
        with self._asking("written"):
            persistence = self._client.info("persistence")
            if not persistence.get("aof_enabled"):
                raise StreamingError("Redis keeps no append-only file, so events could be lost: set `appendonly yes`.")
            try:
                synced = self._client.config_get("appendfsync").get("appendfsync")
            except ResponseError:  # a hosted server that does not say; its settings are its operator's word
                synced = "always"
            if synced != "always":
                raise StreamingError(
                    f"Redis syncs its append-only file {synced!r}, so events could be lost: set `appendfsync always`."
                )
            if persistence.get("aof_last_write_status", "ok") != "ok":
                raise StreamingError("Redis cannot write its append-only file; look at its disk and its log.")
        self._durable = True

    def forget(self, until: str, micro: int) -> int:
        gone, after = 0, NOTHING
        with self._asking("written"):
            while rows := self._client.xrange(self._stream, f"({after}", until, SLICE):
                after = rows[-1][0].decode()
                old = [offset for offset, row in rows if int(row[b"micro"]) <= micro]
                gone += self._client.xdel(self._stream, *old) if old else 0
        return gone

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            self._durable = False  # another server may answer next, or the same with other settings
            raise StreamingError(f"The event log in Redis cannot be {what}: {error}.") from error
