"""Runs that are killed, pile up, come ten at once or find a server away; and who is told of it. All on real servers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest

from ecomine import deployment, layout, lock
from ecomine.errors import GateError, LockedError, SettingsError
from ecomine.store import Store
from flows.walk import plain, walk
from tests.conftest import LENIENT, PROJECT, bring_candidate, change_params, make_workspace
from tests.receivers import smtp_server, web_hook
from tests.requirements import require
from tests.servers import postgres_server
from tests.shell import environment, eventually, free_port
from tests.test_lock import HOLD

pytestmark = pytest.mark.slow

T = TypeVar("T")
NAME = "recommendation"
UNFINISHED = {"SCHEDULED", "PENDING", "RUNNING", "CANCELLING"}


class Prefect:
    """A Prefect server, asked over HTTP."""

    def __init__(self, address: str, database: str) -> None:
        self.address, self.database = address, database

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.address}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def environment(self) -> dict[str, str]:
        return {**environment(PROJECT), "PREFECT_API_URL": self.address, "PREFECT_WORKER_QUERY_SECONDS": "1"}

    def python(self, code: str, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        """Run Python code to its end, in a process that knows the server."""
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(
            command, cwd=PROJECT, env=self.environment(), input=given, capture_output=True, text=True, timeout=300
        )

    def worker(self) -> "subprocess.Popen[bytes]":
        """A process worker, which runs one flow at a time."""
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "ecomine", "--limit", "1"]
        return subprocess.Popen(
            command, cwd=PROJECT, env=self.environment(), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def state(self, run: str) -> dict[str, Any]:
        return dict(self.call("GET", f"flow_runs/{run}")["state"])


@pytest.fixture(scope="module")
def prefect() -> Iterator[Prefect]:
    """A Prefect server that keeps its state in PostgreSQL."""
    binaries = require("initdb", "postgresql").parent
    with postgres_server(binaries) as database:
        port = free_port()
        prefect = Prefect(f"http://127.0.0.1:{port}/api", database)
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        address = database.replace("postgresql:", "postgresql+asyncpg:")
        server = subprocess.Popen(
            command, env={**environment(PROJECT), "PREFECT_API_DATABASE_CONNECTION_URL": address},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            eventually(lambda: prefect.call("GET", "health") or None)
            yield prefect
        finally:
            server.terminate()
            server.wait()


@pytest.fixture(scope="module")
def two_versions(walked: Path, challenger: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which one version of recommendations was deployed after another."""
    from ecomine.stages import Context, run

    workspace = Path(shutil.copytree(walked, tmp_path_factory.mktemp("two") / "workspace"))
    bring_candidate(workspace, challenger)
    run("deploy", NAME, Context.of(workspace))
    return workspace


DEPLOY = """
import sys
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from flows.retrain import retrain
with get_client(sync_client=True) as client:
    client.create_work_pool(WorkPoolCreate(name="ecomine", type="process"))
    flow = client.create_flow(retrain)
    print(client.create_deployment(
        flow, "weekly", work_pool_name="ecomine", entrypoint="flows/retrain.py:retrain", path=sys.argv[1],
        parameters={"domains": ["recommendation"], "workspace": sys.argv[2]},
        parameter_openapi_schema={"type": "object", "properties": {}}, enforce_parameter_schema=False,
    ))
"""


