"""Versions on their way to other machines, over a folder as fsspec knows it."""

import shutil
from pathlib import Path

import pytest

from ecomine import deployment
from ecomine.cli import main
from ecomine.deployment import mirror, publication
from ecomine.domains import DOMAINS
from ecomine.errors import DeploymentError
from ecomine.stages import Context
from ecomine.store import Store
from tests.conftest import bring_candidate
from tests.faults import command, kill
from tests.serving.server import serving

NAME = "recommendation"
DOMAIN = DOMAINS[NAME]


@pytest.fixture
def home(walked: Path, tmp_path: Path) -> Path:
    """The workspace that trains and deploys."""
    return Path(shutil.copytree(walked, tmp_path / "home", ignore=shutil.ignore_patterns("raw", "receipts")))


@pytest.fixture
def other(home: Path, tmp_path: Path) -> Path:
    """A machine that only answers: settings, definitions and an online store of its own."""
    ignored = shutil.ignore_patterns("deployments", "decisions", "models", "metrics", "frames", "receipts", "clean")
    return Path(shutil.copytree(home, tmp_path / "other", ignore=ignored))


@pytest.fixture
def bucket(tmp_path: Path) -> str:
    return f"file://{tmp_path}/bucket"


def deployed(workspace: Path) -> tuple[str | None, list[dict], bool]:
    store = Store(workspace)
    digest = deployment.current(store, NAME)
    return digest, deployment.history(store, NAME), bool(digest and publication.current(store, DOMAIN, digest))


def test_what_one_machine_deploys_or_takes_back_the_others_answer_with(
    home: Path, other: Path, challenger: Path, bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--workspace", str(other), "mirror", "pull", bucket]) == 2
    assert "nothing is deployed at" in capsys.readouterr().err
    assert main(["--workspace", str(home), "mirror", "push", bucket]) == 0
    assert main(["--workspace", str(other), "mirror", "pull", bucket]) == 0
    assert deployed(other) == deployed(home)
    with serving(home) as here, serving(other) as there:
        address = "/v1/recommendations/u0001"
        assert there.get(address).json() == here.get(address).json()

        first = deployment.current(Store(home), NAME)
        bring_candidate(home, challenger)
        second = deployment.promote(Context.of(home), DOMAIN)
        assert mirror.push(Store(home), DOMAIN, bucket) == [second]
        assert mirror.pull(Store(other), DOMAIN, bucket) == [second]
        assert mirror.pull(Store(other), DOMAIN, bucket) == []
        assert deployed(other) == deployed(home)
        assert there.get(address).json() == here.get(address).json()
        assert there.get("/readyz").json()["domains"][NAME] == second

        deployment.rollback(Context.of(home), DOMAIN)
        assert mirror.push(Store(home), DOMAIN, bucket) == []
        mirror.pull(Store(other), DOMAIN, bucket)
        assert deployed(other) == deployed(home) and there.get("/readyz").json()["domains"][NAME] == first


def test_a_version_that_was_damaged_on_the_way_takes_no_place(
    home: Path, other: Path, bucket: str, tmp_path: Path
) -> None:
    mirror.push(Store(home), DOMAIN, bucket)
    file = next((tmp_path / "bucket").glob(f"{NAME}/versions/*/parameters.json"))
    content = file.read_bytes()
    file.write_bytes(content + b" ")
    with pytest.raises(DeploymentError, match=r"parameters\.json"):
        mirror.pull(Store(other), DOMAIN, bucket)
    assert deployed(other) == (None, [], False)
    file.write_bytes(content)
    mirror.pull(Store(other), DOMAIN, bucket)
    assert deployed(other) == deployed(home)


def test_another_history_is_not_written_over(home: Path, other: Path, bucket: str, challenger: Path) -> None:
    mirror.push(Store(home), DOMAIN, bucket)
    mirror.pull(Store(other), DOMAIN, bucket)
    for name in ("models", "metrics", "data/proposals", "data/clean", "data/frames"):
        shutil.copytree(home / name, other / name, dirs_exist_ok=True)
    bring_candidate(other, challenger)
    deployment.promote(Context.of(other), DOMAIN)
    with pytest.raises(DeploymentError, match="deployments of its own"):
        mirror.pull(Store(other), DOMAIN, bucket)
    mirror.push(Store(other), DOMAIN, bucket)
    deployment.rollback(Context.of(other), DOMAIN)
    log = home / f"deployments/{NAME}/history.jsonl"
    log.write_text(log.read_text().replace('"deploy"', '"deploy" '))
    with pytest.raises(DeploymentError, match="history of another workspace"):
        mirror.push(Store(home), DOMAIN, bucket)


def test_a_pull_that_is_killed_is_done_by_the_next(home: Path, other: Path, bucket: str, tmp_path: Path) -> None:
    assert main(["--workspace", str(home), "mirror", "push", bucket]) == 0

    def fresh() -> Path:
        shutil.rmtree(tmp_path / "third", ignore_errors=True)
        return Path(shutil.copytree(other, tmp_path / "third"))

    status, steps = command(fresh(), "mirror", "pull", bucket)
    assert status == 0
    decisive = [number for number, step in enumerate(steps) if "rename" in step]
    assert len(decisive) >= 6
    for step in decisive[-6:]:
        workspace = fresh()
        assert kill(workspace, step, "mirror", "pull", bucket) == -9
        digest, _, _ = deployed(workspace)
        assert digest in (None, deployed(home)[0])
        if digest is not None:
            deployment.load(Store(workspace), DOMAIN)
        assert command(workspace, "mirror", "pull", bucket)[0] == 0
        assert deployed(workspace) == deployed(home)
        assert not list((workspace / "deployments").rglob(".*"))
