import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ecomine import lock
from ecomine.errors import LockedError
from ecomine.layout import LOCK
from ecomine.lock import workspace_lock
from ecomine.store import Store

HOLD = """
import sys, time
from pathlib import Path
from ecomine.lock import workspace_lock
from ecomine.store import Store
with workspace_lock(Store(Path(sys.argv[1]))):
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
        pytest.raises(LockedError, match=f"written to by process {holder.pid}"),
        workspace_lock(Store(tmp_path)),
    ):
        pass
    assert lock.owner(Store(tmp_path)) == holder.pid


def test_the_lock_of_a_killed_owner_is_free(tmp_path: Path, holder: subprocess.Popen) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / LOCK).read_text() == str(holder.pid)
    assert lock.owner(Store(tmp_path)) is None
    with workspace_lock(Store(tmp_path)):
        assert (tmp_path / LOCK).read_text() == str(os.getpid())


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
