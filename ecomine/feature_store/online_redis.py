"""The online store in Redis: a hash a table, a field an entity, a value of doubles.

Names: `{prefix}:current` is the version that is read; `{prefix}:{version}:about` its time and columns as JSON;
`{prefix}:{version}:view:{table}` the hash; `{prefix}:state` a name for what all of it holds. A value is the row's time
(int64, microseconds since 1970) and its features (float64, NaN for null), little-endian. Each hash of a version that is
or was published also has the field MARK. A version is taken away by one command, all its hashes at once, so a read that
finds the mark in every hash it asks has found everything; where a mark is absent it looks for the current version and
asks again.
"""

import json
import secrets
import threading
import weakref
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import redis
from redis.exceptions import AuthenticationError, AuthorizationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ecomine.errors import FeatureError, UnavailableError
from ecomine.feature_store.online_line import Line
from ecomine.feature_store.online_table import (
    EVENT,
    MISSING,
    Asked,
    Entity,
    Found,
    OnlineTable,
    lacking,
    matrix,
    nothing_there,
    write_receipt,
)

MARK = b"\xff"
"""Of a published hash; no entity's field, since those are UTF-8."""

PAIRS = 1000
"""Entities a command."""

LOOKS = 10
"""Times that a version which is gone is replaced by the newest one before a read gives up."""


@dataclass(frozen=True)
class Version:
    """A version: its name, the moment up to which it knows the shop, the columns of its tables."""

    name: str
    as_of: datetime
    tables: dict[str, list[str]]
    plans: dict[OnlineTable, "Plan"] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Plan:
    """How a table is asked for: a command up to its fields, where features stand in a value, the value of nobody."""

    head: bytes
    places: np.ndarray | slice
    nobody: bytes

    def command(self, entities: Sequence[Entity]) -> bytes:
        """Of the mark and of each entity."""
        fields = [_field(entity) for entity in entities]
        return b"".join(
            [b"*%d\r\n" % (len(fields) + 3), self.head, *[b"$%d\r\n%b\r\n" % (len(text), text) for text in fields]]
        )


