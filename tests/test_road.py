"""The whole road on a tiny shop, through the doors that people take: the command line, DVC, the Prefect API."""

import json
import os
import shutil
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from ecomine.domains import DOMAINS
from ecomine.stages import PIPELINE
from tests.conftest import LENIENT, change_params, make_workspace
from tests.shell import free_port, shell, start

pytestmark = pytest.mark.slow


def dvc_workspace(folder: Path) -> Path:
    workspace = make_workspace(folder, gate=LENIENT, domains=["recommendation"])
    shell(workspace, "dvc", "init", "--quiet", "--no-scm")
    return workspace


@pytest.fixture(scope="module")
def travelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A workspace after `ecomine run`, and what was printed."""
    workspace = dvc_workspace(tmp_path_factory.mktemp("flow") / "workspace")
    done = shell(workspace, "ecomine", "run", "--no-server")
    return workspace, done.stdout + done.stderr


def test_a_run_ends_with_a_deployed_model_and_calm_output(travelled: tuple[Path, str]) -> None:
    workspace, printed = travelled
    assert "Traceback" not in printed
    assert "warning" not in printed.lower()
    assert "Deployed: " in printed
    assert "ecomine serve" in printed
    pointer = json.loads((workspace / "deployments/recommendation/current.json").read_text())
    assert (workspace / "deployments/recommendation/versions" / pointer["digest"] / "manifest.json").is_file()
    assert (workspace / "decisions/recommendation.parquet").is_file()


def test_dvc_has_nothing_to_do_after_a_flow(travelled: tuple[Path, str]) -> None:
    workspace, _ = travelled
    assert "up to date" in shell(workspace, "dvc", "status").stdout
    assert "up to date" in shell(workspace, "dvc", "repro").stdout


def test_nothing_half_written_is_left(travelled: tuple[Path, str]) -> None:
    workspace, _ = travelled
    left = [path for pattern in ("**/.*.new", "**/.*.old") for path in workspace.glob(pattern)]
    assert left == []


def test_dvc_repro_from_nothing_gives_the_flows_bytes(travelled: tuple[Path, str], tmp_path: Path) -> None:
    workspace, _ = travelled
    other = dvc_workspace(tmp_path / "workspace")
    shell(other, "dvc", "repro")
    assert (other / "dvc.lock").read_bytes() == (workspace / "dvc.lock").read_bytes()


def test_changing_a_parameter_makes_only_its_stages_stale(travelled: tuple[Path, str]) -> None:
    workspace, _ = travelled
    before = (workspace / "params.yaml").read_bytes()
    try:
        change_params(workspace, gate={**LENIENT, "min_gain": -999.0})
        changed = json.loads(shell(workspace, "dvc", "status", "--json").stdout)
    finally:
        (workspace / "params.yaml").write_bytes(before)
    assert list(changed) == ["gate@recommendation"]


def test_a_candidate_that_fails_its_gate_is_not_deployed(travelled: tuple[Path, str], tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(travelled[0], tmp_path / "workspace"))
    before = (workspace / "deployments/recommendation/current.json").read_bytes()
    change_params(workspace, gate={"min_gain": 1e6})
    shell(workspace, "dvc", "repro")
    done = shell(workspace, "ecomine", "deploy", "recommendation", check=False)
    assert done.returncode == 4
    assert "the candidate is not deployed; better_than_baseline" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert (workspace / "deployments/recommendation/current.json").read_bytes() == before


def test_a_run_killed_at_three_places_ends_in_the_same_artifacts(travelled: tuple[Path, str], tmp_path: Path) -> None:
    reference, _ = travelled
    workspace = dvc_workspace(tmp_path / "workspace")
    for place in ("order_lines:", "online store:", "recommendation: model trained"):
        process = start(workspace, "ecomine", "run", "--no-server")
        assert process.stdout is not None
        for line in process.stdout:
            if place in line:
                break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    done = shell(workspace, "ecomine", "run")  # as a Prefect flow, with a server for the time being
    assert "Deployed: " in done.stdout and done.stderr == ""
    assert (workspace / "dvc.lock").read_bytes() == (reference / "dvc.lock").read_bytes()
    pointer = "deployments/recommendation/current.json"
    digests = [json.loads((folder / pointer).read_text())["digest"] for folder in (workspace, reference)]
    assert digests[0] == digests[1]


def test_a_deployment_triggered_through_the_prefect_api_completes(tmp_path: Path) -> None:
    workspace = dvc_workspace(tmp_path / "workspace")
    port = free_port()
    process = start(workspace, "ecomine", "up", "--port", str(port))
    try:
        deployment = _eventually(lambda: _call(port, "GET", "deployments/name/retrain/on-demand"))
        options = deployment["parameter_openapi_schema"]["definitions"]["DomainName"]["enum"]
        assert options == list(DOMAINS)
        body = {"parameters": {"domains": ["recommendation"], "workspace": str(workspace)}}
        created = _call(port, "POST", f"deployments/{deployment['id']}/create_flow_run", body)
        final = _eventually(lambda: _ended(port, created["id"]))
        assert final["type"] == "COMPLETED", final.get("message")
        ran = _call(port, "POST", "task_runs/filter", {"flow_runs": {"id": {"any_": [created["id"]]}}})
        assert {stage.name for stage in PIPELINE} <= {task["name"].split()[0] for task in ran}
        artifacts = _call(port, "POST", "artifacts/filter", {"artifacts": {"key": {"any_": ["summary"]}}})
        assert "Deployed: " in artifacts[0]["data"]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    assert "up to date" in shell(workspace, "dvc", "status").stdout


def _call(port: int, method: str, path: str, body: dict | None = None) -> dict:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _ended(port: int, run: str) -> dict | None:
    state = _call(port, "GET", f"flow_runs/{run}")["state"]
    return state if state["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None


def _eventually(ask, seconds: float = 180) -> dict:
    """The first answer that is not None, asked again while nothing answers yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            answer = ask()
            if answer is not None:
                return answer
        except OSError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"no answer within {seconds:.0f} seconds")
