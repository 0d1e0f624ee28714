"""How a run tells what it does: to Prefect's log always, and to the terminal where a person started it there."""

import os
from collections.abc import Callable

from prefect import get_run_logger

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
