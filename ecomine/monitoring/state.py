"""What monitoring has seen: one line a domain, version and window, in a file that is only ever appended to.

A window that is there is never measured again, so running twice changes nothing. Alarms are not kept: they follow from
the windows. That one was told is kept, so that it is not told every hour.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from ecomine import layout
from ecomine.errors import DamagedError
from ecomine.store import Store, sync

WINDOW, TOLD = "window", "told"


@dataclass(frozen=True)
class Signal:
    """One reading: what it is about, its value, the limit, whether it is bad, and in words why.

    reason: what an alarm of it is called. series: it is compared with earlier readings of the same name.
    """

    reason: str
    name: str
    value: float
    limit: float
    bad: bool
    why: str
    series: bool = False


class State:
    """The file of one workspace."""

    def __init__(self, store: Store) -> None:
        self._path = store.path(layout.MONITORING)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """For one process at a time; who comes second waits."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def lines(self) -> list[dict[str, Any]]:
        """Every line, oldest first; one that a crash cut short is left out."""
        if not self._path.exists():
            return []
        found = []
        text = self._path.read_bytes()
        for number, line in enumerate(text[: text.rfind(b"\n") + 1].splitlines(), start=1):
            try:
                found.append(json.loads(line))
            except ValueError as error:
                raise DamagedError(
                    f"{layout.MONITORING}, line {number}, cannot be read. Take that line out; `ecomine monitor` "
                    "measures its window again."
                ) from error
        return found

    def add(self, record: dict[str, Any]) -> None:
        """Append a line, whole and on the disk."""
        with self._path.open("ab+") as file:
            file.seek(0)
            text = file.read()
            if text and not text.endswith(b"\n"):  # a crash cut the last line short
                file.truncate(text.rfind(b"\n") + 1)
            file.write(json.dumps(record, sort_keys=True, allow_nan=False, ensure_ascii=False).encode() + b"\n")
        sync(self._path)


def window(domain: str, version: str, end: str, signals: list[Signal]) -> dict[str, Any]:
    """The line of a window."""
    told = [asdict(signal) for signal in signals]
    return {"kind": WINDOW, "domain": domain, "version": version, "window": end, "signals": told}
