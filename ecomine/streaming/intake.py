"""Events into the log, many requests in one write: the disk is waited for once for all that came meanwhile."""

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta

from ecomine.errors import StreamingError
from ecomine.streaming.log import Entry, EventLog

TOGETHER = 5_000
"""Entries after which a write takes no more requests with it."""

GATHER = 0.001
"""Seconds given to others to join a write, where several did so at the last one: whoever is alone waits for nobody."""

WAITING = 1_000
"""Requests that may wait for the disk; one more is told to come again later."""

Request = tuple[Sequence[Entry], "Future[list[bool]]"]


class Intake:
    """What the API gives events to."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._requests: queue.Queue[Request | None] = queue.Queue(WAITING)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._clock = 0
        self.counts = {"accepted": 0, "duplicate": 0, "refused": 0}

    def submit(self, entries: Sequence[Entry]) -> "Future[list[bool]]":
        """Of each entry whether it is new, once all are on disk; StreamingError where they cannot be written."""
        answer: Future[list[bool]] = Future()
        self._start()
        try:
            self._requests.put_nowait((entries, answer))
        except queue.Full:
            answer.set_exception(StreamingError(f"{WAITING:,} requests wait for the event log already."))
        return answer

    @property
    def now(self) -> datetime:
        """The time in UTC, which never goes back behind what was written: a clock set back refuses nothing."""
        return datetime(1970, 1, 1) + timedelta(microseconds=max(time.time_ns() // 1000, self._clock))

    def check(self) -> None:
        """Raises StreamingError where nothing could be written durably now."""
        self.log.check()

    def close(self) -> None:
        """Write what waits, then end."""
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._requests.put(None)
            thread.join()

    def _start(self) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    try:
                        self._clock = self.log.clock
                    except StreamingError:
                        self._clock = 0
                    self._thread = threading.Thread(target=self._write, name="intake", daemon=True)
                    self._thread.start()

    def _write(self) -> None:
        ended, several = False, False
        while not ended:
            request = self._requests.get()
            if several and request is not None:
                time.sleep(GATHER)
            together: list[Request] = []
            while request is not None:
                together.append(request)
                if sum(len(entries) for entries, _ in together) >= TOGETHER or self._requests.empty():
                    break
                request = self._requests.get()
            ended, several = request is None, len(together) > 1
            if together:
                self._append(together)

    def _append(self, requests: list[Request]) -> None:
        # Whoever has gone away is not waited for; from here on nobody can go away half written.
        together = [(entries, answer) for entries, answer in requests if answer.set_running_or_notify_cancel()]
        try:
            new = self.log.append([entry for entries, _ in together for entry in entries])
        except Exception as error:
            for _, answer in together:
                answer.set_exception(error)
            return
        self._clock = max(self._clock, time.time_ns() // 1000)
        done = 0
        for entries, answer in together:
            answer.set_result(new[done : done + len(entries)])
            done += len(entries)
