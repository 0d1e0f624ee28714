import hashlib
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from ecomine import deployment
from ecomine.domains import DOMAINS
from ecomine.errors import DeploymentError, GateError
from ecomine.stages import Context, run
from ecomine.store import Store
from tests.conftest import bring_candidate, change_params

NAME = "recommendation"
DOMAIN = DOMAINS[NAME]


def said(workspace: Path) -> tuple[Context, list[str]]:
    lines: list[str] = []
    return Context.of(workspace, lines.append), lines


def state(workspace: Path) -> dict[str, bytes]:
    """Every file that says what is deployed, with its content."""
    files = [*(workspace / "deployments").rglob("*"), workspace / f"decisions/{NAME}.parquet"]
    return {path.as_posix(): path.read_bytes() for path in files if path.is_file()}


def version(workspace: Path, digest: str) -> Path:
    return workspace / "deployments" / NAME / "versions" / digest


def damage(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


@pytest.fixture
def two(deployed_workspace: Path, challenger: Path) -> tuple[Path, str, str]:
    """A workspace with two deployed versions, and their digests, the current one last."""
    first = deployment.current(Store(deployed_workspace), DOMAIN)
    bring_candidate(deployed_workspace, challenger)
    run("deploy", NAME, Context.of(deployed_workspace))
    second = deployment.current(Store(deployed_workspace), DOMAIN)
    assert first
    assert second
    assert first != second
    return deployed_workspace, first, second


def test_a_version_is_named_by_its_manifest_and_cannot_be_written_to(deployed_workspace: Path) -> None:
    digest = deployment.current(Store(deployed_workspace), DOMAIN)
    assert digest
    folder = version(deployed_workspace, digest)
    manifest = (folder / "manifest.json").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == digest
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(json.loads(manifest)["files"]) == files - {"manifest.json"}
    assert not any((folder / name).stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) for name in files)
    assert not (deployed_workspace / "deployments" / NAME / ".candidate").exists()


def test_it_holds_model_parameters_features_lineage_and_gate(deployed_workspace: Path) -> None:
    model, bundle = deployment.load(Store(deployed_workspace), DOMAIN)
    context = Context.of(deployed_workspace)
    assert bundle.params == context.params.sections[NAME]
    assert bundle.as_of == context.as_of == model.as_of
    assert set(model.features) <= set(bundle.features)
    orders = (deployed_workspace / "data/clean/order_lines.parquet").read_bytes()
    assert bundle.lineage["tables"]["order_lines"] == hashlib.sha256(orders).hexdigest()
    assert set(bundle.lineage["frames"]) == {"train", "test", "truth"}
    assert bundle.lineage["libraries"]["duckdb"]
    assert set(bundle.lineage["code"]) == {NAME, "feature_store"}
    assert all(check["passed"] for check in bundle.checks)
    text = "".join(path.read_text() for path in bundle.folder.glob("*.json"))
    assert str(deployed_workspace) not in text
    assert os.uname().nodename not in text


def test_its_decisions_are_published(deployed_workspace: Path) -> None:
    proposals = (deployed_workspace / f"data/proposals/{NAME}.parquet").read_bytes()
    assert (deployed_workspace / f"decisions/{NAME}.parquet").read_bytes() == proposals


def test_deploying_the_same_again_changes_nothing_and_says_so(deployed_workspace: Path) -> None:
    before = state(deployed_workspace)
    context, lines = said(deployed_workspace)
    digest = deployment.promote(context, DOMAIN)
    assert state(deployed_workspace) == before
    assert any(f"{digest[:12]} is deployed already" in line for line in lines)


def test_the_same_candidate_has_the_same_digest_elsewhere(deployed_workspace: Path, tmp_path: Path) -> None:
    digest = deployment.current(Store(deployed_workspace), DOMAIN)
    elsewhere = tmp_path / "another" / "place"
    shutil.copytree(deployed_workspace, elsewhere, ignore=shutil.ignore_patterns("deployments", "decisions"))
    assert deployment.promote(Context.of(elsewhere), DOMAIN) == digest
    assert len(deployment.history(Store(elsewhere), DOMAIN)) == 1


