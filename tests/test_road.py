"""The whole road on a tiny shop, through the doors that people take: the command line, DVC, the Prefect API."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.conftest import LENIENT, change_params, make_workspace
from tests.shell import shell, start

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
    done = shell(workspace, "ecomine", "run", "--no-server")
    assert "Deployed: " in done.stdout and done.stderr == ""
    assert (workspace / "dvc.lock").read_bytes() == (reference / "dvc.lock").read_bytes()
    pointer = "deployments/recommendation/current.json"
    digests = [json.loads((folder / pointer).read_text())["digest"] for folder in (workspace, reference)]
    assert digests[0] == digests[1]