class RedisBackend:
    """The published version in a Redis server, under names that begin with `prefix`."""

    def __init__(self, url: str, prefix: str) -> None:
        self._client: Any = redis.Redis.from_url(url)  # annotated by redis for both answers as text and as bytes
        self._prefix = prefix
        # A read borrows one that is idle, or opens one: there are as many as were ever needed at one time.
        self._idle: deque[Line] = deque()
        weakref.finalize(self, _close, self._idle)
        self._version: Version | None = None
        self._state = b"*3\r\n" + _texts(b"MGET", self._key("current"), self._key("state"))
        self._looking = threading.Lock()

    @property
    def as_of(self) -> datetime:
        with ANSWERING:
            return self._look().as_of

    @property
    def state(self) -> str | None:
        """A name that is drawn anew, in the same transaction, whenever rows change; None in a store without one.

        What is read from then on is of this state or of a later one.
        """
        with ANSWERING:
            try:
                ((current, name),) = self._exchange([self._state])
            except RedisConnectionError:
                _close(self._idle)
                ((current, name),) = self._exchange([self._state])
            if self._version is None or current != self._version.name.encode():
                self._look()
        return None if name is None else name.decode()

    def read(self, asked: Asked) -> Found:
        with ANSWERING:
            version = self._version or self._look()
            for _ in range(LOOKS):
                plans = [version.plans.get(table) or self._plan(version, table) for table, _ in asked]
                commands = [plan.command(entities) for plan, (_, entities) in zip(plans, asked, strict=True)]
                try:
                    replies = self._exchange(commands)
                except RedisConnectionError:  # as where the server was started anew: once more, on a fresh connection
                    _close(self._idle)
                    replies = self._exchange(commands)
                gone = [table for (table, _), reply in zip(asked, replies, strict=True) if reply[0] is None]
                if not gone:
                    return _found(version, plans, asked, replies)
                known, version = version, self._look()
                if known.name == version.name:
                    raise lacking(gone[0], ())
        raise FeatureError("The versions of the online store are exchanged faster than they can be read.")

    def load(self, digest: str, as_of: datetime, tables: Sequence[OnlineTable]) -> "RedisLoad":
        with ANSWERING:
            current = self._client.get(self._name("current"))
            # A version that is read is never written to, even where the new one is made of the same data.
            name = f"{digest}b" if current == f"{digest}a".encode() else f"{digest}a"
            version = Version(name, as_of, {table.name: list(table.features) for table in tables})
            self._remove(keep=(name, current.decode() if current else ""))
            self._describe(version)
        return RedisLoad(self, version, tables, digest)

    def put(self, table: OnlineTable, batch: pa.RecordBatch) -> None:
        with ANSWERING:
            version = self._look()
            if version.tables.get(table.name) != list(table.features):
                raise lacking(table, version.tables.get(table.name, ()))
            self._send(version.name, table, batch, told=True)

    def shape(self, tables: Sequence[OnlineTable], dropped: Sequence[str]) -> None:
        with ANSWERING:
            there = self._client.exists(self._name("current"))
            old = self._look() if there else Version("applied", datetime.min, {})
            kept = {name: columns for name, columns in old.tables.items() if name not in dropped}
            # Values hold numbers without names: a table of other columns than before begins empty.
            new = {table.name: list(table.features) for table in tables}
            stale = [name for name, kind in old.tables.items() if name in dropped or new.get(name, kind) != kind]
            version = Version(old.name, old.as_of, {**kept, **new})
            self._describe(version)
            if stale:
                self._client.unlink(*(self._name(old.name, "view", name) for name in stale))
            self._publish(version)
            self._version = None

    def _plan(self, version: Version, table: OnlineTable) -> Plan:
        columns = version.tables.get(table.name, [])
        if not set(table.features) <= set(columns):
            raise lacking(table, columns)
        in_order = list(table.features) == columns
        places = slice(1, None) if in_order else np.array([columns.index(name) + 1 for name in table.features], int)
        nobody = np.full(len(columns) + 1, np.nan)
        nobody[:1].view(np.int64)[:] = MISSING
        head = _texts(b"HMGET", self._key(version.name, "view", table.name), MARK)
        plan = version.plans[table] = Plan(head, places, nobody.tobytes())
        return plan

    def _name(self, *parts: str) -> str:
        return ":".join((self._prefix, *parts))

    def _key(self, *parts: str) -> bytes:
        return self._name(*parts).encode()

    def _publish(self, version: Version) -> None:
        """Mark the hashes of a version, which makes them where no row is in them, and name it the current one."""
        with self._client.pipeline(transaction=True) as pipe:
            for table in version.tables:
                pipe.hset(self._name(version.name, "view", table), MARK, b"")
            pipe.set(self._name("current"), version.name)
            pipe.set(self._name("state"), secrets.token_hex(8))
            pipe.execute()

    def _look(self) -> Version:
        with self._looking:  # or an older version might be noted after a newer one
            for _ in range(LOOKS):
                current = self._client.get(self._name("current"))
                if current is None:
                    raise nothing_there(f"{self._name('current')} in Redis")
                about = self._client.get(self._name(current.decode(), "about"))
                if about is not None:
                    said = json.loads(about)
                    self._version = Version(current.decode(), datetime.fromisoformat(said["as_of"]), said["tables"])
                    return self._version
        raise FeatureError(f"{self._name('current')} in Redis names a version that is not there.")

    def _describe(self, version: Version) -> None:
        about = json.dumps({"as_of": version.as_of.isoformat(), "tables": version.tables}, sort_keys=True)
        self._client.sadd(self._name("versions"), version.name)
        self._client.set(self._name(version.name, "about"), about)

    def _remove(self, keep: Sequence[str]) -> None:
        """Take away every version but those to keep."""
        for member in self._client.smembers(self._name("versions")):
            name = member.decode()
            if name not in keep:
                about = self._client.get(self._name(name, "about"))
                tables = json.loads(about)["tables"] if about else ()
                parts = [("about",), ("progress",), *(("view", table) for table in tables)]
                self._client.unlink(*(self._name(name, *part) for part in parts))
                self._client.srem(self._name("versions"), name)

    def _send(self, version: str, table: OnlineTable, batch: pa.RecordBatch, told: bool = False) -> None:
        """Write the rows of a batch: the commands are made column by column and leave as they are.

        told: in one step with a new name of the state, since these rows are read already.
        """
        commands: list[bytes | tuple[bytes, memoryview]] = [
            *_commands(self._key(version, "view", table.name), table, batch)
        ]
        if told:
            state = b"*3\r\n" + _texts(b"SET", self._key("state"), secrets.token_hex(8).encode())
            commands = [b"*1\r\n$5\r\nMULTI\r\n", *commands, state, b"*1\r\n$4\r\nEXEC\r\n"]
        self._exchange(commands)

    def _exchange(self, commands: Sequence[bytes | tuple[bytes, memoryview]]) -> list[Any]:
        """The answers to commands that are in Redis's protocol already, sent all at once."""
        try:
            line = self._idle.pop()
        except IndexError:
            line = Line(self._client.connection_pool.make_connection())
        try:
            answers = line.exchange(commands)
        except BaseException:
            line.close()  # answers that were not read must not meet the next command
            raise
        self._idle.append(line)
        return answers