def test_a_challenger_takes_over_and_the_way_back_works(two: tuple[Path, str, str], challenger: Path) -> None:
    workspace, first, second = two
    store, context = Store(workspace), Context.of(workspace)
    log = deployment.history(store, DOMAIN)
    assert [(record["action"], record["digest"], record["previous"]) for record in log] == [
        ("deploy", first, None),
        ("deploy", second, first),
    ]
    assert [check["name"] for check in log[-1]["checks"]] == [
        "latency",
        "way_back",
        "not_worse_than_champion",
    ]
    decisions = workspace / f"decisions/{NAME}.parquet"
    assert decisions.read_bytes() == (challenger / f"data/proposals/{NAME}.parquet").read_bytes()

    assert deployment.rollback(context, DOMAIN) == first
    assert deployment.current(store, DOMAIN) == first
    assert decisions.read_bytes() == (version(workspace, first) / "decisions.parquet").read_bytes()
    assert deployment.history(store, DOMAIN)[:-1] == log
    before = state(workspace)
    with pytest.raises(DeploymentError, match="no earlier version to go back to"):
        deployment.rollback(context, DOMAIN)
    assert state(workspace) == before
    assert deployment.promote(context, DOMAIN) == second, "the same candidate may be deployed again"
    assert deployment.rollback(context, DOMAIN, to=first[:8]) == first
    assert len((workspace / "deployments" / NAME / "history.jsonl").read_text().splitlines()) == 5


def test_the_worse_of_two_does_not_replace_the_better(deployed_workspace: Path, challenger: Path, walked: Path) -> None:
    worth = {
        folder: pd.read_parquet(folder / f"metrics/{NAME}/values.parquet")["model"].mean()
        for folder in (walked, challenger)
    }
    worse, better = sorted(worth, key=lambda folder: worth[folder])
    assert worth[worse] < worth[better]
    change_params(deployed_workspace, gate={"champion_tolerance": 0.0, "max_latency_ms": 10_000.0})
    shutil.rmtree(deployed_workspace / "deployments")
    bring_candidate(deployed_workspace, better)
    deployment.promote(Context.of(deployed_workspace), DOMAIN)
    before = state(deployed_workspace)
    bring_candidate(deployed_workspace, worse)
    for force in (False, True):
        with pytest.raises(GateError, match="not_worse_than_champion"):
            deployment.promote(Context.of(deployed_workspace), DOMAIN, force)
    assert state(deployed_workspace) == before

    shutil.rmtree(deployed_workspace / "deployments")
    deployment.promote(Context.of(deployed_workspace), DOMAIN)
    bring_candidate(deployed_workspace, better)
    deployment.promote(Context.of(deployed_workspace), DOMAIN)


def test_a_slow_candidate_is_not_deployed(deployed_workspace: Path, challenger: Path) -> None:
    bring_candidate(deployed_workspace, challenger)
    change_params(deployed_workspace, gate={"max_latency_ms": 0.0})
    before = state(deployed_workspace)
    with pytest.raises(GateError, match=r"latency: a single answer takes .* ms"):
        deployment.promote(Context.of(deployed_workspace), DOMAIN)
    assert state(deployed_workspace) == before


def test_a_gate_that_failed_stops_before_anything_is_built(deployed_workspace: Path, challenger: Path) -> None:
    bring_candidate(deployed_workspace, challenger)
    gate = deployed_workspace / f"metrics/{NAME}.gate.json"
    report = json.loads(gate.read_text())
    report["checks"][0]["passed"] = False
    gate.write_text(json.dumps(report))
    before = state(deployed_workspace)
    with pytest.raises(GateError, match=report["checks"][0]["name"]):
        run("deploy", NAME, Context.of(deployed_workspace))
    assert state(deployed_workspace) == before


