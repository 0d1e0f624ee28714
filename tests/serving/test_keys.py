"""Who may ask, how much, how fast; and what the server tells about itself."""

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from ecomine.cli import main
from ecomine.serving.keys import KeyMissingError, Keys
from ecomine.store import Store
from tests.serving.server import serving


@pytest.fixture(scope="module")
def workspace(walked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "workspace"
    shutil.copytree(walked, folder, ignore=shutil.ignore_patterns("receipts", "frames"))
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["serving"] = {"keys": True, "max_body_kb": 2, "requests_a_second": 20}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    return folder


@pytest.fixture(scope="module")
def client(workspace: Path) -> Iterator[httpx.Client]:
    with serving(workspace) as client:
        yield client


@pytest.fixture
def make(workspace: Path, capsys: pytest.CaptureFixture[str]) -> Iterator:
    made = []

    def make_(name: str, *scopes: str) -> dict[str, str]:
        arguments = [word for scope in scopes for word in ("--scope", scope)]
        assert main(["--workspace", str(workspace), "key", "create", name, *arguments]) == 0
        made.append(name)
        return {"X-API-Key": capsys.readouterr().out.strip()}

    yield make_
    for name in made:
        if any(key.name == name for key in Keys(Store(workspace)).all()):
            Keys(Store(workspace)).revoke(name)


def test_a_question_needs_a_key_of_its_scope(client: httpx.Client, make, workspace: Path) -> None:
    shop = make("shop", "recommendation")
    assert client.get("/healthz").status_code == 200
    for headers in ({}, {"X-API-Key": "guess"}):
        refused = client.get("/v1/recommendations/u0001", headers=headers)
        assert (refused.status_code, set(refused.json())) == (401, {"error", "hint"})
    answer = client.get("/v1/recommendations/u0001", headers=shop)
    assert answer.status_code == 200
    for path in ("/v1/profiles/u0001", f"/v1/receipts/{answer.headers['x-receipt-id']}", "/metrics", "/v1/models"):
        assert client.get(path, headers=shop).status_code == 403
    auditor = make("auditor", "receipts", "operation")
    assert client.get(f"/v1/receipts/{answer.headers['x-receipt-id']}", headers=auditor).status_code == 200
    assert main(["--workspace", str(workspace), "key", "revoke", "shop"]) == 0
    assert client.get("/v1/recommendations/u0001", headers=shop).status_code == 401


def test_only_a_hash_is_kept_for_the_owner_alone(workspace: Path, make, capsys: pytest.CaptureFixture[str]) -> None:
    secret = make("app", "recommendation")["X-API-Key"]
    file = workspace / "data/receipts/keys.json"
    assert secret not in file.read_text() and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert main(["--workspace", str(workspace), "key", "list"]) == 0
    listed = capsys.readouterr().out
    assert "app" in listed and secret not in listed


def test_a_key_expires(workspace: Path) -> None:
    keys = Keys(Store(workspace))
    for days, opens in ((1.0, True), (-1.0, False)):
        secret = keys.create("short", ["receipts"], days, {"receipts"})
        if opens:
            assert keys.check(secret, "receipts") == "short"
        else:
            with pytest.raises(KeyMissingError):
                keys.check(secret, "receipts")
        keys.revoke("short")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "x"], "at least one --scope"),
        (["create", "x", "--scope", "everything"], "no scope everything"),
        (["create"], "Which key?"),
        (["revoke", "nobody"], "no key 'nobody'"),
    ],
)
def test_what_cannot_be_made_is_told(
    workspace: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--workspace", str(workspace), "key", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_body_that_is_too_large_is_refused_announced_or_not(client: httpx.Client, make) -> None:
    key = make("large", "recommendation")
    users = {"user_ids": [f"u{number:04d}" for number in range(800)]}
    announced = client.post("/v1/recommendations", json=users, headers=key)
    streamed = client.post("/v1/recommendations", content=iter([b"[" * 1500] * 3), headers=key)
    for answer in (announced, streamed):
        assert answer.status_code == 413
        assert "max_body_kb" in answer.json()["hint"]


def test_a_caller_that_is_too_fast_waits_and_others_do_not(client: httpx.Client, make) -> None:
    fast, calm = make("fast", "recommendation"), make("calm", "recommendation")
    answers = [client.get("/v1/recommendations/u0001?k=0", headers=fast) for _ in range(120)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and int(refused[0].headers["retry-after"]) >= 1
    assert {answer.status_code for answer in answers[:40]} == {422}, "twice the pace may come at once"
    assert client.get("/v1/recommendations/u0001", headers=calm).status_code == 200


def test_prometheus_reads_requests_seconds_and_versions(client: httpx.Client, make) -> None:
    key = make("watch", "operation", "recommendation")
    model = client.get("/v1/recommendations/u0001", headers=key).json()["model"]
    client.get("/v1/made/up", headers=key)
    text = client.get("/metrics", headers=key).text
    assert "u0001" not in text and "made/up" not in text
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    route = ("route", "/v1/recommendations/{user_id:path}")
    assert samples["ecomine_requests_total", (("method", "GET"), route, ("status", "200"))] >= 1
    assert samples["ecomine_request_seconds_count", (("method", "GET"), route)] >= 1
    assert samples["ecomine_model_info", (("domain", "recommendation"), ("model", model))] == 1
    assert samples["ecomine_model_age_seconds", (("domain", "recommendation"),)] > 0
