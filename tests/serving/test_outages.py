"""What the API rests on goes away and comes back: nothing is lost or half done, and /readyz tells the truth."""

import datetime as moments
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from ecomine import deployment
from ecomine.cli import main
from ecomine.deployment import publication
from ecomine.domains import DOMAINS
from ecomine.serving.receipts import PAUSE, Receipts
from ecomine.serving.replay import Replayer
from ecomine.stages import Context, run
from ecomine.store import Store
from tests.conftest import bring_candidate, change_params
from tests.requirements import require, require_module
from tests.servers import free_port
from tests.serving.server import serving

NAME = "recommendation"
RECEIPT, STEP = "x-receipt-id", "x-answered-by"


@pytest.fixture
def workspace(walked: Path, tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("receipts", "raw", "canonical")
    return Path(shutil.copytree(walked, tmp_path / "workspace", ignore=ignored))


def until(client: httpx.Client, step: str) -> httpx.Response:
    """The first answer that comes by this step."""
    deadline = time.monotonic() + 20
    while True:
        answer = client.get("/v1/recommendations/u0001")
        assert answer.status_code == 200, answer.text
        if answer.headers[STEP] == step:
            return answer
        assert time.monotonic() < deadline, f"{answer.headers[STEP]}, never {step}: {client.get('/readyz').text}"
        time.sleep(0.1)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[tuple[str, Callable[[], subprocess.Popen]]]:
    """The address of a Redis that keeps what it has on disk, and what starts it."""
    require_module("redis", "ecomine[redis]")
    binary, port = require("redis-server", "redis-server"), free_port()
    folder = tmp_path / "redis"
    folder.mkdir()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes", "--save", ""]
    started: list[subprocess.Popen] = []

    def start() -> subprocess.Popen:
        server = subprocess.Popen([str(binary), *options, "--appendfsync", "always"], stdout=subprocess.DEVNULL)
        started.append(server)
        deadline = time.monotonic() + 20
        while subprocess.run(["redis-cli", "-p", str(port), "ping"], capture_output=True).stdout != b"PONG\n":
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.05)
        return server

    yield f"redis://127.0.0.1:{port}/0", start
    for server in started:
        server.kill()
        server.wait()


def test_redis_gone_and_back(workspace: Path, challenger: Path, redis: tuple[str, Callable], capsys) -> None:
    url, start = redis
    change_params(workspace, online={"kind": "redis", "url": url})
    server = start()
    run("materialize", None, Context.of(workspace))
    store, domain = Store(workspace), DOMAINS[NAME]
    first = deployment.current(store, NAME)
    with serving(workspace) as client:
        before = until(client, "deployed")
        assert client.get("/readyz").json()["degraded"] == {}

        server.kill()
        server.wait()
        away = [client.get(f"/v1/recommendations/u{number:04d}") for number in range(10)]
        assert {(answer.status_code, answer.headers[STEP]) for answer in away} == {(200, "published")}
        ready = client.get("/readyz")
        assert ready.status_code == 200 and "features cannot be read" in ready.json()["degraded"][NAME]

        bring_candidate(workspace, challenger)
        assert main(["--workspace", str(workspace), "deploy", NAME]) == 2
        assert "Traceback" not in capsys.readouterr().err
        assert deployment.current(store, NAME) == first and publication.current(store, domain, str(first))
        assert len(deployment.history(store, NAME)) == 1

        start()
        after = until(client, "deployed")
        assert after.json() == before.json()
        assert client.get("/readyz").json()["degraded"] == {}
        assert main(["--workspace", str(workspace), "deploy", NAME]) == 0
        second = deployment.current(store, NAME)
        assert second != first and until(client, "deployed").json()["model"] == second
    receipts, replayer = Receipts(store, 30), Replayer(store)
    for answer in (before, *away, after):
        assert replayer.differences(receipts.get(answer.headers[RECEIPT])) == []


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """A SQLite file that another process writes to, and does not end."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_a_locked_file_of_receipts_holds_up_one_answer_and_no_other(
    workspace: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(workspace) as client:
        kept = client.get("/v1/recommendations/u0001").headers[RECEIPT]
        with locked(workspace / "data/receipts/receipts.db"), caplog.at_level("ERROR", "ecomine.serving"):
            begun = time.monotonic()
            answers = [client.get(f"/v1/recommendations/u{number:04d}") for number in range(20)]
            assert time.monotonic() - begun < PAUSE
            assert {answer.status_code for answer in answers} == {200}
            assert not any(RECEIPT in answer.headers for answer in answers)
            assert "receipt of an answer cannot be kept" in caplog.text
            assert client.get("/readyz").json()["ready"] is True
        monkeypatch.setattr("ecomine.serving.receipts.PAUSE", 0.0)
        again = client.get("/v1/recommendations/u0001").headers[RECEIPT]
    receipts = Receipts(Store(workspace), 30)
    assert receipts.get(kept).answer == receipts.get(again).answer


def test_a_locked_online_store_is_read_all_the_same(workspace: Path) -> None:
    with serving(workspace) as client:
        before = client.get("/v1/recommendations/u0001").json()
        with locked(workspace / "data/online/online.db"):
            answers = [client.get("/v1/recommendations/u0001") for _ in range(3)]
            assert [(answer.json(), answer.headers[STEP]) for answer in answers] == [(before, "deployed")] * 3
            assert client.get("/readyz").json()["degraded"] == {}
        with serving(workspace) as fresh:
            assert fresh.get("/v1/recommendations/u0001").json() == before


def test_a_clock_that_goes_back_takes_no_receipt_and_no_pace_with_it(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift = moments.timedelta()

    class Clock(moments.datetime):
        @classmethod
        def now(cls, tz: moments.tzinfo | None = None) -> moments.datetime:
            return moments.datetime.now(tz) + shift

    monkeypatch.setattr("ecomine.serving.receipts.datetime", Clock)
    change_params(workspace, serving={"requests_a_second": 5})
    receipts, replayer = Receipts(Store(workspace), 30), Replayer(Store(workspace))
    with serving(workspace) as client:
        first = [client.get("/v1/recommendations/u0001") for _ in range(3)]
        shift = moments.timedelta(days=-400)
        later = [client.get("/v1/recommendations/u0002") for _ in range(3)]
        assert {answer.status_code for answer in (*first, *later)} == {200}
        ids = [answer.headers[RECEIPT] for answer in (*first, *later)]
        assert len(set(ids)) == 6
        for id_ in ids:
            assert replayer.differences(receipts.get(id_)) == []
        quick = [client.get("/v1/recommendations/u0001?k=0").status_code for _ in range(60)]
        assert 429 in quick, "the pace goes by a clock that nobody can set"
        assert client.get("/readyz").json()["ready"] is True
