"""Deployed versions decide on newer features: published at once, idempotent, and a rollback keeps its way."""

from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pytest

from ecomine import deployment
from ecomine.backfilling import NEW, OTHER, SAME, days, fill
from ecomine.deployment import publication, scores
from ecomine.domains import DOMAINS
from ecomine.errors import DeploymentError, SettingsError
from ecomine.serving.published import Published
from ecomine.stages import Context, run
from ecomine.store import Store
from tests.conftest import bring_candidate

DOMAIN = DOMAINS["recommendation"]
DECISIONS = "decisions/recommendation.parquet"
LATER = date(2024, 6, 10)
SHARED = ("clean", "validate", "features", "materialize")


def until(workspace: Path, day: date) -> Context:
    """The workspace with its tables and features up to a day."""
    context = Context.of(workspace, as_of=day)
    for stage in SHARED:
        run(stage, None, context)
    return context


@pytest.fixture
def trained_earlier(deployed_workspace: Path) -> tuple[Path, Context]:
    """A workspace whose deployed version is older than its features."""
    return deployed_workspace, until(deployed_workspace, LATER)


def test_scores_on_newer_features_are_published_once_and_a_rollback_leaves_them(
    trained_earlier: tuple[Path, Context], challenger: Path
) -> None:
    workspace, context = trained_earlier
    store, before = Store(workspace), (workspace / DECISIONS).read_bytes()
    digest = str(deployment.current(store, DOMAIN))

    made = deployment.score(context, DOMAIN)
    assert (made.digest, made.as_of, made.new) == (digest, datetime(2024, 6, 10), True)
    scored = (workspace / DECISIONS).read_bytes()
    assert scored != before
    assert publication.current(store, DOMAIN, digest)
    shown = Published(store, DOMAIN).open()
    assert shown.as_of == datetime(2024, 6, 10)
    assert scores.version(shown.digest) == digest
    assert len(shown.frame) == made.rows
    pd.testing.assert_frame_equal(publication.decided(store, DOMAIN.name, shown.digest), shown.frame)

    assert not deployment.score(context, DOMAIN).new
    assert (workspace / DECISIONS).read_bytes() == scored

    with pytest.raises(DeploymentError, match="know the shop up to 2024-06-10, the features only up to 2024-05-30"):
        deployment.score(until(workspace, date(2024, 5, 30)), DOMAIN)
    assert (workspace / DECISIONS).read_bytes() == scored

    bring_candidate(workspace, challenger)
    deployment.promote(Context.of(workspace), DOMAIN)
    assert (workspace / DECISIONS).read_bytes() not in (scored, before)
    assert Published(store, DOMAIN).open().as_of == datetime(2024, 5, 30)
    deployment.rollback(Context.of(workspace), DOMAIN)
    assert (workspace / DECISIONS).read_bytes() == scored


def test_days_gone_by_are_decided_apart_from_all_else(deployed_workspace: Path) -> None:
    workspace, context = deployed_workspace, Context.of(deployed_workspace)
    names = ("data/clean", "data/features", "data/online", "decisions", "deployments", "metrics")

    def rest() -> dict[Path, int]:
        files = (path for name in names for path in (workspace / name).rglob("*") if path.is_file())
        return {path: path.stat().st_mtime_ns for path in files if "history" not in path.parts}

    before, day = rest(), date(2024, 5, 1)
    assert fill(context, ["recommendation"], day) == {"recommendation": NEW}
    kept = workspace / "decisions/history/recommendation/as_of=2024-05-01.parquet"
    first, written = kept.read_bytes(), kept.stat().st_mtime_ns
    assert not pd.read_parquet(kept).empty
    assert fill(context, ["recommendation"], day) == {"recommendation": SAME}
    assert kept.stat().st_mtime_ns == written
    kept.write_bytes(b"")
    assert fill(context, ["recommendation"], day) == {"recommendation": OTHER}
    assert kept.read_bytes() == first
    assert rest() == before
    assert not (workspace / "data/.backfill").exists()


def test_a_range_of_days() -> None:
    assert days(date(2024, 2, 28), date(2024, 3, 1)) == [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]
    with pytest.raises(SettingsError, match="From 2024-03-01 to 2024-02-28 are -1 days"):
        days(date(2024, 3, 1), date(2024, 2, 28))
