"""Commands in processes of their own that a fault meets at a chosen step: what they write can be cut off anywhere.

A step is what the interpreter itself reports (its audit events) of the command changing a file of the workspace: a file
opened to be written, a name given, taken or moved. So nothing in the package knows of it.
"""

import errno
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate")

_processes = multiprocessing.get_context("forkserver")
# What takes long to import is imported once, by a process with no threads, of which each command is a fork.
_processes.set_forkserver_preload(
    [
        "tests.faults", "ecomine.cli", "ecomine.deployment", "ecomine.domains", "ecomine.feature_store.online",
        "ecomine.stages", "ecomine.serving.app", "fastapi_offline", "sklearn.linear_model", "xgboost",
    ]
)  # fmt: skip


def command(workspace: Path, *arguments: str) -> tuple[int, list[str]]:
    """Run an `ecomine` command: its exit status, and its steps as lines `event path`."""
    return _run(workspace, arguments, -1, "none")


def kill(workspace: Path, step: int, *arguments: str) -> int:
    """The same, ended by SIGKILL just before a step."""
    return _run(workspace, arguments, step, "kill")[0]


def fill_disk(workspace: Path, step: int, *arguments: str) -> int:
    """The same, on a disk that is full from that step on: names can be moved, nothing new can be written."""
    return _run(workspace, arguments, step, "full")[0]


def _run(workspace: Path, arguments: Sequence[str], step: int, fault: str) -> tuple[int, list[str]]:
    here, there = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_command, args=(str(workspace), list(arguments), step, fault, there))
    process.start()
    there.close()
    try:
        steps = here.recv()
    except EOFError:
        steps = []
    process.join(120)
    assert process.exitcode is not None, "the command does not end"
    return process.exitcode, steps


def _command(workspace: str, arguments: list[str], step: int, fault: str, pipe: Any) -> None:
    from ecomine.cli import main

    steps: list[str] = []

    def watch(event: str, values: tuple[Any, ...]) -> None:
        written = event == "open" and isinstance(values[2], int) and bool(values[2] & (os.O_WRONLY | os.O_RDWR))
        if not (written or event in CHANGES):
            return
        path = os.fsdecode(values[0]) if isinstance(values[0], str | bytes | os.PathLike) else ""
        if not path.startswith(workspace) or path.endswith(".lock"):
            return
        steps.append(f"{event} {path}")
        if fault == "kill" and len(steps) > step:
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "full" and len(steps) > step and (written or event == "os.mkdir"):
            if len(steps) % 2 == 0:  # even a name may need room
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            # A name still found room, its content does not: a few bytes are written, then no more.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))

    sys.addaudithook(watch)
    status = main(["--workspace", workspace, *arguments])
    pipe.send(list(steps))
    sys.exit(status)
