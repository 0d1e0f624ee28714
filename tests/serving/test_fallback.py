"""What is answered when the deployed version, or the features, cannot be had."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from ecomine import deployment
from ecomine.domains import DOMAINS
from ecomine.serving.receipts import Receipts
from ecomine.serving.replay import Replayer
from ecomine.stages import Context
from ecomine.store import Store
from tests.conftest import bring_candidate
from tests.serving.server import serving

NAME = "recommendation"
STEP = "X-Answered-By"


def test_the_version_before_answers_where_the_deployed_one_cannot_be_loaded(
    deployed_workspace: Path, challenger: Path
) -> None:
    store = Store(deployed_workspace)
    first = deployment.current(store, NAME)
    bring_candidate(deployed_workspace, challenger)
    second = deployment.promote(Context.of(deployed_workspace), DOMAINS[NAME])
    file = deployed_workspace / f"deployments/{NAME}/versions/{second}/parameters.json"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes() + b" ")
    with serving(deployed_workspace) as client:
        answer = client.get("/v1/recommendations/u0001")
        assert (answer.status_code, answer.json()["model"], answer.headers[STEP]) == (200, first, "previous")
        ready = client.get("/readyz")
        assert ready.status_code == 200 and ready.json()["domains"][NAME] == first
        assert "the version before answers" in ready.json()["degraded"][NAME]
        assert "parameters.json" in ready.json()["degraded"][NAME]


def test_what_was_published_answers_where_no_version_can_be_loaded(deployed_workspace: Path) -> None:
    published = pd.read_parquet(deployed_workspace / f"decisions/{NAME}.parquet")
    shutil.rmtree(deployed_workspace / f"deployments/{NAME}/versions")
    with serving(deployed_workspace) as client:
        answer = client.get("/v1/recommendations/u0001?k=5")
        assert (answer.status_code, answer.headers[STEP]) == (200, "published")
        own = published[published["user_id"] == "u0001"].sort_values("rank").head(5)
        assert [item["item_id"] for item in answer.json()["items"]] == own["item_id"].tolist()
        ready = client.get("/readyz")
        assert ready.status_code == 200 and "published last" in ready.json()["degraded"][NAME]


def test_what_was_published_answers_where_features_cannot_be_read(deployed_workspace: Path) -> None:
    online = deployed_workspace / "data/online/online.db"
    with serving(deployed_workspace) as client:
        before = client.get("/v1/profiles/u0001")
        assert before.headers[STEP] == "deployed"
        content = online.read_bytes()
        online.write_bytes(b"\0" * len(content))
        questions = [
            client.get("/v1/recommendations/u0001"),
            client.get("/v1/recommendations/nobody?k=3"),
            client.get("/v1/recommendations/u0002?situation=buy_again"),
            client.post("/v1/recommendations", json={"user_ids": ["u0003", "u0001"], "k": 4}),
            client.post("/v1/recommendations/similar", json={"item_ids": ["i0001", "none"], "k": 3}),
            client.get("/v1/profiles/u0001"),
        ]
        assert [(answer.status_code, answer.headers[STEP]) for answer in questions] == [(200, "published")] * 6
        assert client.get("/v1/profiles/nobody").status_code == 404
        assert len(questions[1].json()["items"]) == 3 and not questions[1].json()["known"]
        assert all(item["reason"].startswith("bought ") for item in questions[2].json()["items"])
        assert questions[4].json()["unknown"] == ["none"]
        ready = client.get("/readyz")
        assert ready.status_code == 200 and "features cannot be read" in ready.json()["degraded"][NAME]
        metrics = client.get("/metrics").text
        assert 'ecomine_answers_total{domain="recommendation",step="published"} 5.0' in metrics
    replayer = Replayer(Store(deployed_workspace))
    kept = list(Receipts(Store(deployed_workspace), 1.0).newest(7))
    assert [replayer.differences(receipt) for receipt in kept] == [[]] * 7


def test_published_prices_stand_in_and_what_is_asked_beside_them_keeps_its_price(priced: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(priced, tmp_path / "workspace"))
    published = pd.read_parquet(workspace / "decisions/pricing.parquet").set_index("item_id")
    shutil.rmtree(workspace / "deployments/pricing/versions")
    one, other = published.index[:2]
    with serving(workspace) as client:
        answer = client.post("/v1/prices", json={"items": [{"item_id": one}, {"item_id": other, "unit_cost": 1.0}]})
        assert (answer.status_code, answer.headers[STEP]) == (200, "published")
        first, second = answer.json()["items"]
        assert first["suggested_price"] == pytest.approx(published.loc[one, "suggested_price"])
        assert second["suggested_price"] == second["price"] == pytest.approx(published.loc[other, "price"])
        assert second["change"] == 0.0 and "cannot be computed" in second["reason"]
        assert client.post("/v1/prices", json={"items": [{"item_id": "none"}]}).status_code == 404


def test_nothing_published_is_an_outage_that_is_told(deployed_workspace: Path) -> None:
    shutil.rmtree(deployed_workspace / "deployments")
    shutil.rmtree(deployed_workspace / "decisions")
    with serving(deployed_workspace) as client:
        answer = client.get("/v1/recommendations/u0001")
        assert answer.status_code == 503 and "nothing is deployed" in answer.json()["error"]
        assert client.get("/readyz").status_code == 503
