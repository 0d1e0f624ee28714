"""A domain minds what another has decided: here recommendation leaves alone whom profiling has in a segment."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ecomine import deployment
from ecomine.deployment import publication
from ecomine.domain import Heed
from ecomine.domains import DOMAINS
from ecomine.serving.receipts import Receipts
from ecomine.serving.replay import Replayer
from ecomine.stages import Context
from ecomine.store import Store
from tests.serving.server import serving

LEFT_ALONE = 20


def first(decisions: pd.DataFrame) -> frozenset[str]:
    """The customers whom the other domain names first."""
    return frozenset(sorted(decisions["user_id"])[:LEFT_ALONE])


def without(decisions: pd.DataFrame, users: frozenset[str]) -> pd.DataFrame:
    return decisions[~decisions["user_id"].isin(users)]


@pytest.fixture
def minding(deployed_workspace: Path) -> Iterator[tuple[Path, frozenset[str]]]:
    """A workspace whose recommendations mind the profiles, and the customers left alone."""
    before = DOMAINS["recommendation"]
    DOMAINS["recommendation"] = replace(before, heeds={"profiling": Heed(first, without)})
    try:
        yield deployed_workspace, first(pd.read_parquet(deployed_workspace / "decisions/profiling.parquet"))
    finally:
        DOMAINS["recommendation"] = before


def shown(workspace: Path) -> set[str]:
    return set(pd.read_parquet(workspace / "decisions/recommendation.parquet")["user_id"])


def test_what_another_domain_publishes_changes_published_decisions_and_no_version(
    minding: tuple[Path, frozenset[str]],
) -> None:
    workspace, users = minding
    store, profiling = Store(workspace), DOMAINS["profiling"]
    digest = str(deployment.current(store, "recommendation"))
    assert users & shown(workspace)
    assert not publication.current(store, DOMAINS["recommendation"], digest)

    publication.publish(store, profiling, str(deployment.current(store, profiling)))
    assert not users & shown(workspace)
    assert publication.current(store, DOMAINS["recommendation"], digest)
    version, _ = deployment.load(store, DOMAINS["recommendation"])
    assert version
    assert users & set(pd.read_parquet(publication._file(store, "recommendation", digest))["user_id"])


def test_the_next_command_mends_what_was_published_before_the_other_changed(
    minding: tuple[Path, frozenset[str]],
) -> None:
    workspace, users = minding
    deployment.promote(Context.of(workspace), DOMAINS["recommendation"])
    assert not users & shown(workspace)


def test_answers_mind_it_too_and_their_receipts_name_the_version(minding: tuple[Path, frozenset[str]]) -> None:
    workspace, users = minding
    store = Store(workspace)
    user = min(users)
    with serving(workspace) as client:
        answer = client.get(f"/v1/recommendations/{user}")
        assert answer.json()["items"] == []
        receipt = client.get(f"/v1/receipts/{answer.headers['X-Receipt-ID']}").json()
        assert receipt["heeded"] == {"profiling": deployment.current(store, "profiling")}
        pointer = deployment.pointer(store, "profiling")
        pointer.rename(pointer.with_suffix(".away"))
        assert client.get(f"/v1/recommendations/{user}").json()["items"], "nobody has decided anything to mind"
    replayer = Replayer(store)
    for kept in Receipts(store, 1.0).newest(2):
        assert replayer.differences(kept) == []


def test_a_damaged_version_of_the_other_is_not_minded(minding: tuple[Path, frozenset[str]]) -> None:
    workspace, users = minding
    store = Store(workspace)
    file = publication._file(store, "profiling", str(deployment.current(store, "profiling")))
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:100])
    digest = str(deployment.current(store, "recommendation"))
    publication.publish(store, DOMAINS["recommendation"], digest)
    assert users & shown(workspace)
