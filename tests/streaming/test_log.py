"""The event log, in a file and in Redis: order, each identity once, on disk or refused."""

import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from ecomine.params import StreamingParams
from ecomine.streaming import Entry, Intake, event_log, judge
from ecomine.streaming.log import NOTHING, order
from tests.streaming.shop import NOW, events, make, payments


def entries(count: int, seed: int = 1) -> list[Entry]:
    return judge(events(count, seed), NOW, StreamingParams()).entries


def test_entries_come_back_in_order_each_once(taking: Path) -> None:
    log, sent = event_log(taking), entries(30)
    assert log.last == NOTHING
    assert log.waiting(NOTHING) == (0, 0.0)
    assert log.append([*sent[:10], *sent[:3]]) == [True] * 10 + [False] * 3
    assert log.append(sent[5:]) == [False] * 5 + [True] * 20
    found = log.read(NOTHING, 100)
    assert found["body"].to_pylist() == [entry.body for entry in sent]
    assert found["micro"].to_pylist() == [entry.micro for entry in sent]
    offsets = found["offset"].to_pylist()
    assert offsets == sorted(set(offsets), key=order)
    assert log.last == offsets[-1]
    assert log.read(offsets[9], 5)["body"].to_pylist() == [entry.body for entry in sent[10:15]]
    behind, seconds = log.waiting(offsets[9])
    assert behind == 20
    assert 0 <= seconds < 60


def test_an_identity_is_known_to_the_next_process_and_after_the_entry_is_gone(taking: Path) -> None:
    sent = entries(10)
    log = event_log(taking)
    log.append(sent)
    half = sorted(entry.micro for entry in sent)[4]
    assert log.forget(log.last, half) == 5
    again = event_log(taking)
    assert again.append(sent) == [False] * 10
    assert again.read(NOTHING, 100).num_rows == 5
    last = again.last
    again.forget(last, 1 << 60)
    assert again.append(entries(1, seed=2)) == [True]
    assert order(again.last) > order(last)


def test_an_identity_is_let_go_only_when_its_event_would_be_refused_as_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, sent = make(tmp_path / "shop", window_days=30.0), entries(1)
    event_log(workspace).append(sent)
    start = time.time_ns()
    for days, known in ((29, True), (30.9, True), (31.1, False)):
        monkeypatch.setattr(time, "time_ns", lambda days=days: start + int(days * 86_400e9))
        log = event_log(workspace)
        log.append(entries(1, seed=int(days * 10)))  # looks for what is too old
        assert (log.append(sent) == [False]) is known
        if not known:
            now = Intake(log).now
            assert judge(events(1), now, StreamingParams()).refusals[0].error.startswith("older than 30 days")


def test_a_clock_that_is_set_back_neither_refuses_nor_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, sent = event_log(make(tmp_path / "shop")), entries(20)
    log.append(sent[:10])
    clock, now = log.clock, time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now - int(3 * 86_400e9))
    intake = Intake(log)
    try:
        assert intake.submit(sent).result() == [False] * 10 + [True] * 10
        assert log.clock > clock
        assert intake.now >= NOW - timedelta(seconds=1)
        assert judge(events(5, days=0.01), intake.now, StreamingParams()).refusals == []
        assert log.waiting(NOTHING)[1] == 0.0
    finally:
        intake.close()


def test_many_threads_and_two_logs_write_each_event_once(taking: Path) -> None:
    sent, new = entries(200), []
    intakes = [Intake(event_log(taking)) for _ in range(2)]

    def send(number: int) -> None:
        for start in range(0, 200, 20):
            new.append(sum(intakes[number % 2].submit(sent[start : start + 20]).result()))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for intake in intakes:
        intake.close()
    assert sum(new) == 200
    bodies = event_log(taking).read(NOTHING, 1000)["body"].to_pylist()
    assert sorted(bodies) == sorted(entry.body for entry in sent)


def test_kinds_do_not_share_identities(taking: Path) -> None:
    rows = [*events(1), *payments(1)]
    rows[1]["payment_id"] = rows[0]["event_id"]
    assert event_log(taking).append(judge(rows, NOW, StreamingParams()).entries) == [True, True]
