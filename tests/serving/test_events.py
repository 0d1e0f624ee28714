"""Events over HTTP: verdicts, keys, readiness, a server that is killed; seen online within a second."""

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from ecomine.streaming import Consumer, Recent, event_log, log_sqlite
from ecomine.streaming.envelope import KINDS
from tests.conftest import PROJECT
from tests.serving.server import serving
from tests.serving.test_process import MAIN
from tests.streaming.shop import NOW, events, make, payments

EVENT, PAYMENT = events(1)[0], payments(1)[0]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("events") / "shop")


@pytest.fixture(scope="module")
def client(workspace: Path) -> Iterator[httpx.Client]:
    with serving(workspace) as client:
        yield client


def test_one_event_is_accepted_once(client: httpx.Client) -> None:
    event = EVENT | {"event_id": "single"}
    first, again = (client.post("/v1/events", json=event) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == {"accepted": ["single"], "duplicate": [], "refused": []}
    assert again.json() == {"accepted": [], "duplicate": ["single"], "refused": []}


def test_a_batch_is_judged_row_by_row(client: httpx.Client, workspace: Path) -> None:
    wrong = EVENT | {"event_id": "b2", "event_type": "look"}
    rows = [EVENT | {"event_id": "b1"}, wrong, PAYMENT, EVENT | {"event_id": "b1"}]
    answer = client.post("/v1/events", json={"events": rows})
    assert answer.status_code == 200
    told = answer.json()
    assert told["accepted"] == ["b1", PAYMENT["payment_id"]]
    assert told["duplicate"] == ["b1"]
    assert [(one["row"], one["field"]) for one in told["refused"]] == [(1, "event_type")]
    assert "look" not in answer.text
    bodies = event_log(workspace).read("0-0", 100)["body"].to_pylist()
    assert [json.loads(body).get("event_id") for body in bodies].count("b1") == 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (EVENT | {"user_id": ""}, "user_id: empty"),
        ({"events": [EVENT | {"amount": 3}]}, "row 0: amount: no such column"),
        ({"events": []}, "1 to 1,000"),
        ([EVENT], "The body is an event"),
    ],
)
def test_what_is_wrong_is_told_by_row_and_field(client: httpx.Client, body: object, told: str) -> None:
    answer = client.post("/v1/events", json=body)
    assert answer.status_code == 422
    assert {"error", "hint"} <= set(answer.json()) <= {"error", "hint", "refused"}
    assert told in answer.json()["error"]


def test_an_event_is_seen_online_within_a_second(client: httpx.Client, workspace: Path) -> None:
    recent, times = Recent(workspace), []
    for number in range(20):
        payment = PAYMENT | {"payment_id": f"lag{number}", "card_id": "lag", "event_timestamp": NOW.isoformat()}
        assert client.post("/v1/events", json=payment).status_code == 200
        start = time.monotonic()
        while recent("card_velocity", "lag", NOW)["card_velocity__attempts_1h"] < number + 1:
            assert time.monotonic() - start < 5
            time.sleep(0.005)
        times.append(time.monotonic() - start)
    assert sorted(times)[-2] < 1.0


def test_the_page_for_people_tells_what_may_be_sent(client: httpx.Client) -> None:
    route = client.get("/openapi.json").json()["paths"]["/v1/events"]["post"]
    content = route["requestBody"]["content"]["application/json"]
    assert {*KINDS, "batch"} == set(content["examples"])
    sound = content["examples"]["batch"]["value"]["events"]
    moved = [row | {"event_timestamp": NOW.isoformat()} for row in sound]
    assert len(client.post("/v1/events", json={"events": moved}).json()["accepted"]) == 3
    assert {"200", "422", "503"} <= set(route["responses"])