class RedisLoad:
    """A version in the making, under its own names."""

    def __init__(self, backend: RedisBackend, version: Version, tables: Sequence[OnlineTable], digest: str) -> None:
        self._backend, self._version, self._tables, self._digest = backend, version, tables, digest
        self._progress = backend._name(version.name, "progress")

    def done(self, table: str, chunk: str) -> int:
        with ANSWERING:
            return int(self._backend._client.hget(self._progress, f"{table}/{chunk}") or 0)

    def write(self, table: OnlineTable, chunk: str, batch: pa.RecordBatch, done: int) -> None:
        with ANSWERING:
            self._backend._send(self._version.name, table, batch)
            # Told only now: killed in between, the batch is written once more, to the same end.
            self._backend._client.hset(self._progress, f"{table.name}/{chunk}", done)

    def publish(self, folder: Path) -> dict[str, int]:
        backend, client, name = self._backend, self._backend._client, self._version.name
        with ANSWERING:
            rows = {table.name: int(client.hlen(backend._name(name, "view", table.name))) for table in self._tables}
            client.unlink(self._progress)
            backend._publish(self._version)
            backend._remove(keep=(name,))
        write_receipt(folder, "redis", backend._prefix, self._version.as_of, self._digest, rows)
        return rows


def _texts(*parts: bytes) -> bytes:
    """Texts as a command holds them."""
    return b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def _commands(key: bytes, table: OnlineTable, batch: pa.RecordBatch) -> Iterable[tuple[bytes, memoryview]]:
    """HSET commands in Redis's protocol, PAIRS entities each, as (head, fields and values)."""
    rows = np.empty((batch.num_rows, len(table.features) + 1), dtype="<f8")
    rows[:, 0].view("<i8")[:] = batch.column(EVENT).to_numpy()
    rows[:, 1:] = matrix(table, batch)
    width = rows.shape[1] * rows.itemsize
    ends = pa.py_buffer(np.arange(0, (batch.num_rows + 1) * width, width, dtype=np.int64))
    values = pa.Array.from_buffers(pa.large_binary(), batch.num_rows, [None, ends, pa.py_buffer(rows)])
    fields = _fields([batch.column(name) for name in table.keys])
    length = pc.binary_length(fields).cast(pa.string()).cast(pa.large_binary())
    pairs = _joined(b"$", length, b"\r\n", fields, f"\r\n${width}\r\n".encode(), values, b"\r\n")
    offsets = np.frombuffer(pairs.buffers()[1], dtype=np.int64)[pairs.offset :]
    data = memoryview(pairs.buffers()[2])
    for start in range(0, batch.num_rows, PAIRS):
        end = min(start + PAIRS, batch.num_rows)
        head = b"*%d\r\n$4\r\nHSET\r\n$%d\r\n%b\r\n" % (2 + 2 * (end - start), len(key), key)
        yield head, data[offsets[start] : offsets[end]]


def _fields(keys: Sequence[pa.Array]) -> pa.Array:
    """The fields of entities, column by column; as `_field` makes one."""
    texts = [column.cast(pa.large_string()).cast(pa.large_binary()) for column in keys]
    if len(texts) == 1:
        return texts[0]
    parts: list[Any] = []
    for text in texts:
        parts += [pc.binary_length(text).cast(pa.string()).cast(pa.large_binary()), b":", text]
    return _joined(*parts)


def _field(entity: Entity) -> bytes:
    """One key as it is; several with the length of each before it, so that no two entities have one field."""
    if len(entity) == 1:
        return (entity[0] or "").encode()
    texts = [(text or "").encode() for text in entity]
    return b"".join(b"%d:%b" % (len(text), text) for text in texts)


def _joined(*parts: Any) -> pa.Array:
    scalars = [pa.scalar(part, pa.large_binary()) if isinstance(part, bytes) else part for part in parts]
    return pc.binary_join_element_wise(*scalars, pa.scalar(b"", pa.large_binary()))


def _found(version: Version, plans: Sequence[Plan], asked: Asked, replies: Sequence[Sequence[bytes | None]]) -> Found:
    found = Found(version.as_of, [], [])
    for plan, (_, entities), reply in zip(plans, asked, replies, strict=True):
        texts = [
            plan.nobody if text is None or None in entity else text
            for text, entity in zip(reply[1:], entities, strict=True)
        ]
        texts.append(plan.nobody)
        rows = np.frombuffer(b"".join(texts), dtype="<f8").reshape(len(texts), -1)
        found.moments.append(rows.view("<i8")[:, 0])
        found.values.append(rows[:, plan.places])
    return found


def _close(idle: deque[Line]) -> None:
    while idle:
        idle.pop().close()


class _Answering:
    """Redis's errors as one of ours, without the address, which may hold a password."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RedisError):
            away = isinstance(error, RedisConnectionError | RedisTimeoutError)
            refused = isinstance(error, AuthenticationError | AuthorizationError)  # connection errors to the driver
            raise (UnavailableError if away and not refused else FeatureError)(
                f"The online store in Redis failed: {error}. See `online.url` in params.yaml and the server's log."
            ) from error


ANSWERING = _Answering()
"""Around all that asks the server. Has no state, so it is made once: a read takes only as long as ten such objects."""
