"""What versions show: errors, times and, in the shadow, equal answers; and what each hour's answers were like.

Counts are kept in one SQLite file, to which every process that answers adds: by trial and version while one version is
tried beside another, and by hour always.
"""

import math
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ecomine import layout
from ecomine.params import ChallengerParams
from ecomine.store import Store

ERROR, SAME, OTHER = "error", "same", "other"
FLUSH = 1.0
"""Seconds for which counts of an hour are gathered before they are written."""

HOUR = "%Y-%m-%dT%H"
KEPT_DAYS = 31
"""Days for which counts of hours are kept."""

CLASSES = 4
"""Classes of answer times for each doubling."""

WAIT, FAULT, GOOD = "wait", "fault", "good"


@dataclass(frozen=True)
class Showing:
    """What a version has shown: answers by class of time, errors, and answers equal to or other than the champion's."""

    times: Mapping[int, int] = field(default_factory=dict)
    errors: int = 0
    same: int = 0
    other: int = 0

    @property
    def asked(self) -> int:
        return sum(self.times.values()) + self.errors

    @property
    def error_share(self) -> float:
        return self.errors / self.asked if self.asked else 0.0

    def milliseconds(self, share: float) -> float:
        """Time within which a share of the answers came, to within a fifth; 0 without answers."""
        left = share * sum(self.times.values())
        for place in sorted(self.times):
            left -= self.times[place]
            if left <= 0:
                return float(2.0 ** ((place + 1) / CLASSES))
        return 0.0

    def told(self) -> dict[str, Any]:
        """Figures for people and for the history."""
        figures: dict[str, Any] = {
            "answers": self.asked,
            "errors": self.errors,
            "p95_ms": round(self.milliseconds(0.95), 1),
        }
        return figures | ({"same": self.same, "other": self.other} if self.same + self.other else {})