def test_nothing_that_is_sent_breaks_it(client: httpx.Client) -> None:
    drawn = random.Random(1)
    odd = [
        None,
        True,
        -1,
        1e308,
        10**30,
        "",
        "\u0000",
        "\ud800",
        "x" * 3000,
        [],
        {},
        [[]],
        "2024-13-45",
        "0001-01-01T00:00:00+14:00",
    ]
    for _ in range(300):
        row = dict(drawn.choice([EVENT, PAYMENT]))
        for name in drawn.sample([*row, "rating", "position"], 2):
            row[name] = drawn.choice(odd)
        body = json.dumps(drawn.choice([row, {"events": [row, drawn.choice(odd)]}, drawn.choice(odd)]))
        answer = client.post("/v1/events", content=body.encode()[: drawn.choice([None, None, None, 40])])
        assert answer.status_code in (200, 422), (body, answer.text)


def test_readiness_tells_whether_events_can_be_written(
    client: httpx.Client, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/readyz").json()["events"] == "written and taken on"
    monkeypatch.setattr(log_sqlite, "WAIT", 0.1)
    event_log(workspace)
    lock = sqlite3.connect(workspace / "data/stream/log.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with serving(workspace) as locked:
        answer = locked.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        assert "locked" in answer.json()["events"]
        refused = locked.post("/v1/events", json=EVENT | {"event_id": "while locked"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        lock.execute("ROLLBACK")
        assert locked.post("/v1/events", json=EVENT | {"event_id": "while locked"}).json()["accepted"]
        assert "locked" not in locked.get("/readyz").json()["events"]
    lock.close()


def test_events_need_a_key_of_their_scope(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ecomine.cli import main

    workspace = make(tmp_path / "shop")
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    (workspace / "params.yaml").write_text(yaml.safe_dump(params | {"serving": {"keys": True}}))
    keys = {}
    for scope in ("events", "recommendation"):
        assert main(["--workspace", str(workspace), "key", "create", scope, "--scope", scope]) == 0
        keys[scope] = {"X-API-Key": capsys.readouterr().out.strip()}
    with serving(workspace) as client:
        assert client.post("/v1/events", json=EVENT).status_code == 401
        assert client.post("/v1/events", json=EVENT, headers=keys["recommendation"]).status_code == 403
        assert client.post("/v1/events", json=EVENT, headers=keys["events"]).status_code == 200


def start_server(workspace: Path, port: int) -> subprocess.Popen:
    command = [sys.executable, "-c", MAIN, "--workspace", str(workspace), "serve", "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), *filter(None, sys.path)])}
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None and time.monotonic() < deadline
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz")
            return process
        except httpx.TransportError:
            time.sleep(0.05)


def test_a_server_killed_while_events_come_keeps_what_it_answered_for(tmp_path: Path) -> None:
    workspace, sent = make(tmp_path / "shop"), events(4000, days=2)
    batches = [sent[start : start + 20] for start in range(0, len(sent), 20)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process, answered = start_server(workspace, port), []
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            for number, batch in enumerate(batches):
                if number == 60:
                    process.send_signal(signal.SIGKILL)
                try:
                    answered += client.post("/v1/events", json={"events": batch}).json()["accepted"]
                except httpx.TransportError:
                    break
        process.wait(timeout=30)
        assert len(answered) >= 1200
        there = [json.loads(body)["event_id"] for body in event_log(workspace).read("0-0", 9999)["body"].to_pylist()]
        assert set(answered) <= set(there)
        with serving(workspace) as client:
            for batch in batches[:100]:
                assert client.post("/v1/events", json={"events": batch}).json()["refused"] == []
            deadline = time.monotonic() + 20
            consumer = Consumer(workspace)
            while consumer.log.waiting(consumer.state.position)[0]:
                assert time.monotonic() < deadline
                time.sleep(0.02)
    finally:
        process.kill()
        process.wait(timeout=30)
    there = [json.loads(body)["event_id"] for body in event_log(workspace).read("0-0", 9999)["body"].to_pylist()]
    assert sorted(there) == sorted(row["event_id"] for row in sent[:2000])
    recent, users = Recent(workspace), {row["user_id"] for row in sent}
    assert sum(recent("user_activity", user, NOW)["user_activity__events_7d"] for user in users) == 2000
