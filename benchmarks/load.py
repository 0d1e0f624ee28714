"""A load: requests over some connections that stay open, each sent as soon as the one before it was answered."""

import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What became of a load: seconds of each request, statuses by count, and how long all of it took."""

    seconds: list[float]
    statuses: dict[int, int]
    wall: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.seconds) / self.wall

    @property
    def failed(self) -> int:
        return sum(count for status, count in self.statuses.items() if status != 200)


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """A request as it is sent."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    kind = "Content-Type: application/json\r\n" if body else ""
    return f"{head}{kind}\r\n".encode() + body


def drive(port: int, requests: Sequence[bytes], seconds: float, connections: int = 4, most: int | None = None) -> Load:
    """Send the requests in turn for so many seconds, or until `most` were sent; a broken connection counts as 0."""
    selector, begun = selectors.DefaultSelector(), {}
    times: list[float] = []
    statuses: dict[int, int] = {}
    number = 0
    for _ in range(connections):
        line = socket.create_connection(("127.0.0.1", port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(line, selectors.EVENT_READ, bytearray())
    start = time.perf_counter()
    for key in list(selector.get_map().values()):
        key.fileobj.sendall(requests[number % len(requests)])  # type: ignore[union-attr]
        begun[key.fd], number = time.perf_counter(), number + 1
    while begun:
        for key, _ in selector.select(60):
            try:
                data = key.fileobj.recv(1 << 18)  # type: ignore[union-attr]
            except ConnectionError:
                data = b""
            buffer = key.data
            buffer += data
            whole = _length(buffer)
            if data and (whole is None or len(buffer) < whole):
                continue
            now = time.perf_counter()
            times.append(now - begun.pop(key.fd))
            status = int(buffer[9:12]) if data else 0
            statuses[status] = statuses.get(status, 0) + 1
            del buffer[: whole or len(buffer)]
            line = key.fileobj
            if not data:  # a server closes what it has answered with an error
                selector.unregister(line)
                line.close()  # type: ignore[union-attr]
                line = socket.create_connection(("127.0.0.1", port))
                selector.register(line, selectors.EVENT_READ, bytearray())
            if now - start < seconds and (most is None or number < most):
                begun[line.fileno()] = time.perf_counter()  # type: ignore[union-attr]
                line.sendall(requests[number % len(requests)])  # type: ignore[union-attr]
                number += 1
    wall = time.perf_counter() - start
    for key in list(selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    return Load(times, statuses, wall)


def _length(buffer: bytearray) -> int | None:
    """Bytes of the answer at the beginning of a buffer; None where its head is not whole."""
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return None
    place = buffer.lower().find(b"content-length:", 0, head)
    return head + 4 + int(buffer[place + 15 : buffer.find(b"\r\n", place)])
