import json
import logging
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest

from ecomine import deployment
from ecomine.domains import DOMAINS
from ecomine.store import Store
from tests.serving.server import serving

DOMAIN = DOMAINS["recommendation"]


@pytest.fixture(scope="module")
def client(walked: Path) -> Iterator[httpx.Client]:
    with serving(walked) as client:
        yield client


@pytest.fixture(scope="module")
def decisions(walked: Path) -> pd.DataFrame:
    return pd.read_parquet(walked / "decisions/recommendation.parquet")


def rows(results: list[dict]) -> pd.DataFrame:
    """Answers in the form of the table of decisions."""
    return pd.DataFrame([{"user_id": result["user_id"], **item} for result in results for item in result["items"]])


def test_answers_equal_the_table_of_decisions_row_for_row(client: httpx.Client, decisions: pd.DataFrame) -> None:
    users = sorted(decisions["user_id"].unique())
    answer = client.post("/v1/recommendations", json={"user_ids": users, "k": 20})
    assert answer.status_code == 200
    answered = rows(answer.json()["results"])[list(decisions.columns)]
    pd.testing.assert_frame_equal(answered, decisions, check_exact=True)


def test_one_customer_is_answered_as_in_a_batch(client: httpx.Client, decisions: pd.DataFrame) -> None:
    for user in sorted(decisions["user_id"].unique())[:5]:
        answer = client.get(f"/v1/recommendations/{user}").json()
        wanted = decisions[decisions["user_id"] == user].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows([answer])[list(decisions.columns)], wanted, check_exact=True)
        assert client.get(f"/v1/recommendations/{user}", params={"k": 3}).json()["items"] == answer["items"][:3]


def test_an_answer_names_version_moment_and_products(client: httpx.Client, walked: Path) -> None:
    answer = client.get("/v1/recommendations/u0001", params={"k": 5}).json()
    _, bundle = deployment.load(Store(walked), DOMAIN)
    assert answer["model"] == bundle.digest
    assert answer["as_of"] == f"{bundle.as_of.isoformat()}Z"
    assert answer["known"] is True
    items = pd.read_parquet(walked / "data/clean/items.parquet").set_index("item_id")
    for item in answer["items"]:
        assert item["title"] == items.loc[item["item_id"], "title"]
        assert item["category"] == items.loc[item["item_id"], "category"]
        assert item["reason"]


def test_somebody_unknown_is_shown_what_is_popular(client: httpx.Client) -> None:
    answers = [client.get(f"/v1/recommendations/{user}").json() for user in ("nobody", "Ω%2Fx%20y", "0")]
    assert [answer["known"] for answer in answers] == [False, False, False]
    shown = [
        {item["rank"]: item["item_id"] for item in answer["items"] if item["propensity"] > 0.5} for answer in answers
    ]
    same = shown[0].keys() & shown[2].keys()
    assert len(same) > 10 and all(shown[0][rank] == shown[2][rank] for rank in same)
    assert len(answers[0]["items"]) == 20
    reasons = {item["reason"] for item in answers[0]["items"]}
    assert reasons <= {"popular this month", "shown by chance, to learn from it"} and "popular this month" in reasons


def test_a_batch_keeps_its_order_and_mixes_known_and_unknown(client: httpx.Client) -> None:
    answer = client.post("/v1/recommendations", json={"user_ids": ["u0009", "nobody", "u0001"], "k": 2}).json()
    assert [(one["user_id"], one["known"], len(one["items"])) for one in answer["results"]] == [
        ("u0009", True, 2),
        ("nobody", False, 2),
        ("u0001", True, 2),
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/recommendations/u0001?k=0", None, 422),
        ("GET", "/v1/recommendations/u0001?k=many", None, 422),
        ("GET", "/v1/recommendations/u0001?k=21", None, 422),
        ("GET", f"/v1/recommendations/{'u' * 300}", None, 422),
        ("POST", "/v1/recommendations", {"user_ids": []}, 422),
        ("POST", "/v1/recommendations", {"user_ids": ["u0001", "u0001"]}, 422),
        ("POST", "/v1/recommendations", {"user_ids": ["u0001"], "k": -1}, 422),
        ("POST", "/v1/recommendations", {"users": ["u0001"]}, 422),
        ("POST", "/v1/recommendations", "text", 422),
        ("GET", "/v1/nothing", None, 404),
        ("DELETE", "/v1/recommendations/u0001", None, 405),
    ],
)
def test_a_bad_request_is_told_what_is_wrong_and_what_to_do(
    client: httpx.Client, method: str, path: str, body: object, status: int
) -> None:
    answer = client.request(method, path, json=body)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "hint"}
    assert all(answer.json().values())
    assert "u0001" not in answer.text