@pytest.mark.parametrize("how", ["changed", "cut", "missing", "added", "manifest", "no manifest"])
def test_a_damaged_version_is_refused_and_the_file_named(deployed_workspace: Path, how: str) -> None:
    store = Store(deployed_workspace)
    folder = version(deployed_workspace, str(deployment.current(store, DOMAIN)))
    file = sorted((folder / "model").iterdir())[0]
    content = file.read_bytes()
    if how == "changed":
        damage(file, content[:-1] + bytes([content[-1] ^ 1]))
    elif how == "cut":
        damage(file, content[: len(content) // 2])
    elif how == "missing":
        file.unlink()
    elif how == "added":
        file = folder / "model" / "extra.json"
        file.write_text("{}")
    else:
        file = folder / "manifest.json"
        damage(file, file.read_bytes() + b"\n")
        if how == "no manifest":
            file.unlink()
    with pytest.raises(DeploymentError, match=file.name):
        deployment.load(store, DOMAIN)


def test_deploying_again_mends_a_damaged_version(deployed_workspace: Path) -> None:
    before = state(deployed_workspace)
    digest = deployment.current(Store(deployed_workspace), DOMAIN)
    file = next(path for path in sorted((version(deployed_workspace, str(digest)) / "model").iterdir()))
    damage(file, b"")
    assert deployment.promote(Context.of(deployed_workspace), DOMAIN) == digest
    assert state(deployed_workspace) == before


def test_a_champion_that_is_damaged_stops_a_deployment_unless_forced(
    deployed_workspace: Path, challenger: Path
) -> None:
    store = Store(deployed_workspace)
    first = str(deployment.current(store, DOMAIN))
    file = sorted((version(deployed_workspace, first) / "model").iterdir())[0]
    damage(file, b"")
    bring_candidate(deployed_workspace, challenger)
    before = state(deployed_workspace)
    with pytest.raises(GateError, match=rf"way_back: .*{file.name}.*--force"):
        deployment.promote(Context.of(deployed_workspace), DOMAIN)
    assert state(deployed_workspace) == before

    context, lines = said(deployed_workspace)
    second = deployment.promote(context, DOMAIN, force=True)
    assert any("by force" in line for line in lines)
    before = state(deployed_workspace)
    with pytest.raises(DeploymentError, match=file.name):
        deployment.rollback(context, DOMAIN)
    assert state(deployed_workspace) == before
    assert deployment.current(store, DOMAIN) == second


def test_a_champion_whose_features_are_no_more_cannot_be_compared_with(
    deployed_workspace: Path, challenger: Path
) -> None:
    bring_candidate(deployed_workspace, challenger)
    file = deployed_workspace / f"data/frames/{NAME}/test.parquet"
    test = pd.read_parquet(file)
    gone = next(name for name in test.columns if "__" in name)
    test.drop(columns=gone).to_parquet(file, index=False)
    before = state(deployed_workspace)
    with pytest.raises(GateError, match=rf"not_worse_than_champion: .*{gone}, which are no more.*--force"):
        deployment.promote(Context.of(deployed_workspace), DOMAIN)
    assert state(deployed_workspace) == before
    deployment.promote(Context.of(deployed_workspace), DOMAIN, force=True)
    assert deployment.history(Store(deployed_workspace), DOMAIN)[-1]["checks"][-1]["name"] == "forced"


def test_a_run_killed_after_the_pointer_moved_is_completed_by_the_next(two: tuple[Path, str, str]) -> None:
    workspace, first, second = two
    log = workspace / "deployments" / NAME / "history.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole[: whole.index(b"\n") + 40])
    shutil.copyfile(version(workspace, first) / "decisions.parquet", workspace / f"decisions/{NAME}.parquet")
    (workspace / "deployments" / NAME / ".candidate").mkdir()

    context, lines = said(workspace)
    assert deployment.promote(context, DOMAIN) == second
    assert log.read_bytes() == whole
    decisions = (workspace / f"decisions/{NAME}.parquet").read_bytes()
    assert decisions == (version(workspace, second) / "decisions.parquet").read_bytes()
    assert any("interrupted" in line for line in lines)


def status_of(workspace: Path) -> dict:
    (row,) = (row for row in deployment.status(Context.of(workspace)) if row["domain"] == NAME)
    return row


def test_nothing_to_go_back_to_and_nothing_deployed(deployed_workspace: Path) -> None:
    shutil.rmtree(deployed_workspace / "deployments")
    with pytest.raises(DeploymentError, match="no earlier version"):
        deployment.rollback(Context.of(deployed_workspace), DOMAIN)
    with pytest.raises(DeploymentError, match="nothing is deployed yet"):
        deployment.load(Store(deployed_workspace), DOMAIN)
    row = status_of(deployed_workspace)
    assert (row["domain"], row["digest"], row["online_features"]) == (NAME, None, True)


def test_status_tells_what_is_deployed_and_what_is_damaged(two: tuple[Path, str, str]) -> None:
    workspace, _, second = two
    row = status_of(workspace)
    assert (row["digest"], row["action"], row["earlier_versions"], row["damaged"]) == (
        second,
        "deploy",
        1,
        None,
    )
    assert row["gate_passed"]
    assert 0 <= row["age_days"] < 1
    values = pd.read_parquet(workspace / f"metrics/{NAME}/values.parquet")
    assert row["value"] == values["model"].mean()
    assert row["as_of"] == Context.of(workspace).as_of
    damage(version(workspace, second) / "gate.json", b"{}")
    row = status_of(workspace)
    assert "gate.json" in row["damaged"]


def test_the_commit_is_in_the_history_and_not_in_the_version(deployed_workspace: Path) -> None:
    before = deployment.current(Store(deployed_workspace), DOMAIN)
    shutil.rmtree(deployed_workspace / "deployments")

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=deployed_workspace, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    git("add", "params.yaml")
    git("commit", "-q", "-m", "settings")
    assert deployment.promote(Context.of(deployed_workspace), DOMAIN) == before
    (record,) = deployment.history(Store(deployed_workspace), DOMAIN)
    assert record["git"] == {"commit": git("rev-parse", "HEAD").strip(), "dirty": False}
