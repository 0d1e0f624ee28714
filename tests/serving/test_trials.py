"""A version tried beside the deployed one: shadow, canary, promotion, withdrawal by what it shows."""

import time
from pathlib import Path

import httpx
import pytest

from ecomine import deployment
from ecomine.cli import main
from ecomine.deployment.live import FAULT, GOOD, WAIT, Live, Showing, verdict, wilson
from ecomine.domains import DOMAINS
from ecomine.errors import DeploymentError
from ecomine.params import ChallengerParams
from ecomine.serving.receipts import Receipts
from ecomine.serving.replay import Replayer
from ecomine.stages import Context
from ecomine.store import Store
from tests.conftest import bring_candidate, change_params
from tests.serving.server import serving

NAME = "recommendation"
USERS = [f"u{number:04d}" for number in range(60)]


@pytest.fixture
def tried(deployed_workspace: Path, challenger: Path) -> tuple[Path, str]:
    """A workspace with a candidate that is not deployed, and the champion's digest."""
    champion = deployment.current(Store(deployed_workspace), NAME)
    bring_candidate(deployed_workspace, challenger)
    assert champion
    return deployed_workspace, champion


def begin(workspace: Path, *how: str) -> str:
    assert main(["-w", str(workspace), "deploy", NAME, *how]) == 0
    record = deployment.records.challenge(Store(workspace), NAME)
    assert record is not None
    return str(record["digest"])


def wait_until(true) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.02)