def test_a_killed_worker_and_the_runs_missed_meanwhile_end_as_one_run_that_finishes(
    prefect: Prefect, tmp_path: Path
) -> None:
    slow = {"max_rounds": 3000, "patience": 3000}
    workspace = make_workspace(tmp_path / "workspace", gate=LENIENT, domains=[NAME], **{NAME: slow})
    with web_hook() as (address, texts):
        made = prefect.python(
            "import sys; from flows import notices; print(notices.save_webhook('shop', sys.argv[1]))", address
        )
        assert made.stdout == "custom-webhook/shop\n", made.stderr
        change_params(workspace, notifications={"blocks": ["custom-webhook/absent", "custom-webhook/shop"]})
        made = prefect.python(DEPLOY, str(PROJECT), str(workspace))
        assert made.returncode == 0, made.stderr
        weekly = made.stdout.strip()

        worker = prefect.worker()
        killed = prefect.call("POST", f"deployments/{weekly}/create_flow_run", {})
        asked = {"flow_runs": {"id": {"any_": [killed["id"]]}}}

        def training() -> bool | None:
            steps = {step["name"]: step["state_type"] for step in prefect.call("POST", "task_runs/filter", asked)}
            return True if steps.get(f"train {NAME}") == "RUNNING" else None

        eventually(training, 900, 0.1)
        held = lock.holder(Store(workspace))
        assert held is not None
        assert held.does == f"retrain {killed['name']}"
        for process in (worker.pid, held.pid):
            os.kill(process, signal.SIGKILL)
        worker.wait()
        assert prefect.state(killed["id"])["type"] == "RUNNING", "nobody was left to say that it ended"

        change_params(workspace, **{NAME: {}})
        now = datetime.now(UTC)
        missed = [
            prefect.call("POST", f"deployments/{weekly}/create_flow_run", _scheduled(now - timedelta(minutes=minutes)))
            for minutes in (5, 4, 3, 2, 1)
        ]
        worker = prefect.worker()
        try:
            final = eventually(lambda: _ended(prefect, missed), 900)
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()

    newest = missed[-1]
    assert sorted(state["name"] for state in final[:-1]) == ["Cancelled"] * 3 + ["Skipped"], final
    assert final[-1]["name"] == "Completed", final[-1]
    assert all(f"Overtaken by the scheduled run {newest['name']}" in state["message"] for state in final[:-1])
    dead = prefect.state(killed["id"])
    assert dead["type"] == "CRASHED"
    assert dead["message"] == f"Its process {held.pid} was gone when the run {newest['id']} began."
    assert {step["state_type"] for step in prefect.call("POST", "task_runs/filter", asked)} == {"COMPLETED", "CRASHED"}
    digest = deployment.current(Store(workspace), NAME)
    assert digest is not None
    assert [text.splitlines()[0] for text in texts] == [
        f"*{killed['name']} crashed*", f"*{NAME}: {digest[:12]} is deployed*"
    ]  # fmt: skip
    left = [path for pattern in ("**/.*.new", "**/.*.old", f"{layout.SPILL}/*") for path in workspace.glob(pattern)]
    assert left == []


ROLL_BACK = """
import sys
from concurrent.futures import ThreadPoolExecutor
from flows.deployment import rollback
def one(folder):
    return rollback("recommendation", workspace=folder, return_state=True).type.value
with ThreadPoolExecutor(10) as pool:
    print(*pool.map(one, sys.argv[1:]))
"""


def test_ten_runs_at_once_are_all_in_postgresql(prefect: Prefect, two_versions: Path, tmp_path: Path) -> None:
    import psycopg

    folders = [Path(shutil.copytree(two_versions, tmp_path / f"shop{number}")) for number in range(10)]
    before = deployment.current(Store(two_versions), NAME)
    done = prefect.python(ROLL_BACK, *map(str, folders))
    assert done.stdout.split() == ["COMPLETED"] * 10, done.stderr
    with psycopg.connect(prefect.database) as connection:
        query = """SELECT run.state_type::text, run.parameters ->> 'workspace', count(state.id) FROM flow_run AS run
            JOIN flow ON flow.id = run.flow_id JOIN flow_run_state AS state ON state.flow_run_id = run.id
            WHERE flow.name = 'rollback' GROUP BY 1, 2, run.id"""
        kept = sorted(connection.execute(query).fetchall())
    assert [(state, folder) for state, folder, _ in kept] == sorted(("COMPLETED", str(folder)) for folder in folders)
    assert all(states >= 3 for _, _, states in kept), "pending, running, completed"
    assert all(deployment.current(Store(folder), NAME) != before for folder in folders)


PATIENCE = """
import time
from pathlib import Path
import duckdb
from prefect import flow, task
from ecomine.errors import GateError, SettingsError
from ecomine.params import RunParams
from ecomine.sources import database
from flows.patience import patient
tries = {}
def away():
    engine = database.engine("postgresql://me:secret@127.0.0.1:1/shop", Path("."))
    database.land(duckdb.connect(), engine, "SELECT 1", Path("."), "here:")
def stopped():
    raise GateError("no")
def wrong():
    raise SettingsError("no")
def hanging():
    time.sleep(60)
@task
def step(work):
    tries[work] = tries.get(work, 0) + 1
    globals()[work]()
@flow
def road():
    minutes = {"away": 5, "stopped": 5, "wrong": 5, "hanging": 0.01}
    return [
        patient(step, RunParams(retries=2, retry_seconds=0.05, step_minutes=limit))(work, return_state=True)
        for work, limit in minutes.items()
    ]
states = road(return_state=True).result(raise_on_failure=False)
print(tries, "TimedOut" in str(states))
"""


