"""How fast each caller asks, counted together by all processes of a server.

A file of fixed places in memory that they share: a caller has a place by the hash of its name, with the tokens that it
had left and when. The clock is one that the machine's processes have in common and nobody can set.
"""

import fcntl
import hashlib
import mmap
import os
import struct
import threading
import time
from pathlib import Path

PLACES = 16_384
"""Callers whose pace is remembered."""

NEAR = 8
"""Places that a caller may have: where all are others', the one that was quiet longest is forgotten."""

ENTRY = struct.Struct("<8sdd")
"""Hash of the caller, tokens, moment."""


class Pace:
    """A token bucket for each caller: so many requests a second, of which twice as many may come at once.

    file: where several processes count together; in this process alone without one.
    """

    def __init__(self, a_second: float, file: Path | None = None) -> None:
        self._a_second, self._most = a_second, max(2 * a_second, 1.0)
        size = PLACES * ENTRY.size
        self._descriptor: int | None = None
        if file is not None:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
            os.ftruncate(self._descriptor, size)
        self._places = mmap.mmap(-1 if self._descriptor is None else self._descriptor, size)
        self._lock = threading.Lock()

    def wait(self, caller: str) -> float:
        """Seconds until this caller may ask again; 0 takes one token."""
        name = hashlib.blake2b(caller.encode(), digest_size=8).digest()
        with self._lock:
            if self._descriptor is None:
                return self._taken(name)
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
            try:
                return self._taken(name)
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def _taken(self, name: bytes) -> float:
        now = time.monotonic()
        first = int.from_bytes(name[:4], "little")
        offsets = [(first + step) % PLACES * ENTRY.size for step in range(NEAR)]
        found = [ENTRY.unpack_from(self._places, offset) for offset in offsets]
        known = next((number for number, entry in enumerate(found) if entry[0] == name), None)
        if known is None:
            known = min(range(NEAR), key=lambda number: found[number][2])
            tokens = self._most
        else:
            tokens = min(found[known][1] + (now - found[known][2]) * self._a_second, self._most)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._a_second
        ENTRY.pack_into(self._places, offsets[known], name, tokens if wait else tokens - 1, now)
        return wait
