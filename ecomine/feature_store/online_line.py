"""A line to Redis for the few commands that carry feature rows.

The client of the package `redis` opens it, with all that an address may ask for (password, database, TLS). Its own
reading of an answer costs more than the way to the server and back, so answers are taken apart here.
"""

import os
import socket
from collections.abc import Iterable, Sequence
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

AT_ONCE = 1 << 16
"""Bytes taken from the socket at a time."""

LOOKS = 50 if hasattr(socket, "MSG_DONTWAIT") and (os.cpu_count() or 1) > 1 else 0
"""How often an answer from a server on the same machine is looked for before the thread goes to sleep.

It mostly is there by then, tens of microseconds later; to be put to sleep and woken would take as long again.
"""

TEXT, MINUS = b"$-"


class Line:
    """One connection; not for several threads at a time."""

    def __init__(self, connection: Any) -> None:
        connection.connect()
        self._connection, self._data, self._at = connection, b"", 0
        self._socket: socket.socket = connection._sock
        self._buffer = memoryview(bytearray(AT_ONCE))
        self._looks = LOOKS if _on_this_machine(self._socket) else 0

    def exchange(self, commands: Sequence[bytes | tuple[bytes, memoryview]]) -> list[Any]:
        """The answers to commands in Redis's protocol, sent one after the other without waiting.

        Raises redis's ConnectionError or TimeoutError, and its ResponseError where the server refuses one of them.
        """
        try:
            for part in _sent(commands):
                self._socket.sendall(part)
            return [self._answer() for _ in commands]
        except TimeoutError as error:
            raise RedisTimeoutError("no answer in time") from error
        except OSError as error:
            raise RedisConnectionError(f"the connection broke: {error}") from error

    def close(self) -> None:
        self._connection.disconnect()

    def _answer(self) -> Any:
        """One answer: a number, a text, or a list of them; None for null."""
        line = self._take_line()
        kind, text = line[:1], line[1:]
        if kind == b"*":
            return self._texts(int(text))
        if kind == b"$":
            return self._take(int(text))
        if kind == b"~":
            return [self._answer() for _ in range(int(text))]
        if kind == b"-":
            raise ResponseError(text.decode(errors="replace"))
        return None if kind == b"_" else int(text) if kind == b":" else text

    def _texts(self, count: int) -> list[Any]:
        """The members of a list; texts that have come are taken here, since a call for each costs more than they do."""
        members: list[Any] = []
        data, at = self._data, self._at
        for _ in range(count):
            end = data.find(b"\r\n", at)
            stop = end + 4 + int(data[at + 1 : end]) if end >= 0 and data[at] == TEXT else len(data) + 1
            if stop <= len(data) and data[at + 1] != MINUS:
                members.append(data[end + 2 : stop - 2])
                at = stop
            else:
                self._at = at
                members.append(self._answer())
                data, at = self._data, self._at
        self._at = at
        return members

    def _take_line(self) -> bytes:
        while (end := self._data.find(b"\r\n", self._at)) < 0:
            self._more()
        line, self._at = self._data[self._at : end], end + 2
        return line

    def _take(self, count: int) -> bytes | None:
        if count < 0:
            return None
        while len(self._data) < self._at + count + 2:
            self._more()
        end = self._at + count
        text, self._at = self._data[self._at : end], end + 2
        return text

    def _more(self) -> None:
        got = self._soon() or self._socket.recv_into(self._buffer)
        if not got:
            raise RedisConnectionError("the server closed the connection")
        self._data, self._at = b"".join((self._data[self._at :], self._buffer[:got])), 0

    def _soon(self) -> int:
        """Bytes that come while this thread stays awake; 0 where none do."""
        for _ in range(self._looks):
            try:
                return self._socket.recv_into(self._buffer, AT_ONCE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                continue
        return 0


def _on_this_machine(line: socket.socket) -> bool:
    if type(line) is not socket.socket:  # an encrypted one cannot be looked at without waiting
        return False
    return line.family == socket.AF_UNIX or line.getpeername()[0] == line.getsockname()[0]


def _sent(commands: Sequence[bytes | tuple[bytes, memoryview]]) -> Iterable[bytes | memoryview]:
    """What is handed to the socket: several short commands as one, since every call of it wakes the server."""
    if all(isinstance(command, bytes) for command in commands):
        return (b"".join(commands),)  # type: ignore[arg-type]
    return (part for command in commands for part in ((command,) if isinstance(command, bytes) else command))
