"""Run in a process of its own: take events in and on, and be killed at one line after the other.

Each attempt is a forked child that ends itself with SIGKILL when it comes to its n-th line of the code under test. What
it leaves is then looked at, gone on from, and compared with what was to come out.
"""

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import duckdb  # before the fork, so that only one process waits for it  # noqa: F401
import pyarrow.parquet as pq

from ecomine.feature_store import LIVE_TABLES
from ecomine.params import StreamingParams
from ecomine.streaming import Consumer, event_log, judge
from tests.streaming.shop import NOW, events, make, payments

UNDER_TEST = ("/ecomine/streaming/", "/ecomine/feature_store/live_", "/ecomine/store.py")


def child(what: Callable[[], None], at: int | None) -> bool:
    """Whether `what` came to its end before the line numbered `at`, which kills it."""
    process = os.fork()
    if process == 0:
        try:
            if at is not None:
                sys.settrace(_counting(at))
            what()
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or status == 0, status
    return not killed


def _counting(at: int) -> Any:
    left = at

    def lines(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return lines

    def calls(frame: FrameType, event: str, argument: object) -> Any:
        return lines if any(part in frame.f_code.co_filename for part in UNDER_TEST) else None

    return calls


def intake(folder: Path, step: int) -> int:
    """Killed while events are written: what was answered for is there, and all is there once after it is sent again."""
    sent = judge([*events(40), *payments(10)], NOW, StreamingParams()).entries
    killed, at, ended = 0, 1, False
    while not ended:
        workspace = make(folder / f"intake-{at}")
        answered = workspace / "answered"

        def write(workspace: Path = workspace, answered: Path = answered) -> None:
            log = event_log(workspace)
            for start in range(0, 50, 10):
                log.append(sent[start : start + 10])
                answered.write_text(str(start + 10))

        ended = child(write, at)
        killed += not ended
        count = int(answered.read_text()) if answered.exists() else 0
        log = event_log(workspace)
        there = log.read("0-0", 100)["body"].to_pylist()
        assert there[:count] == [entry.body for entry in sent[:count]], at
        assert len(there) % 10 == 0, at
        child(write, None)
        assert event_log(workspace).read("0-0", 100)["body"].to_pylist() == [entry.body for entry in sent], at
        at += step
    return killed


def consuming(folder: Path, step: int) -> int:
    """Killed while events are taken on and landed: gone on from there, all is there once, online and in the files."""
    sent = [*events(60, days=3), *payments(20)]
    entries = judge(sent, NOW, StreamingParams()).entries
    killed, at, ended, wanted = 0, 1, False, None
    while not ended:
        workspace = make(folder / f"consuming-{at}", batch=17)

        def run(workspace: Path = workspace) -> None:
            event_log(workspace).append(entries[:50])
            Consumer(workspace).once()
            event_log(workspace).append(entries)
            Consumer(workspace).once()

        ended = child(run, at)
        killed += not ended
        child(run, None)
        found = _all(workspace)
        wanted = wanted or found
        assert found == wanted, at
        at += step
    assert wanted is not None
    assert wanted["events"] == sorted(row["event_id"] for row in sent if row["kind"] == "events")
    assert wanted["payments"] == sorted(row["payment_id"] for row in sent if row["kind"] == "payments")
    assert len(wanted["user_activity"]) == 60
    return killed


def _all(workspace: Path) -> dict[str, list]:
    """What is in the live state and in the files, sorted."""
    with sqlite3.connect(workspace / "data/stream/live.db") as connection:
        found: dict[str, list] = {
            name: connection.execute(f"SELECT * FROM {name} ORDER BY entity, micro, id").fetchall()
            for name in LIVE_TABLES
        }
    connection.close()
    for kind, key in (("events", "event_id"), ("payments", "payment_id")):
        files = sorted((workspace / "data/raw/streamed" / kind).glob("*/*.parquet"))
        found[kind] = sorted(name for file in files for name in pq.read_table(file)[key].to_pylist())
    return found


if __name__ == "__main__":
    place = Path(sys.argv[1])
    print(json.dumps({"intake": intake(place, int(sys.argv[2])), "consuming": consuming(place, int(sys.argv[3]))}))
