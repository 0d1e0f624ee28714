"""Commands as a user types them: in a process of their own, in a workspace, with a Prefect home of the tests."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

BIN = Path(sys.executable).parent

PREFECT_HOME = tempfile.TemporaryDirectory(prefix="ecomine-prefect-")
"""One for all tests of a session: making a database of its own costs a Prefect server ten seconds."""


def environment(workspace: Path) -> dict[str, str]:
    """The environment of a fresh login with ecomine's virtual environment activated."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ECOMINE_", "DVC_"))}
    return {
        **kept,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_HOME": PREFECT_HOME.name,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DVC_NO_ANALYTICS": "true",
    }


def shell(workspace: Path, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; with `check` a non-zero exit fails the test and shows what was printed."""
    done = subprocess.run(command, cwd=workspace, env=environment(workspace), capture_output=True, text=True)
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done


def start(workspace: Path, *command: str) -> "subprocess.Popen[str]":
    """Start a command in a process group of its own; standard error goes where standard output goes."""
    return subprocess.Popen(
        command,
        cwd=workspace,
        env=environment(workspace),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def eventually(ask: Callable[[], T | None], seconds: float = 180, pause: float = 0.5) -> T:
    """The first answer that is not None, asked again while nothing answers yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            answer = ask()
            if answer is not None:
                return answer
        except OSError:
            pass
        time.sleep(pause)
    raise AssertionError(f"no answer within {seconds:.0f} seconds")
