"""The doctor on a workspace that is well and on spoiled ones, and the status beside it."""

import json
import os
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from ecomine.cli import main
from ecomine.doctor import FAULT, OK, WARNING, Finding, examine
from ecomine.doctor.services import services
from tests.conftest import change_params
from tests.shell import free_port


def findings(workspace: Path) -> dict[str, Finding]:
    return {one.name: one for one in examine(workspace)}


def test_a_workspace_that_is_well_has_no_fault(deployed_workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.process_time()
    assert main(["--workspace", str(deployed_workspace), "doctor"]) == 0
    assert time.process_time() - began < 10
    lines = capsys.readouterr().out.splitlines()
    told = {line.split()[1]: line.split()[0] for line in lines if line.split() and line.split()[0] in (OK, WARNING)}
    for name in ("Python", "packages", "versions", "settings", "clock", "files", "data/online/online.db"):
        assert told[name] == OK, name
    assert told["DVC"] == WARNING and any("mend: `ecomine experiment begin`" in line for line in lines)
    assert not any(line.startswith(FAULT) for line in lines)


def test_what_is_spoiled_is_told_with_its_remedy(deployed_workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = deployed_workspace
    receipts = workspace / "data/receipts/receipts.db"
    receipts.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(receipts) as connection:
        connection.execute(
            "CREATE TABLE spoiled AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) "
            "SELECT i, hex(randomblob(400)) FROM n"
        )
    connection.close()
    half = receipts.stat().st_size // 2
    with receipts.open("r+b") as file:
        file.seek(half)
        file.write(os.urandom(8192))
    (workspace / "data/clean/items.parquet").write_bytes(b"PAR1 but not for long")
    os.utime(workspace / "params.yaml", (time.time() + 86_400, time.time() + 86_400))
    (digest,) = (workspace / "deployments/recommendation/versions").iterdir()
    (digest / "gate.json").write_text("{}")
    assert main(["--workspace", str(workspace), "doctor", "--json"]) == 1
    told = capsys.readouterr()
    assert "each says above how to mend it" in told.err
    whole = json.loads(told.out)
    state = {one["name"]: one for one in whole["findings"]}
    assert whole["well"] is False
    for name, mend in (
        ("data/receipts/receipts.db", "Put it aside"),
        ("files", "ecomine stage clean"),
        ("clock", "timedatectl"),
        ("deployed recommendation", "ecomine rollback recommendation"),
    ):
        assert state[name]["state"] == FAULT and mend in state[name]["mend"], name
    assert state["deployed profiling"]["state"] == OK


def test_servers_that_do_not_answer(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    change_params(workspace, online={"kind": "redis", "url": f"redis://127.0.0.1:{port}/0"},
                  engine={"kind": "spark", "memory_limit": "900TB"})  # fmt: skip
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
    monkeypatch.setenv("JAVA_HOME", str(workspace / "nowhere"))
    found = findings(workspace)
    assert found["online store"].state == FAULT and "redis does not answer" in found["online store"].seen
    assert found["Prefect"].state == FAULT and "PREFECT_API_URL" in found["Prefect"].mend
    assert found["memory"].state == FAULT and "engine.memory_limit" in found["memory"].mend
    assert found.get("Java", found.get("Spark")).state == FAULT
    assert found["files"].state == WARNING and "ecomine run" in found["files"].mend


def test_settings_that_cannot_be_read_do_not_stop_the_other_checks(workspace: Path) -> None:
    (workspace / "params.yaml").write_text("seed: many\n")
    found = findings(workspace)
    assert found["settings"].state == FAULT and "expected a whole number" in found["settings"].seen
    assert found["Python"].state == OK


def test_a_remote_and_the_locks_of_dead_processes_are_seen(workspace: Path) -> None:
    (workspace / ".dvc/tmp").mkdir(parents=True)
    (workspace / ".dvc/config").write_text(
        "[core]\n    remote = store\n['remote \"store\"']\n    url = s3://shop/dvc\n"
    )
    (workspace / ".dvc/tmp/rwlock").write_text(json.dumps({"a": {"write": {"pid": 2**22 + 1, "cmd": "dvc repro"}}}))
    found = {one.name: one for one in services(workspace, None)}
    assert found["DVC"].state == OK and "s3://shop/dvc" in found["DVC"].seen
    assert found["DVC's locks"].state == WARNING and "rwlock" in found["DVC's locks"].mend


def test_status_tells_health_and_next_runs(deployed_workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (deployed_workspace / "metrics/monitoring.json").write_text(
        json.dumps({"as_of": "2024-05-30T00:00:00", "alarms": [{"domain": "profiling", "name": "scores"}]})
    )
    command = ["--workspace", str(deployed_workspace), "status"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "profiling, scores (up to 2024-05-30" in text and "next runs" in text and "retrain" in text
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["domain"] for row in told["domains"]} == {"profiling", "recommendation"}
    assert "retrain" in {one["name"] for one in told["next_runs"]}


def test_history_without_a_domain_is_that_of_all(deployed_workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(deployed_workspace / "deployments/profiling")
    assert main(["--workspace", str(deployed_workspace), "history"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "recommendation" and "deploy" in lines[1]
