"""A full disk, a locked file, a Redis that is gone and comes back, a second consumer: told, and made good."""

import resource
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from ecomine import layout
from ecomine.errors import LockedError, SettingsError, StreamingError
from ecomine.feature_store import live_sqlite
from ecomine.params import StreamingParams
from ecomine.streaming import Consumer, Entry, Intake, Recent, consumer, event_log, judge, land, log_sqlite
from ecomine.streaming.log import NOTHING
from tests.requirements import require, require_module
from tests.streaming.shop import NOW, RedisProcess, durable_redis, events, make, payments


def entries(count: int, seed: int = 1) -> list[Entry]:
    return judge(events(count, seed), NOW, StreamingParams()).entries


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """As on a full disk: no file of this process can grow past so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def taking_on(workspace: Path) -> Iterator[Consumer]:
    """A consumer at work, as in the server."""
    stop, own = threading.Event(), Consumer(workspace)
    thread = threading.Thread(target=own.run, args=(stop,))
    thread.start()
    try:
        yield own
    finally:
        stop.set()
        thread.join()


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def seen(workspace: Path) -> float:
    """Events of all users within the last week, in the live state."""
    recent, users = Recent(workspace), {row["user_id"] for row in events(500)}
    return sum(recent("user_activity", user, NOW)["user_activity__events_7d"] for user in users)


def test_a_full_disk_refuses_events_and_keeps_those_it_answered_for(tmp_path: Path) -> None:
    workspace = make(tmp_path / "shop")
    log, sent, answered = event_log(workspace), entries(4000), 0

    def write() -> None:
        nonlocal answered
        while True:
            log.append(sent[answered : answered + 100])
            answered += 100

    with files_up_to(400_000):
        for _ in range(2):
            with pytest.raises(StreamingError, match="cannot be written"):
                write()
    with files_up_to(1), pytest.raises(StreamingError, match="cannot be written"):
        log.check()
    assert 0 < answered < 4000
    assert event_log(workspace).read(NOTHING, 5000)["body"].to_pylist() == [one.body for one in sent[:answered]]
    log.check()
    assert sum(log.append(sent)) == 4000 - answered


def test_a_full_disk_stops_the_consumer_for_as_long_as_it_is_full(tmp_path: Path) -> None:
    workspace = make(tmp_path / "shop")
    own = Consumer(workspace)
    own.log.append(entries(50))
    assert own.once() == (50, 50)
    own.log.append(entries(1000))
    with files_up_to(1), pytest.raises(StreamingError, match="cannot be written"):
        own.state.apply(100)
    assert own.state.position == "50-0"
    with files_up_to(1), pytest.raises(StreamingError, match="They stay in the log"):
        land(workspace)
    assert own.once() == (950, 950)
    recent = Recent(workspace)
    week = [row for row in events(1000) if row["event_timestamp"] > (NOW - timedelta(days=7)).isoformat()]
    users = {row["user_id"] for row in week}
    assert sum(recent("user_activity", user, NOW)["user_activity__events_7d"] for user in users) == len(week)


def test_a_locked_log_is_told_and_written_to_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_sqlite, "WAIT", 0.1)
    monkeypatch.setattr(live_sqlite, "WAIT", 0.1)
    monkeypatch.setattr(consumer, "AGAIN", 0.05)
    workspace = make(tmp_path / "shop", land_minutes=1000.0)
    intake = Intake(event_log(workspace))
    assert intake.submit(entries(10)).result() == [True] * 10
    with taking_on(workspace) as own:
        until(lambda: intake.log.waiting(own.state.position)[0] == 0)
        locks = []
        for name in (layout.EVENT_LOG, layout.LIVE_STATE):
            locks.append(sqlite3.connect(workspace / name, isolation_level=None))
            locks[-1].execute("BEGIN IMMEDIATE")
        with pytest.raises(StreamingError, match="locked"):
            intake.submit(entries(20)).result()
        with pytest.raises(StreamingError, match="locked"):
            intake.check()
        locks[0].execute("ROLLBACK")
        assert intake.submit(entries(20)).result() == [False] * 10 + [True] * 10
        time.sleep(0.3)
        assert intake.log.waiting(own.state.position)[0] == 10
        locks[1].execute("ROLLBACK")
        until(lambda: intake.log.waiting(own.state.position)[0] == 0)
        for lock in locks:
            lock.close()
    intake.close()


def test_one_consumer_works_and_the_next_one_takes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "AGAIN", 0.05)
    workspace = make(tmp_path / "shop")
    log = event_log(workspace)
    log.append(entries(5))
    with taking_on(workspace) as first:
        until(lambda: log.waiting(first.state.position)[0] == 0)
        with pytest.raises(LockedError, match="taken on by process"):
            Consumer(workspace).once()
    with taking_on(workspace) as second:
        log.append(entries(10))
        until(lambda: log.waiting(second.state.position)[0] == 0)


def test_a_live_state_that_is_lost_comes_back_from_the_log(tmp_path: Path) -> None:
    workspace = make(tmp_path / "shop")
    event_log(workspace).append(entries(100))
    Consumer(workspace).once()
    before = seen(workspace)
    for path in workspace.glob(f"{layout.LIVE_STATE}*"):
        path.unlink()
    assert seen(workspace) == 0
    Consumer(workspace).once()
    assert seen(workspace) == before > 0


@pytest.fixture
def redis_of_own() -> Iterator[RedisProcess]:
    require_module("redis", "ecomine[redis]")
    with durable_redis(require("redis-server", "redis-server")) as server:
        yield server


def test_redis_gone_and_back_loses_and_doubles_nothing(
    tmp_path: Path, redis_of_own: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "AGAIN", 0.05)
    workspace = make(tmp_path / "shop", kind="redis", url=redis_of_own.url, land_minutes=1000.0)
    intake, sent = Intake(event_log(workspace)), entries(300)
    with taking_on(workspace) as own:
        answered = sum(intake.submit(sent[:100]).result())
        until(lambda: intake.log.waiting(own.state.position)[0] == 0)
        for start in (100, 200):
            redis_of_own.kill()
            with pytest.raises(StreamingError, match="cannot be"):
                intake.submit(sent[start : start + 100]).result()
            with pytest.raises(StreamingError, match="cannot be"):
                intake.check()
            with pytest.raises(StreamingError, match="cannot be reached"):
                Recent(workspace)("user_activity", "u0001", NOW)
            redis_of_own.start()
            intake.check()
            answered += sum(intake.submit(sent[: start + 100]).result())
        assert answered == 300
        until(lambda: intake.log.waiting(own.state.position)[0] == 0)
    week = [row for row in events(300) if row["event_timestamp"] > (NOW - timedelta(days=7)).isoformat()]
    assert seen(workspace) == len(week)
    assert event_log(workspace).read(NOTHING, 1000).num_rows == 300
    intake.close()
    redis_of_own.kill()
    redis_of_own.start(synced="everysec")
    with pytest.raises(StreamingError, match="appendfsync always"):
        event_log(workspace).append(sent)


def test_settings_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected log or redis"):
        event_log(make(tmp_path / "a", kind="kafka"))
    with pytest.raises(SettingsError, match=r"streaming\.url"):
        event_log(make(tmp_path / "b", kind="redis"))
    with pytest.raises(SettingsError, match="NOT_SET"):
        Recent(make(tmp_path / "c", kind="redis", url="redis://${NOT_SET}@host"))


def test_what_a_closed_intake_was_given_is_written(tmp_path: Path) -> None:
    workspace = make(tmp_path / "shop")
    intake = Intake(event_log(workspace))
    futures = [intake.submit([entry]) for entry in [*entries(20), *judge(payments(5), NOW, StreamingParams()).entries]]
    futures[3].cancel()
    intake.close()
    assert all(future.cancelled() or future.result() == [True] for future in futures)
    assert event_log(workspace).read(NOTHING, 100).num_rows >= 24
