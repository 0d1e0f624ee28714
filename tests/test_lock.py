import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ecomine import lock
from ecomine.errors import EcomineError, LockedError
from ecomine.layout import LOCK
from ecomine.lock import workspace_lock
from ecomine.store import Store

HOLD = """
import sys, time
from pathlib import Path
from ecomine.lock import workspace_lock
from ecomine.store import Store
with workspace_lock(Store(Path(sys.argv[1])), "trains"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that holds the workspace `tmp_path`."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_another_process_is_refused_and_told_who_holds_the_lock(tmp_path: Path, holder: subprocess.Popen) -> None:
    with (
        pytest.raises(LockedError, match=rf"by process {holder.pid} since 20.* UTC \(trains\); .*`kill {holder.pid}`"),
        workspace_lock(Store(tmp_path)),
    ):
        pass
    held = lock.holder(Store(tmp_path))
    assert held is not None
    assert (held.pid, held.host, held.does) == (holder.pid, socket.gethostname(), "trains")
    assert lock.owner(Store(tmp_path)) == holder.pid


def test_the_lock_of_a_killed_owner_is_free(tmp_path: Path, holder: subprocess.Popen) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == holder.pid
    assert lock.owner(Store(tmp_path)) is None
    with workspace_lock(Store(tmp_path)):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()


def test_it_may_be_nested_and_is_free_after_the_outermost(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with workspace_lock(store):
        with workspace_lock(store):
            pass
        assert lock.owner(store) == os.getpid()
    assert lock.owner(store) is None


def test_a_task_in_another_thread_of_the_owner_may_write(tmp_path: Path) -> None:
    store = Store(tmp_path)
    reached = []

    def task() -> None:
        with workspace_lock(store):
            reached.append(True)

    with workspace_lock(store):
        thread = threading.Thread(target=task)
        thread.start()
        thread.join()
        assert lock.owner(store) == os.getpid()
    assert reached == [True]


def test_an_error_frees_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ZeroDivisionError), workspace_lock(store):
        raise ZeroDivisionError
    assert lock.owner(store) is None


def test_an_owner_on_another_machine_is_named_and_not_to_be_killed_here(
    tmp_path: Path, holder: subprocess.Popen
) -> None:
    told = {"pid": 7, "host": "elsewhere", "since": "2024-05-01 03:00:00", "does": ""}
    (tmp_path / LOCK).write_text(json.dumps(told))
    with pytest.raises(LockedError, match="process 7 on elsewhere since 2024-05-01 03:00:00 UTC;") as caught:
        workspace_lock(Store(tmp_path)).__enter__()
    assert "kill" not in str(caught.value)
    (tmp_path / LOCK).write_text("")
    with pytest.raises(LockedError, match="written to by another process;"):
        workspace_lock(Store(tmp_path)).__enter__()


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, kind: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(EcomineError, match="has no locks"):
        workspace_lock(Store(tmp_path)).__enter__()
    monkeypatch.undo()
    with workspace_lock(Store(tmp_path)):
        pass
