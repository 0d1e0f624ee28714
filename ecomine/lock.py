"""One writer a workspace.

The lock is the kernel's own (flock) on a file of the workspace, so it ends with the process that holds it, however that
process ends: it cannot outlive its owner, and needs no time to expire. What the file says of the owner only serves the
message to those who come second.
"""

import errno
import fcntl
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ecomine.errors import EcomineError, LockedError
from ecomine.layout import LOCK
from ecomine.store import Store

_guard = threading.Lock()
_held: dict[tuple[int, Path], tuple[int, int]] = {}
"""(process, lock file) → (descriptor, depth); with the process, since a forked child holds no lock."""


@dataclass(frozen=True)
class Owner:
    """Who writes to a workspace: process, machine, since when (UTC) and what for; process 0 has not said it yet."""

    pid: int
    host: str
    since: str
    does: str

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        place = "" if self.host == socket.gethostname() else f" on {self.host}"
        return f"process {self.pid}{place} since {self.since} UTC{f' ({self.does})' if self.does else ''}"


@contextmanager
def workspace_lock(store: Store, does: str = "") -> Iterator[None]:
    """Hold the workspace for writing; may be nested, in all threads of one process.

    does: a few words for those who come second. Raises LockedError, naming the owner, where another process holds
    it. The lock of a dead owner is free.
    """
    path = store.path(LOCK)
    key = (os.getpid(), path)
    with _guard:
        descriptor, depth = _held.get(key, (-1, 0))
        _held[key] = (_acquire(path, does) if depth == 0 else descriptor, depth + 1)
    try:
        yield
    finally:
        with _guard:
            descriptor, depth = _held.pop(key)
            if depth > 1:
                _held[key] = (descriptor, depth - 1)
            else:
                os.ftruncate(descriptor, 0)
                os.close(descriptor)


def holder(store: Store) -> Owner | None:
    """Who writes to the workspace now, or None."""
    try:
        descriptor = os.open(store.path(LOCK), os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return None if flock(descriptor, fcntl.LOCK_SH) else _told(descriptor)
    finally:
        os.close(descriptor)


def owner(store: Store) -> int | None:
    """Process id of who writes to the workspace now, or None."""
    held = holder(store)
    return held.pid if held else None


def flock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Take the kernel's lock on an open file, without waiting; False where another process has it.

    Raises EcomineError where the file system has no locks, since without them nothing tells a dead owner from a slow
    one.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        raise EcomineError(
            f"The file system of the workspace has no locks ({os.strerror(error.errno)}), so it cannot be written to "
            "safely. Use a local disk, or mount it with locks (NFS: without `nolock`)."
        ) from error
    return True


def _acquire(path: Path, does: str) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        free = flock(descriptor)
    except EcomineError:
        os.close(descriptor)
        raise
    if not free:
        other = _told(descriptor)
        os.close(descriptor)
        end = f", or end it (`kill {other.pid}`)" if other.pid and other.host == socket.gethostname() else ""
        raise LockedError(
            f"The workspace {path.parents[1]} is being written to by {other}; one writer at a time. "
            f"Wait until it has ended{end}, then try again."
        )
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(Owner(os.getpid(), socket.gethostname(), now, does))).encode(), 0)
    return descriptor


def _told(descriptor: int) -> Owner:
    """What the lock file says of its owner."""
    try:
        return Owner(**json.loads(os.pread(descriptor, 4096, 0)))
    except (ValueError, TypeError):
        return Owner(0, socket.gethostname(), "", "")