def test_a_step_is_tried_again_only_where_waiting_can_help(prefect: Prefect) -> None:
    done = prefect.python(PATIENCE)
    assert done.stdout == "{'away': 3, 'stopped': 1, 'wrong': 1, 'hanging': 1} True\n", done.stderr


COMMANDS = """
import sys
from ecomine.cli import main
for command in sys.argv[2:]:
    print(main(["--workspace", sys.argv[1], "notices", *command.split()]))
"""


def test_notices_reach_a_web_hook_and_a_mailbox(prefect: Prefect, workspace: Path) -> None:
    blocks = ["custom-webhook/floor", "email-server-credentials/desk"]
    change_params(workspace, notifications={"blocks": blocks, "to": ["desk@example.org"]})
    with web_hook() as (address, texts):
        with smtp_server() as (port, messages):
            email = f"email desk --server 127.0.0.1 --port {port} --security none"
            done = prefect.python(COMMANDS, str(workspace), "webhook floor", email, "try", given=address)
            told = done.stdout.splitlines()
            assert [told[1], *told[3:]] == ["0", "0", f"{blocks[0]}: sent", f"{blocks[1]}: sent", "0"], done.stderr
        assert texts == [f"*ecomine: a trial*\nThis is how notices of {workspace.name} arrive."]
        assert "Subject: ecomine: a trial" in messages[0]
        assert "To: desk@example.org" in messages[0]
        assert f"This is how notices of {workspace.name} arrive." in messages[0]
        done = prefect.python(COMMANDS, str(workspace), "try")
    assert f"{blocks[0]}: sent" in done.stdout
    assert f"{blocks[1]}: ConnectionRefusedError" in done.stdout
    assert done.stdout.splitlines()[-1] == "2"
    assert "B0/hush" not in done.stdout + done.stderr
    document = prefect.call("GET", "block_types/slug/custom-webhook/block_documents/name/floor")
    assert "B0/hush" not in json.dumps(document), "the address is kept as a secret"


@pytest.mark.parametrize(("error", "kind"), [(GateError, "refused"), (SettingsError, "failed")])
def test_a_gate_is_told_apart_from_other_failures(
    error: type[Exception], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.client.schemas.objects import FlowRun
    from prefect.states import Failed

    from flows import notices
    from flows.deployment import deploy

    told: list[tuple[str, ...]] = []
    monkeypatch.setattr(notices, "notify", lambda *what: told.append(what))
    run = FlowRun(flow_id=uuid4(), name="calm-otter", parameters={"workspace": "/shop"})
    notices.told_end(deploy, run, Failed(data=error("it is too slow")))
    ((subject, body, *where),) = told
    assert subject == ("deploy stopped at a gate" if kind == "refused" else "deploy failed")
    assert body.startswith("it is too slow\n")
    assert where == [kind, Path("/shop")]


def test_the_road_walked_twice_changes_no_byte(walked: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(walked, tmp_path / "workspace"))
    before = _bytes(workspace)
    walk([NAME], True, workspace, plain(workspace, lambda text: None))
    assert _bytes(workspace) == before


def test_a_run_waits_for_the_one_at_work_and_gives_up_in_the_end(tmp_path: Path) -> None:
    from flows.one_writer import writing

    store, said = Store(tmp_path), []
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=PROJECT
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(LockedError, match=rf"by process {other.pid} since .*waited for 0\.01 minutes"),
            writing(store, 0.6, "retrain", said.append),
        ):
            pass
        threading.Timer(0.5, other.kill).start()
        with writing(store, 60, "retrain", said.append):
            held = lock.holder(store)
            assert held is not None and held.does == "retrain"
    assert len(said) == 2 and all(f"waiting: process {other.pid}" in line for line in said)


def _bytes(workspace: Path) -> dict[str, bytes]:
    """Everything in a workspace but who holds its lock, and the pages with their key, not made at first."""
    files = [path for path in workspace.rglob("*") if path.is_file()]
    named = {path.relative_to(workspace).as_posix(): path for path in files}
    return {
        name: path.read_bytes()
        for name, path in named.items()
        if name not in (layout.LOCK, layout.PSEUDONYM_KEY) and not name.startswith(f"{layout.REPORTS}/")
    }


def _scheduled(moment: datetime) -> dict[str, Any]:
    """A run as a schedule makes it."""
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": moment.isoformat()}}
    return {"state": state, "tags": ["auto-scheduled"]}


def _ended(prefect: Prefect, runs: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    states = [prefect.state(run["id"]) for run in runs]
    return None if any(state["type"] in UNFINISHED for state in states) else states
