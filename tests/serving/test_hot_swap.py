import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ecomine import deployment
from ecomine.domains import DOMAINS
from ecomine.stages import Context, run
from ecomine.store import Store
from tests.conftest import bring_candidate
from tests.serving.server import serving

DOMAIN = DOMAINS["recommendation"]


@contextmanager
def asking(client: httpx.Client, threads: int = 4) -> Iterator[list[tuple[int, str]]]:
    """Ask without a pause, in several threads; (status, version) of every answer."""
    answers: list[tuple[int, str]] = []
    stop = threading.Event()

    def ask(number: int) -> None:
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            while not stop.is_set():
                answer = own.get(f"/v1/recommendations/u{number:04d}")
                answers.append((answer.status_code, answer.json().get("model", answer.text)))

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(threads)]
    for asker in askers:
        asker.start()
    try:
        yield answers
    finally:
        stop.set()
        for asker in askers:
            asker.join()


def wait_for(client: httpx.Client, digest: str) -> None:
    """Until this version answers; the one before it does while the new one is being loaded."""
    deadline = time.monotonic() + 30
    while client.get("/readyz").json()["domains"]["recommendation"] != digest:
        assert time.monotonic() < deadline, f"{digest[:12]} never answered"
        time.sleep(0.02)


def test_no_request_fails_while_versions_and_features_are_exchanged(deployed_workspace: Path, challenger: Path) -> None:
    store, context = Store(deployed_workspace), Context.of(deployed_workspace)
    first = str(deployment.current(store, DOMAIN))
    bring_candidate(deployed_workspace, challenger)
    with serving(deployed_workspace) as client:
        with asking(client) as answers:
            context = Context.of(deployed_workspace)
            second = deployment.promote(context, DOMAIN)
            wait_for(client, second)
            run("materialize", None, context)
            assert deployment.rollback(context, DOMAIN) == first
            wait_for(client, first)
        assert len(answers) > 20
        assert {status for status, _ in answers} == {200}, next(answer for answer in answers if answer[0] != 200)
        assert {model for _, model in answers} == {first, second}
        assert client.get("/v1/recommendations/u0001").json()["model"] == first


def test_a_damaged_version_leaves_the_old_one_answering_and_is_logged_once(
    deployed_workspace: Path, challenger: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(deployed_workspace)
    first = str(deployment.current(store, DOMAIN))
    bring_candidate(deployed_workspace, challenger)
    with serving(deployed_workspace) as client, caplog.at_level(logging.INFO, "ecomine.serving"):
        before = client.get("/v1/recommendations/u0001").json()
        second = deployment.promote(Context.of(deployed_workspace), DOMAIN)
        file = deployed_workspace / f"deployments/recommendation/versions/{second}/parameters.json"
        content = file.read_bytes()
        file.chmod(0o644)
        file.write_bytes(content + b" ")
        for _ in range(3):
            assert client.get("/v1/recommendations/u0001").json() == before
        errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert len(errors) == 1
        assert "parameters.json" in errors[0]
        assert f"{first[:12]} goes on answering" in errors[0]

        deployment.rollback(Context.of(deployed_workspace), DOMAIN)
        assert client.get("/v1/recommendations/u0001").json() == before
        assert deployment.promote(Context.of(deployed_workspace), DOMAIN) == second
        assert file.read_bytes() == content, "deploying again mends it"
        assert client.get("/v1/recommendations/u0001").json()["model"] == second


def test_a_model_that_is_deployed_while_nothing_answered_is_noticed(deployed_workspace: Path) -> None:
    pointer = deployment.pointer(Store(deployed_workspace), DOMAIN.name)
    hidden = pointer.with_suffix(".hidden")
    pointer.rename(hidden)
    with serving(deployed_workspace) as client:
        assert client.get("/v1/recommendations/u0001").status_code == 503
        hidden.rename(pointer)
        assert client.get("/v1/recommendations/u0001").status_code == 200
