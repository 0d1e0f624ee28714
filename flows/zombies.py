"""Runs whose process was killed: found at the next start, marked Crashed, and what they left cleared away.

Each run holds the kernel's lock (flock) on a file of its own in the workspace. Whoever can take that lock knows that
the run is dead, whatever its state in Prefect says and whoever has its process id by now.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from ecomine import layout
from ecomine.lock import flock
from ecomine.store import Store

UNFINISHED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


_enlisted: list[int] = []
"""Descriptors of this process's runs. They stay open to its end, after Prefect knows how a run ended."""


def enlist(store: Store, run: UUID) -> None:
    """Say that the flow run `run` has a living process, until that ends."""
    folder = store.path(layout.RUNS)
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f".{run}.new"
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    _enlisted.append(descriptor)
    flock(descriptor)
    os.write(descriptor, str(os.getpid()).encode())
    os.replace(new, folder / str(run))  # others see it only locked; that of an earlier attempt is gone


def clear(store: Store, run: UUID, say: Callable[[str], None]) -> list[str]:
    """Forget the runs of this workspace that have ended; those that Prefect still has open are marked Crashed.

    run: the one that does so. Returns the names of those that crashed.
    """
    crashed = []
    for path in sorted(store.path(layout.RUNS).glob("*-*")):
        if path.name != str(run) and (pid := _dead(path)) is not None:
            with get_client(sync_client=True) as client:
                name = _mark(client, UUID(path.name), f"Its process {pid} was gone when the run {run} began.")
            path.unlink(missing_ok=True)
            if name:
                say(f"the run {name} was dead (process {pid} is gone); it is marked Crashed")
                crashed.append(name)
    return crashed


def _dead(path: Path) -> str | None:
    """Process id of a run whose process has ended; None where it is alive, or cleared away meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return os.read(descriptor, 32).decode() if flock(descriptor, fcntl.LOCK_SH) else None
    finally:
        os.close(descriptor)


def _mark(client: SyncPrefectClient, run: UUID, why: str) -> str | None:
    """Have Prefect say of a run, and of its steps that were at work, that it crashed; its name where it was open."""
    try:
        found = client.read_flow_run(run)
    except ObjectNotFound:  # another server's
        return None
    if found.state_type not in UNFINISHED:
        return None
    steps = client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])),
        task_run_filter=TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=UNFINISHED))),
    )
    for step in steps:
        client.set_task_run_state(step.id, Crashed(message=why), force=True)
    client.set_flow_run_state(run, Crashed(message=why), force=True)
    return found.name
