"""What a flow that writes does around its work, as a decorator below `@flow`."""

import inspect
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from prefect.context import FlowRunContext
from prefect.states import Cancelled

from ecomine.errors import LockedError
from ecomine.lock import holder, workspace_lock
from ecomine.stages import load_params
from ecomine.store import Store
from flows import notices, overlaps, zombies
from flows.progress import tell


def one_writer(work: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a flow with a parameter `workspace`, made to run alone there.

    A scheduled run that a newer one has overtaken ends as Cancelled. Runs whose process is gone are marked Crashed. A
    run waits, up to `runs.wait_minutes` of params.yaml, while another process writes to the workspace; LockedError
    then.
    """
    signature = inspect.signature(work)

    @wraps(work)
    def run(*arguments: Any, **named: Any) -> Any:
        given = signature.bind(*arguments, **named)
        given.apply_defaults()
        context = FlowRunContext.get()
        if context is None or context.flow_run is None:
            raise RuntimeError("A flow is called through Prefect; without it, call the function that it wraps.")
        store, say = Store(Path(given.arguments["workspace"])), tell()
        if newer := overlaps.superseded():
            return Cancelled(message=newer)
        runs = load_params(store.workspace).runs
        zombies.enlist(store, context.flow_run.id)
        for name in zombies.clear(store, context.flow_run.id, say):
            notices.notify(f"{name} crashed", "Its process was killed.", notices.FAILED, store.workspace)
        does = f"{context.flow.name} {context.flow_run.name}"
        with writing(store, runs.wait_minutes * 60, does, say):
            if newer := overlaps.superseded():  # while it waited
                return Cancelled(message=newer)
            return work(*arguments, **named)

    return run


@contextmanager
def writing(store: Store, patience: float, does: str, say: Callable[[str], None]) -> Iterator[None]:
    """The workspace's lock, waited for as long as `patience` seconds where another process has it."""
    deadline, pause, told = time.monotonic() + patience, 1.0, ""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(workspace_lock(store, does))
                break
            except LockedError as error:
                if time.monotonic() >= deadline:
                    raise LockedError(f"{error} It was waited for {patience / 60:g} minutes.") from error
            other = str(holder(store) or told)
            if other != told:
                say(f"waiting: {other} writes to this workspace")
                told = other
            # With jitter: those who wait must not all come back at the same moment.
            time.sleep(min(pause, max(deadline - time.monotonic(), 0.0)) * random.uniform(0.5, 1.0))
            pause = min(pause * 2, 20.0)
        yield
