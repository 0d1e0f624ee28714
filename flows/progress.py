"""How a run tells what it does: to Prefect's log always, and to the terminal where a person started it there."""

import os
from collections.abc import Callable

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact

TERMINAL = "ECOMINE_TERMINAL"
"""Set by the command line: progress goes to standard output as well."""


def tell() -> Callable[[str], None]:
    """The function with which the current flow or task run reports its progress."""
    log = get_run_logger()

    def say(text: str) -> None:
        log.info(text)
        if os.environ.get(TERMINAL):
            print(f"  {text}", flush=True)

    return say


class Progress:
    """A bar among a run's artifacts: how many of its steps are done, and which was the last."""

    def __init__(self, of: int) -> None:
        self._of, self._done = of, 0
        self._id = create_progress_artifact(0.0, key="progress", description="not a step is done yet")

    def step(self, what: str) -> None:
        """One more step is done."""
        self._done += 1
        share = 100.0 * self._done / self._of
        told = f"{self._done} of {self._of} steps, the last was {what}"
        update_progress_artifact(self._id, progress=share, description=told)  # type: ignore[arg-type]
