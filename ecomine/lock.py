"""One writer a workspace.

The lock is the kernel's own (flock) on a file of the workspace, so it ends with the process that holds it,
however that process ends; the process id in the file only serves the message to those who come second.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecomine.errors import LockedError
from ecomine.layout import LOCK
from ecomine.store import Store

_guard = threading.Lock()
_held: dict[tuple[int, Path], tuple[int, int]] = {}
"""(process, lock file) → (descriptor, depth); with the process, since a forked child holds no lock."""


@contextmanager
def workspace_lock(store: Store) -> Iterator[None]:
    """Hold the workspace for writing; may be nested, in all threads of one process.

    Raises LockedError, naming the owner's process id, where another process holds it. The lock of a dead
    owner is free.
    """
    path = store.path(LOCK)
    key = (os.getpid(), path)
    with _guard:
        descriptor, depth = _held.get(key, (-1, 0))
        _held[key] = (_acquire(path) if depth == 0 else descriptor, depth + 1)
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


def owner(store: Store) -> int | None:
    """Process id of who writes to the workspace now, or None."""
    try:
        descriptor = os.open(store.path(LOCK), os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 32).decode()
        return int(text) if text.strip().isdigit() else None
    finally:
        os.close(descriptor)
    return None


def _acquire(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode().strip() or "unknown"
        os.close(descriptor)
        raise LockedError(
            f"The workspace {path.parents[1]} is being written to by process {holder}; one writer at a time. "
            f"Wait until it has ended, or end it (`kill {holder}`), then try again."
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor
