"""What is deployed is a release in git, by the registry that comes with DVC."""

import subprocess
from pathlib import Path

import pytest

from ecomine import deployment
from ecomine.cli import main
from ecomine.store import Store
from flows.releases import release
from tests.conftest import bring_candidate

NAME = "recommendation"


def git(workspace: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=workspace, check=True, capture_output=True, text=True).stdout.strip()


def champion(workspace: Path) -> str:
    """Version that holds the stage, as GTO tells it."""
    from gto import api

    (version,) = api.find_versions_in_stage(str(workspace), NAME, "champion", versions_per_stage=1)
    return str(version.version)


def test_deploying_and_going_back_are_told_in_git_without_touching_branches_or_files(
    deployed_workspace: Path, challenger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(deployed_workspace)
    assert release(deployed_workspace, NAME) is None, "not in git yet"
    git(deployed_workspace, "init", "-q")
    git(deployed_workspace, "add", "params.yaml")
    git(deployed_workspace, "commit", "-q", "-m", "settings")
    head = git(deployed_workspace, "rev-parse", "HEAD")

    first = deployment.current(store, NAME)
    assert release(deployed_workspace, NAME) == f"{NAME}@v1.0.0" == release(deployed_workspace, NAME)
    bring_candidate(deployed_workspace, challenger)
    status = git(deployed_workspace, "status", "--porcelain")
    assert main(["-w", str(deployed_workspace), "deploy", NAME]) == 0
    second = deployment.current(store, NAME)
    assert f"registered in git as {NAME}@v2.0.0" in capsys.readouterr().out
    assert champion(deployed_workspace) == "v2.0.0"
    assert main(["-w", str(deployed_workspace), "rollback", NAME]) == 0
    assert f"registered in git as {NAME}@v1.0.0" in capsys.readouterr().out

    tags = git(deployed_workspace, "for-each-ref", "refs/tags", "--format=%(refname:lstrip=2) %(contents:subject)")
    assert tags.splitlines() == [
        f"{NAME}#champion#1 {first}",
        f"{NAME}#champion#2 {second}",
        f"{NAME}#champion#3 {first}",
        f"{NAME}@v1.0.0 {first}",
        f"{NAME}@v2.0.0 {second}",
    ]
    # The second release holds the settings it was deployed with, which nobody has committed.
    assert git(deployed_workspace, "show", f"{NAME}@v2.0.0:params.yaml") == (
        (deployed_workspace / "params.yaml").read_text().strip()
    )
    assert git(deployed_workspace, "rev-parse", f"{NAME}@v2.0.0^{{commit}}^") == head
    assert git(deployed_workspace, "rev-parse", "HEAD") == head
    assert git(deployed_workspace, "status", "--porcelain") == status


def test_a_git_that_refuses_leaves_the_deployment_and_says_why(
    deployed_workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(deployed_workspace, "init", "-q")
    git(deployed_workspace, "add", "params.yaml")
    git(deployed_workspace, "commit", "-q", "-m", "settings")
    (deployed_workspace / ".git/refs/tags").rmdir()
    (deployed_workspace / ".git/refs/tags").write_text("in the way")
    assert main(["-w", str(deployed_workspace), "deploy", NAME]) == 0
    assert "not registered in git" in capsys.readouterr().out
