"""Events in the server: what takes them in, and, unless another process does so, what takes them on."""

import threading
from pathlib import Path

from ecomine.errors import StreamingError
from ecomine.params import StreamingParams
from ecomine.streaming import Consumer, Intake
from ecomine.streaming.consumer import lag
from ecomine.streaming.log import exists


class Stream:
    """The intake of one server and its consumer, which stands by while another one of the workspace is at work."""

    def __init__(self, workspace: Path, params: StreamingParams) -> None:
        self._workspace, self._embedded = workspace, params.embedded
        self._consumer = Consumer(workspace)
        self.intake = Intake(self._consumer.log)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to take events on."""
        if self._embedded:
            self._thread = threading.Thread(target=self._consumer.run, args=(self._stop,), name="consumer", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Write what waits, and end."""
        self.intake.close()
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def state(self) -> tuple[bool, str]:
        """Whether events can be written now, which is tried, and how far they are taken on."""
        if not exists(self._workspace):
            return True, "none came yet"
        try:
            self.intake.check()
        except StreamingError as error:
            return False, str(error)
        return True, lag(self._consumer)