def test_without_a_deployed_model_the_answer_says_what_to_run(walked: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "fresh"
    shutil.copytree(walked, workspace, ignore=shutil.ignore_patterns("deployments"))
    with serving(workspace) as client:
        answer = client.get("/v1/recommendations/u0001")
        assert answer.status_code == 503
        assert "nothing is deployed" in answer.json()["error"]
        assert "ecomine run" in answer.json()["hint"]
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").json() == {"status": "alive"}
        assert client.get("/v1/models").json() == {"models": []}

        shutil.copytree(walked / "deployments", workspace / "deployments")
        assert client.get("/v1/recommendations/u0001").status_code == 200
        assert client.get("/readyz").json()["ready"] is True


def test_what_is_deployed(client: httpx.Client, walked: Path) -> None:
    model = {model["domain"]: model for model in client.get("/v1/models").json()["models"]}["recommendation"]
    (record,) = deployment.history(Store(walked), DOMAIN)
    assert (model["domain"], model["model"]) == ("recommendation", record["digest"])
    assert model["metrics"] == json.loads((walked / "metrics/recommendation.json").read_text())["model"]
    assert all(check["passed"] for check in model["checks"])
    ready = client.get("/readyz").json()
    assert ready["ready"] is True
    assert ready["domains"]["recommendation"] == record["digest"]


def test_the_openapi_page_needs_no_other_host(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert not re.findall(r"(?:https?:)?//[\w.-]+\.\w+", page.text.replace(str(client.base_url), ""))
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert client.get(address).status_code == 200
    api = client.get("/openapi.json").json()
    assert set(api["paths"]) >= {
        "/v1/recommendations",
        "/v1/recommendations/basket",
        "/v1/recommendations/similar",
        "/v1/recommendations/visit",
        "/v1/recommendations/{user_id}",
        "/v1/models",
        "/healthz",
        "/readyz",
    }
    one = api["paths"]["/v1/recommendations/{user_id}"]["get"]
    assert set(one["responses"]) == {"200", "422", "503"}
    assert api["components"]["schemas"]["Recommendation"]["examples"][0]["items"]
    assert {parameter["name"] for parameter in one["parameters"]} == {"user_id", "k", "situation"}


def logged(caplog: pytest.LogCaptureFixture, request_ids: list[str]) -> list[dict]:
    """The lines of the access log for these requests."""
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "ecomine.access"]
    return [line for line in lines if line["request_id"] in request_ids]


def test_every_answer_has_a_request_id_and_a_line_of_log_without_personal_data(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "ecomine.access"):
        given = client.get("/v1/recommendations/u0001?k=3", headers={"X-Request-ID": "trace-7"})
        made = [client.get("/v1/recommendations/u0001").headers["x-request-id"] for _ in range(2)]
        evil = client.get("/healthz", headers={"X-Request-ID": 'a" b'}).headers["x-request-id"]
        wanted = ["trace-7", *made, evil]
        deadline = time.monotonic() + 10  # a line is written after its answer was sent
        while len(lines := logged(caplog, wanted)) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert given.headers["x-request-id"] == "trace-7"
    assert len({*made, evil}) == 3
    assert re.fullmatch(r"[0-9a-f]{32}", evil)
    assert [line["request_id"] for line in lines] == wanted
    assert lines[0] | {"ms": 0} == {
        "request_id": "trace-7",
        "method": "GET",
        "route": "/v1/recommendations/{user_id:path}",
        "status": 200,
        "ms": 0,
    }
    assert "u0001" not in caplog.text
    assert "127.0.0.1" not in caplog.text


def test_buy_again_and_discover_part_what_is_for_you(client: httpx.Client, walked: Path) -> None:
    lines = pd.read_parquet(walked / "data/clean/order_lines.parquet")
    bought = set(lines.loc[lines["user_id"] == "u0001", "item_id"])
    again, new = (
        client.get("/v1/recommendations/u0001", params={"situation": name, "k": 10}).json()["items"]
        for name in ("buy_again", "discover")
    )
    assert again and {item["item_id"] for item in again} <= bought
    assert new and not {item["item_id"] for item in new} & bought
    refused = client.get("/v1/recommendations/u0001", params={"situation": "guess"})
    assert refused.status_code == 422 and "buy_again" in refused.json()["error"]


@pytest.mark.parametrize("address", ["similar", "basket", "visit"])
def test_products_beside_others(client: httpx.Client, address: str) -> None:
    answer = client.post(f"/v1/recommendations/{address}", json={"item_ids": ["i0001", "never sold"], "k": 5}).json()
    assert answer["unknown"] == ["never sold"]
    ids = [item["item_id"] for item in answer["items"]]
    assert 0 < len(ids) <= 5 and "i0001" not in ids and len(set(ids)) == len(ids)
    assert all(item["reason"].endswith("thing 1") and item["title"] for item in answer["items"])
    assert client.post(f"/v1/recommendations/{address}", json={"item_ids": []}).status_code == 422
