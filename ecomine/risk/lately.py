"""The payments that came since the last run, by whom they were made: what a version does not remember yet."""

import bisect
from collections import defaultdict
from collections.abc import Sequence

from ecomine.risk.moment import PLACE, Event
from ecomine.risk.velocity import ENTITIES, MEMORY, MOST

KEPT = 2 * MEMORY
"""Microseconds before the newest payment after which one is forgotten."""

SLACK = 1_000
"""Payments that may wait to be forgotten: looking for them takes time, too."""

Line = list[tuple[int, str]]
"""Times and ids, sorted."""


class Lately:
    """Payments in memory, each once by its id; one thread at a time."""

    def __init__(self) -> None:
        self._events: dict[str, Event] = {}
        self._lines: dict[tuple[str, str], Line] = defaultdict(list)
        self._newest, self._since, self._swept = 0, 0, 0

    def __len__(self) -> int:
        return len(self._events)

    def add(self, payment_id: str, event: Event) -> None:
        """Keep a payment; one that is there stays as it was."""
        if payment_id in self._events:
            return
        self._events[payment_id] = event
        self._newest = max(self._newest, event.time)
        for name, place in PLACE.items():
            value = event[place]
            if isinstance(value, str):
                bisect.insort(self._lines[name, value], (event.time, payment_id))
        if len(self._events) > 2 * self._swept + SLACK:
            self._sweep(max(self._since, self._newest - KEPT))

    def past(self, payments: Sequence[tuple[str, Event]], since: int) -> list[tuple[str, Event]]:
        """Payments after a moment (microseconds) that share something with the given ones, none of them itself.

        In order of time; of each entity at most the latest MOST. The moment may grow: what lies before it is forgotten
        by and by.
        """
        self._since = max(self._since, since)
        found: set[tuple[int, str]] = set()
        for payment_id, event in payments:
            for name in ENTITIES:
                line = self._lines.get((name, event[PLACE[name]]))  # type: ignore[arg-type]
                if line:
                    first = bisect.bisect_left(line, (since + 1, ""))
                    end = bisect.bisect_left(line, (event.time + 1, ""))
                    own = [one for one in line[max(end - MOST - 1, first) : end] if one[1] != payment_id]
                    found.update(own[-MOST:])
        return [(payment_id, self._events[payment_id]) for _, payment_id in sorted(found)]

    def _sweep(self, before: int) -> None:
        """Forget what lies up to a moment."""
        kept = {id_: event for id_, event in self._events.items() if event.time > before}
        if len(kept) < len(self._events):
            for key, line in list(self._lines.items()):
                left = line[bisect.bisect_left(line, (before + 1, "")) :]
                if left:
                    self._lines[key] = left
                else:
                    del self._lines[key]
            self._events = kept
        self._swept = len(kept)