def test_a_shadow_answers_nobody_and_leaves_receipts(
    tried: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, champion = tried
    shadow = begin(workspace, "--shadow")
    assert deployment.current(Store(workspace), NAME) == champion
    with serving(workspace) as client:
        for user in USERS[:8]:
            answer = client.get(f"/v1/recommendations/{user}")
            assert answer.json()["model"] == champion
            assert answer.headers["X-Answered-By"] == "deployed"
        client.get("/v1/recommendations/u0001?k=0")
        live = Live(Store(workspace))
        record = deployment.records.challenge(Store(workspace), NAME)
        assert record
        wait_until(lambda: live.showing(NAME, record["number"], shadow).asked == 8)
    shown = live.showing(NAME, record["number"], shadow)
    assert (shown.errors, shown.same + shown.other) == (0, 8)
    assert shown.other > 0, "the simpler model lists other products"
    kept = list(Receipts(Store(workspace), 1.0).newest(16))
    shadows = [receipt for receipt in kept if receipt.step == "shadow"]
    assert len(shadows) == 8 and {receipt.model for receipt in shadows} == {shadow}
    replayer = Replayer(Store(workspace))
    assert [replayer.differences(receipt) for receipt in kept] == [[]] * 16

    assert main(["-w", str(workspace), "challenger", NAME]) == 0
    said = capsys.readouterr().out
    assert f"{shadow[:12]} since" in said and "8 answers" in said
    assert main(["-w", str(workspace), "status"]) == 0
    assert f"{shadow[:12]} as shadow" in capsys.readouterr().out


def test_a_canary_answers_for_the_same_share_of_customers_alone_and_in_a_batch(tried: tuple[Path, str]) -> None:
    workspace, champion = tried
    canary = begin(workspace, "--canary", "40%")

    def ask(client: httpx.Client) -> dict[str, str]:
        return {user: client.get(f"/v1/recommendations/{user}?k=2").json()["model"] for user in USERS}

    with serving(workspace) as client:
        first, second = ask(client), ask(client)
        batch = client.post("/v1/recommendations", json={"user_ids": USERS, "k": 2})
        assert batch.headers["X-Answered-By"].split(", ") == ["deployed", "canary"]
        assert len(batch.headers["X-Receipt-ID"].split(", ")) == 2
    assert first == second == {row["user_id"]: row["model"] for row in batch.json()["results"]}
    assert [row["user_id"] for row in batch.json()["results"]] == USERS
    share = sum(model == canary for model in first.values()) / len(USERS)
    assert 0.2 < share < 0.6 and set(first.values()) == {champion, canary}


def test_promotion_ends_the_trial_and_can_be_taken_back(
    tried: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, champion = tried
    store = Store(workspace)
    canary = begin(workspace, "--canary", "0.1")
    assert main(["-w", str(workspace), "challenger", NAME, "promote"]) == 0
    assert deployment.current(store, NAME) == canary
    assert deployment.records.challenge(store, NAME) is None
    actions = [entry["action"] for entry in deployment.history(store, NAME)]
    assert actions == ["deploy", "canary", "deploy", "withdraw"]
    assert main(["-w", str(workspace), "history", NAME]) == 0
    assert "canary" in capsys.readouterr().out
    assert deployment.rollback(Context.of(workspace), DOMAINS[NAME]) == champion
    with pytest.raises(DeploymentError, match="no version is tried"):
        deployment.withdraw(Context.of(workspace), DOMAINS[NAME], "by hand")


def test_a_canary_that_fails_costs_no_answer_and_is_withdrawn_by_the_server(tried: tuple[Path, str]) -> None:
    workspace, champion = tried
    store = Store(workspace)
    change_params(workspace, challenger={"check_seconds": 0.1})
    canary = begin(workspace, "--canary", "90%")
    # A version that loads and then cannot answer: it wants features that the service does not give.
    with serving(workspace) as client:
        lineup = client.app.state.lineups[NAME]  # type: ignore[attr-defined]
        answers = lineup._tried.get()
        answers.model.features = (*answers.model.features, "user_snapshot__never_computed")
        for _ in range(3):
            for user in USERS:
                answer = client.get(f"/v1/recommendations/{user}")
                assert answer.status_code == 200 and answer.json()["model"] == champion
        wait_until(lambda: deployment.records.challenge(store, NAME) is None)
    last = deployment.history(store, NAME)[-1]
    assert (last["action"], last["digest"]) == ("withdraw", canary)
    assert "failed" in last["why"] and last["tried"]["challenger"]["errors"] > 0


def test_a_canary_that_has_shown_enough_is_deployed_where_that_is_wished(tried: tuple[Path, str]) -> None:
    workspace, _ = tried
    store = Store(workspace)
    change_params(
        workspace, challenger={"check_seconds": 0.1, "promote": True, "min_answers": 10, "max_slowdown": 50.0}
    )
    canary = begin(workspace, "--canary", "50%")
    with serving(workspace) as client:
        for user in USERS:
            client.get(f"/v1/recommendations/{user}")
        wait_until(lambda: deployment.current(store, NAME) == canary)
        wait_until(lambda: client.get(f"/v1/recommendations/{USERS[0]}").json()["model"] == canary)
    deployed = next(
        entry for entry in deployment.history(store, NAME) if entry["digest"] == canary and "tried" in entry
    )
    assert deployed["action"] == "deploy" and deployed["tried"]["challenger"]["answers"] >= 10


def test_a_trial_needs_a_champion_and_another_version(deployed_workspace: Path) -> None:
    with pytest.raises(DeploymentError, match="which is deployed; train another one"):
        deployment.challenge(Context.of(deployed_workspace), DOMAINS[NAME])
    deployment.pointer(Store(deployed_workspace), NAME).unlink()
    (deployed_workspace / f"deployments/{NAME}/history.jsonl").unlink()
    with pytest.raises(DeploymentError, match="nothing is deployed that a candidate could be tried beside"):
        deployment.challenge(Context.of(deployed_workspace), DOMAINS[NAME], 0.5)


@pytest.mark.parametrize("share", ["0", "100%", "1", "half", "0%"])
def test_a_share_that_is_none_is_refused(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["deploy", NAME, "--canary", share])
    assert "is no share of customers" in capsys.readouterr().err


def test_the_verdict() -> None:
    params = ChallengerParams(min_answers=100, max_error_share=0.01, max_slowdown=2.0)
    usual = Showing({20: 500})
    assert verdict(Showing({20: 99}), usual, params)[0] == WAIT
    assert verdict(Showing({20: 100}), usual, params)[0] == GOOD
    assert verdict(Showing({20: 99}, errors=1), usual, params)[0] == GOOD, "one failure proves nothing"
    assert verdict(Showing({}, errors=2), usual, params)[0] == FAULT, "two of two do"
    assert verdict(Showing({20: 400}, errors=100), Showing({20: 300}, errors=200), params)[0] == GOOD, "all fail"
    assert verdict(Showing({20: 90, 25: 10}), usual, params)[0] == FAULT, "a tenth takes more than twice as long"


def test_wilson_as_in_the_textbook() -> None:
    # Agresti and Coull (1998): 0 of 10 begins at 0; 5 of 10 at .2366; 10 of 10 at .7225.
    assert [round(wilson(found, 10), 4) for found in (0, 5, 10)] == [0.0, 0.2366, 0.7225]
