"""Segments from one deployed version to the next."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from ecomine import deployment, summary
from ecomine.domains import DOMAINS
from ecomine.profiling import Segmenter, succeed
from ecomine.stages import Context, run
from ecomine.store import Store
from tests.conftest import change_params

DOMAIN = DOMAINS["profiling"]


@pytest.fixture(scope="module")
def followed(walked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a deployed version and a candidate with one segment more."""
    workspace = Path(shutil.copytree(walked, tmp_path_factory.mktemp("followed") / "workspace"))
    first = deployment.current(Store(workspace), DOMAIN)
    known = Segmenter.load(workspace / f"deployments/profiling/versions/{first}/model")
    change_params(workspace, profiling={"segments": len(known.labels) + 1})
    for name in ("train", "evaluate", "decide", "gate"):
        run(name, "profiling", Context.of(workspace))
    return workspace


@pytest.fixture
def two(followed: Path, tmp_path: Path) -> tuple[Path, str]:
    """A copy of it, and the digest of the deployed version."""
    workspace = Path(shutil.copytree(followed, tmp_path / "workspace"))
    first = deployment.current(Store(workspace), DOMAIN)
    assert first
    return workspace, first


def test_a_deployment_keeps_names_and_tells_who_moved(two: tuple[Path, str]) -> None:
    workspace, first = two
    store, context = Store(workspace), Context.of(workspace)
    versions = workspace / "deployments/profiling/versions"
    before = Segmenter.load(versions / first / "model")
    trained = (workspace / "models/profiling/segments.json").read_bytes()
    second = deployment.promote(context, DOMAIN)
    after = Segmenter.load(versions / second / "model")
    assert (workspace / "models/profiling/segments.json").read_bytes() == trained
    assert len(set(after.names) & set(before.names)) >= len(before.names) - 1
    shared = dict(zip(before.labels, before.names, strict=True))
    assert all(shared.get(label, name) == name for label, name in zip(after.labels, after.names, strict=True))
    model, _ = deployment.load(store, DOMAIN)
    told = pd.read_parquet(workspace / "decisions/profiling.parquet").set_index("user_id")["segment"]
    assert set(told) <= set(after.names)
    assert told.to_dict() == model.people.set_index("user_id")["segment"].to_dict()
    assert set(model.tables["segments"]["segment"]) == set(told)
    changes = pd.DataFrame(deployment.history(store, DOMAIN)[-1]["changes"])
    assert changes["customers"].sum() == len(told)
    old = pd.read_parquet(versions / first / "decisions.parquet").set_index("user_id")["segment"]
    stayed = changes[changes["before"] == changes["after"]]["customers"].sum()
    assert stayed == (old == told.reindex(old.index)).sum()
    (row,) = [row for row in deployment.status(context) if row["domain"] == "profiling"]
    assert f"of {len(told):,} by this deployment" in summary.status(row)


def test_the_same_candidate_again_changes_nothing_and_the_way_back_is_open(two: tuple[Path, str]) -> None:
    workspace, first = two
    context = Context.of(workspace)
    second = deployment.promote(context, DOMAIN)
    assert deployment.promote(context, DOMAIN) == second
    assert deployment.rollback(context, DOMAIN) == first
    assert deployment.promote(context, DOMAIN) == second


def test_segments_found_in_other_columns_keep_their_own_names(two: tuple[Path, str], tmp_path: Path) -> None:
    workspace, first = two
    champion, candidate = tmp_path / "champion", tmp_path / "candidate"
    shutil.copytree(workspace / f"deployments/profiling/versions/{first}/model", champion)
    shutil.copytree(workspace / "models/profiling", candidate)
    other = Segmenter.load(champion)
    other.columns = ["money", *other.columns[1:]]
    (champion / "segments.json").chmod(0o644)
    other.save(champion)
    decisions = pd.read_parquet(workspace / "data/proposals/profiling.parquet")
    same, changes = succeed(candidate, decisions, champion)
    assert same.equals(decisions)
    assert changes["customers"].sum() == len(decisions)
    assert (candidate / "segments.json").read_bytes() == (workspace / "models/profiling/segments.json").read_bytes()


def test_a_first_deployment_follows_nobody(walked: Path) -> None:
    assert "changes" not in deployment.history(Store(walked), DOMAIN)[0]
