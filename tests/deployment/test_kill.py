"""A deployment and a rollback, ended at twenty of their steps, and on a disk that is full: never a half."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from ecomine import deployment
from ecomine.deployment import bundle, publication
from ecomine.domains import DOMAINS
from ecomine.stages import Context
from ecomine.store import Store
from tests.conftest import bring_candidate
from tests.faults import command, fill_disk, kill

NAME = "recommendation"
DOMAIN = DOMAINS[NAME]
POINTS = 10
"""Steps of each of the two commands at which it is ended."""


@pytest.fixture(scope="module")
def before(walked: Path, challenger: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Workspaces before a deployment and before a rollback."""
    folder = tmp_path_factory.mktemp("before")
    shutil.copytree(walked, folder / "deploy", ignore=shutil.ignore_patterns("raw", "canonical", "receipts"))
    bring_candidate(folder / "deploy", challenger)
    shutil.copytree(folder / "deploy", folder / "rollback")
    assert command(folder / "rollback", "deploy", NAME)[0] == 0
    return {name: folder / name for name in ("deploy", "rollback")}


@pytest.fixture(scope="module")
def digests(before: dict[str, Path]) -> tuple[str, str]:
    """The version that answers at first, and the candidate's."""
    first, second = (record["digest"] for record in deployment.history(Store(before["rollback"]), DOMAIN))
    return first, second


@pytest.fixture
def fresh(before: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    def copy(action: str) -> Path:
        shutil.rmtree(tmp_path / action, ignore_errors=True)
        return Path(shutil.copytree(before[action], tmp_path / action))

    return copy


def beside(step: str) -> bool:
    """Whether a step is one for monitoring, which makes up for what it lacks and keeps nobody from deploying."""
    return "/references/" in step


def points(steps: list[str]) -> list[int]:
    """The last steps, from the moment at which the new version takes its place, and some of those before."""
    decisive = min(number for number, step in enumerate(steps) if "current.json" in step or "/versions" in step)
    late = [number for number in range(decisive, len(steps)) if number == decisive or not beside(steps[number])]
    early = [decisive * number // (POINTS + 1) for number in range(1, POINTS + 1)][: max(POINTS - len(late), 0)]
    return sorted({*early, *late})


def published(workspace: Path) -> bytes:
    return (workspace / f"decisions/{NAME}.parquet").read_bytes()


def of(workspace: Path, digest: str) -> bytes:
    return (workspace / f"deployments/{NAME}/versions/{digest}/decisions.parquet").read_bytes()


def readers_see_one_whole_version(workspace: Path, digests: tuple[str, str]) -> str:
    """What everybody who reads now finds; the digest of the version that answers."""
    store = Store(workspace)
    _, found = deployment.load(store, DOMAIN)
    assert found.digest in digests
    records = deployment.history(store, DOMAIN)
    assert records[-1]["digest"] == found.digest
    assert [record["number"] for record in records] == list(range(1, len(records) + 1))
    assert not pd.read_parquet(workspace / f"decisions/{NAME}.parquet").empty
    there = [workspace / f"deployments/{NAME}/versions/{digest}" for digest in digests]
    assert published(workspace) in [of(workspace, folder.name) for folder in there if folder.exists()]
    assert all(bundle.damage(folder, folder.name) is None for folder in there if folder.exists())
    return found.digest


def all_is_done(workspace: Path, expected: list[str]) -> None:
    """History, pointer and decisions agree, and nothing lies about."""
    store = Store(workspace)
    lines = (workspace / f"deployments/{NAME}/history.jsonl").read_bytes()
    assert lines.endswith(b"\n") and lines.count(b"\n") == len(expected)
    assert [record["digest"] for record in deployment.history(store, DOMAIN)] == expected
    assert deployment.current(store, DOMAIN) == expected[-1]
    assert publication.current(store, DOMAIN, expected[-1])
    assert published(workspace) == of(workspace, expected[-1])
    left = [path.name for path in (workspace / "deployments").rglob(".*")]
    left += [path.name for path in (workspace / "decisions").glob(".*")]
    assert not left


@pytest.mark.parametrize("action", ["deploy", "rollback"])
def test_killed_at_any_step_readers_see_a_whole_version_and_the_next_command_completes(
    fresh: Callable[[str], Path], digests: tuple[str, str], action: str
) -> None:
    first, second = digests
    old, new = (first, second) if action == "deploy" else (second, first)
    status, steps = command(fresh(action), action, NAME)
    assert status == 0
    seen = set()
    for step in points(steps):
        workspace = fresh(action)
        assert kill(workspace, step, action, NAME) == -9, steps[step]
        answering = readers_see_one_whole_version(workspace, digests)
        moved = any("os.rename" in step and "current.json" in step for step in steps[:step])
        assert answering == (new if moved else old), steps[step]
        seen.add(answering)
        status, _ = command(workspace, action, NAME)
        # A rollback whose pointer had moved is completed, and there is no way further back.
        assert status == (0 if action == "deploy" or not moved else 2), steps[step]
        all_is_done(workspace, [first, second] if action == "deploy" else [first, second, first])
    assert seen == {old, new} and len(points(steps)) >= 8


@pytest.mark.parametrize("action", ["deploy", "rollback"])
def test_a_full_disk_stops_a_command_with_nothing_half_done(
    fresh: Callable[[str], Path], digests: tuple[str, str], action: str
) -> None:
    first, second = digests
    _, steps = command(fresh(action), action, NAME)
    opened = [step for step in points(steps) if steps[step].startswith("open ") and not beside(steps[step])]
    for step in opened:
        workspace = fresh(action)
        status = fill_disk(workspace, step, action, NAME)
        assert status in (1, 2), steps[step]
        readers_see_one_whole_version(workspace, digests)
        status, _ = command(workspace, action, NAME)
        assert status in ((0,) if action == "deploy" else (0, 2)), steps[step]
        all_is_done(workspace, [first, second] if action == "deploy" else [first, second, first])
    assert len(opened) >= 3


def test_a_clock_that_goes_back_leaves_the_order_of_the_history(
    fresh: Callable[[str], Path], digests: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Earlier(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "datetime":
            return datetime(1999, 12, 31, tzinfo=UTC)

    workspace = fresh("rollback")
    monkeypatch.setattr("ecomine.deployment.records.datetime", Earlier)
    deployment.rollback(Context.of(workspace), DOMAIN)
    records = deployment.history(Store(workspace), DOMAIN)
    assert records[-1]["when"].startswith("1999") and [record["number"] for record in records] == [1, 2, 3]
    assert deployment.current(Store(workspace), DOMAIN) == digests[0]
    monkeypatch.undo()
    assert deployment.promote(Context.of(workspace), DOMAIN) == digests[1]
    all_is_done(workspace, [digests[0], digests[1], digests[0], digests[1]])