class Live:
    """The counts of a workspace."""

    def __init__(self, store: Store) -> None:
        self._path = store.path(layout.LIVE)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._gathering = threading.Lock()
        self._gathered: dict[tuple[str, str, str], int] = {}
        self._written = 0.0

    def note(self, domain: str, milliseconds: float | None, fell_back: bool = False) -> None:
        """An answer of this hour, for monitoring: the time it took, None where it failed; written once a second."""
        if self.gather(domain, milliseconds, fell_back):
            self.flush()

    def gather(self, domain: str, milliseconds: float | None, fell_back: bool = False) -> bool:
        """As `note`, but nothing is written; returns whether it is time to `flush`."""
        hour = datetime.now(UTC).strftime(HOUR)
        whats = [ERROR if milliseconds is None else str(_place(milliseconds)), *([OTHER] if fell_back else [])]
        with self._gathering:
            for what in whats:
                key = (domain, hour, what)
                self._gathered[key] = self._gathered.get(key, 0) + 1
            if time.monotonic() - self._written < FLUSH:
                return False
            self._written = time.monotonic()
        return True

    def flush(self) -> None:
        """Write what was gathered."""
        with self._gathering:
            counts, self._gathered = self._gathered, {}
        if not counts:
            return
        with self._open() as connection:
            connection.executemany(
                "INSERT INTO hours VALUES (?, ?, ?, ?) ON CONFLICT (domain, hour, what) DO UPDATE "
                "SET n = n + excluded.n",
                [(*key, count) for key, count in counts.items()],
            )
            oldest = (datetime.now(UTC) - timedelta(days=KEPT_DAYS)).strftime(HOUR)
            connection.execute("DELETE FROM hours WHERE hour < ?", (oldest,))

    def hour(self, begin: datetime) -> dict[str, Showing]:
        """What each domain has shown in the hour (UTC) that began then; `other` are answers that fell back."""
        if not self._path.exists():
            return {}
        with self._open() as connection:
            rows = connection.execute(
                "SELECT domain, what, n FROM hours WHERE hour = ? ORDER BY domain", (begin.strftime(HOUR),)
            ).fetchall()
        found: dict[str, dict[str, int]] = {}
        for domain, what, count in rows:
            found.setdefault(domain, {})[what] = count
        return {
            domain: Showing(
                {int(place): n for place, n in counts.items() if place not in (ERROR, OTHER)},
                counts.get(ERROR, 0), other=counts.get(OTHER, 0),
            )
            for domain, counts in found.items()
        }  # fmt: skip

    def answered(self, domain: str, trial: int, version: str, milliseconds: float) -> None:
        self._add(domain, trial, version, str(_place(milliseconds)))

    def failed(self, domain: str, trial: int, version: str) -> None:
        self._add(domain, trial, version, ERROR)

    def compared(self, domain: str, trial: int, version: str, same: bool) -> None:
        self._add(domain, trial, version, SAME if same else OTHER)

    def showing(self, domain: str, trial: int, version: str) -> Showing:
        """What a version has shown in a trial, in all processes together."""
        if not self._path.exists():
            return Showing()
        query = "SELECT what, n FROM live WHERE domain = ? AND trial = ? AND version = ?"
        with self._open() as connection:
            counts: dict[str, int] = dict(connection.execute(query, (domain, trial, version)).fetchall())
        errors, same, other = (counts.pop(name, 0) for name in (ERROR, SAME, OTHER))
        return Showing({int(place): n for place, n in counts.items()}, errors, same, other)

    def _add(self, *key: str | int) -> None:
        with self._open() as connection:
            connection.execute(
                "INSERT INTO live VALUES (?, ?, ?, ?, 1) ON CONFLICT (domain, trial, version, what) DO UPDATE "
                "SET n = n + 1",
                key,
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._connection is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = sqlite3.connect(self._path, timeout=10.0, check_same_thread=False)
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = OFF")  # counts of a trial may be lost with the machine
                self._connection.execute(
                    "CREATE TABLE IF NOT EXISTS live (domain TEXT, trial INT, version TEXT, what TEXT, n INT, "
                    "PRIMARY KEY (domain, trial, version, what)) WITHOUT ROWID"
                )
                self._connection.execute(
                    "CREATE TABLE IF NOT EXISTS hours (domain TEXT, hour TEXT, what TEXT, n INT, "
                    "PRIMARY KEY (domain, hour, what)) WITHOUT ROWID"
                )
            with self._connection:
                yield self._connection


def _place(milliseconds: float) -> int:
    """Class of an answer time."""
    return math.floor(math.log2(max(milliseconds, 0.01)) * CLASSES)


def verdict(challenger: Showing, champion: Showing, params: ChallengerParams) -> tuple[str, str]:
    """Whether to wait, to end the trial for a fault, or to call it good; and why.

    A fault is a share of errors that is surely above what is allowed (the lower end of Wilson's 95 % interval), or an
    answer time at the 95th percentile beyond the allowed multiple of the champion's, once both have answered enough.
    """
    allowed = max(params.max_error_share, champion.error_share)
    least = wilson(challenger.errors, challenger.asked)
    if least > allowed:
        return FAULT, f"{challenger.errors:,} of {challenger.asked:,} answers failed; {allowed:.1%} are allowed"
    enough = challenger.asked >= params.min_answers and champion.asked >= params.min_answers
    if not enough:
        return WAIT, f"{challenger.asked:,} and {champion.asked:,} of the {params.min_answers:,} answers each are there"
    slow, usual = challenger.milliseconds(0.95), champion.milliseconds(0.95)
    if slow > params.max_slowdown * usual:
        return FAULT, f"95 % of its answers take up to {slow:.1f} ms, of the champion's {usual:.1f} ms"
    return GOOD, f"{challenger.asked:,} answers, {challenger.errors:,} failed, 95 % within {slow:.1f} ms"


def wilson(found: int, of: int, z: float = 1.959964) -> float:
    """Lower end of Wilson's score interval for a share (Wilson 1927); 0 of nothing."""
    if of == 0:
        return 0.0
    share = found / of
    middle = share + z * z / (2 * of)
    reach = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max((middle - reach) / (1 + z * z / of), 0.0)


@dataclass(frozen=True)
class Report:
    """How a trial stands: its record, what both versions have shown, and the verdict."""

    record: dict[str, Any]
    challenger: Showing
    champion: Showing
    verdict: str
    why: str

    @property
    def evidence(self) -> dict[str, Any]:
        """For the history."""
        return {"challenger": self.challenger.told(), "champion": self.champion.told(), "why": self.why}

    def lines(self) -> list[str]:
        """For people."""
        share = f", {self.record['share']:.1%} of the customers" if "share" in self.record else ""
        lines = [f"{self.record['digest'][:12]} since {self.record['when'][:16]} as {self.record['action']}{share}"]
        for name, shown in (("challenger", self.challenger), ("champion", self.champion)):
            figures = ", ".join(f"{figure} {what}" for what, figure in shown.told().items())
            lines.append(f"  {name:10} {figures}")
        return [*lines, f"  {self.verdict:10} {self.why}"]


def report(live: Live, domain: str, record: dict[str, Any], champion: str, params: ChallengerParams) -> Report:
    """How the trial of `record` stands against the champion."""
    tried, usual = (live.showing(domain, record["number"], version) for version in (record["digest"], champion))
    return Report(record, tried, usual, *verdict(tried, usual, params))
