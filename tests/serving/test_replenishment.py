"""Orders over HTTP, from a version that walked the road to its deployment."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest
import schemathesis

from ecomine.serving.receipts import Receipts
from ecomine.serving.replay import Replayer
from ecomine.store import Store
from tests.inventory.shop import stocked_shop
from tests.serving.server import serving
from tests.serving.test_fuzz import MODES, fuzz, operations


@pytest.fixture(scope="module")
def client(stocked: Path) -> Iterator[httpx.Client]:
    with serving(stocked) as client:
        yield client


@pytest.fixture(scope="module")
def decisions(stocked: Path) -> pd.DataFrame:
    return pd.read_parquet(stocked / "decisions/inventory.parquet").set_index(["item_id", "location_id"])


def ask(client: httpx.Client, items: list[dict], **more: object) -> httpx.Response:
    return client.post("/v1/replenishment", json={"items": items, **more})


def test_an_order_is_that_of_the_table_of_decisions(client: httpx.Client, decisions: pd.DataFrame) -> None:
    answer = ask(client, [{"item_id": "p09", "location_id": "west"}, {"item_id": "p03"}]).json()
    told = [(item["item_id"], item["location_id"]) for item in answer["items"]]
    assert told == [("p09", "west"), ("p03", "east"), ("p03", "west")]
    for item in answer["items"]:
        row = decisions.loc[(item["item_id"], item["location_id"])]
        names = ("order_now", "order_up_to", "reorder_point", "order_quantity", "reason", "alert", "about_to_run_out")
        assert [item[name] for name in names] == [row[name] for name in names]
        assert item["demand"]["mean"] == row["mean"]
        assert list(item["demand"]["quantiles"].values()) == [row[f"q{name}"] for name in item["demand"]["quantiles"]]
        assert item["stock"]["on_hand"] == row["on_hand"] and item["stock"]["known"]


def test_what_the_request_knows_is_heeded(client: httpx.Client) -> None:
    def one(**known: float) -> dict:
        answer = ask(client, [{"item_id": "p12", "location_id": "east", **known}])
        assert answer.status_code == 200, answer.text
        return answer.json()["items"][0]

    empty = one(on_hand=0, on_order=0)
    assert empty["order_now"] == empty["order_up_to"] > 0 and empty["about_to_run_out"]
    assert empty["stock"]["stock_out_date"] == "2024-06-30"
    coming = one(on_hand=0, on_order=10_000)
    assert coming["order_now"] == 0 and "enough until" in coming["reason"]
    full = one(on_hand=10_000, on_order=0)
    assert full["stock_to_clear"] and full["alert"] == "dead stock"
    longer = one(lead_days=20)
    assert longer["demand"]["days"] == 20 and longer["demand"]["mean"] > 3 * empty["demand"]["mean"]


def test_unknown_items_are_told_one_by_one(client: httpx.Client) -> None:
    items = [
        {"item_id": "never"},
        {"item_id": "p03", "location_id": "north"},
        {"item_id": "p04", "location_id": "east"},
    ]
    refused = ask(client, items)
    assert refused.status_code == 404
    assert "never: it did not sell enough" in refused.json()["error"]
    answer = ask(client, items, skip_unknown=True).json()
    assert answer["unknown"]["p03 at north"] == "not there"
    assert [item["item_id"] for item in answer["items"]] == ["p04"]
    assert ask(client, items[:1], skip_unknown=True).json()["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"items": []},
        {"items": [{"item_id": "p03"}, {"item_id": "p03"}]},
        {"items": [{"item_id": "p03"}, {"item_id": "p03", "location_id": "east"}]},
        {"items": [{"item_id": "p03", "on_hand": 3}]},
        {"items": [{"item_id": "p03", "on_hand": 3}, {"item_id": "p03", "location_id": "east"}]},
        {"items": [{"item_id": "p03", "location_id": "east", "on_hand": -1}]},
        {"items": [{"item_id": "p03", "location_id": "east", "lead_days": 0}]},
        {"items": [{"location_id": "east"}]},
        {},
    ],
)
def test_what_cannot_be_meant_is_refused(client: httpx.Client, body: dict) -> None:
    answer = client.post("/v1/replenishment", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_the_openapi_page_shows_an_example(client: httpx.Client) -> None:
    api = client.get("/openapi.json").json()
    one = api["paths"]["/v1/replenishment"]["post"]
    assert set(one["responses"]) == {"200", "404", "422", "503"}
    assert api["components"]["schemas"]["Orders"]["examples"][0]["items"]
    example = api["components"]["schemas"]["Shelves"]["examples"][0]
    assert client.post("/v1/replenishment", json=example).json()["items"] == []


def test_orders_leave_a_receipt_and_are_told_again_the_same(client: httpx.Client, stocked: Path) -> None:
    items = [{"item_id": "p05", "location_id": "west", "on_hand": 2.0, "on_order": 0.0}, {"item_id": "p07"}]
    answer = ask(client, [*items, {"item_id": "nothing"}], skip_unknown=True)
    receipt = Receipts(Store(stocked), days=30).get(answer.headers["x-receipt-id"])
    assert receipt.answer == answer.json()
    assert Replayer(Store(stocked)).differences(receipt) == []


def test_levels_published_last_stand_in_where_no_version_answers(
    stocked: Path, decisions: pd.DataFrame, tmp_path: Path
) -> None:
    workspace = Path(shutil.copytree(stocked, tmp_path / "workspace"))
    shutil.rmtree(workspace / "deployments/inventory/versions")
    with serving(workspace) as client:
        one = {"item_id": "p08", "location_id": "east"}
        items = [{"item_id": "p06", "location_id": "west"}, {**one, "on_hand": 1, "on_order": 0}]
        answer = ask(client, items)
        assert answer.status_code == 200 and answer.headers["x-answered-by"] == "published"
        plain, told = answer.json()["items"]
        assert plain["order_now"] == decisions.loc[("p06", "west"), "order_now"]
        assert told["order_now"] == told["order_up_to"] - 1 and "published last" in told["reason"]
        assert ask(client, [{"item_id": "nothing"}]).status_code == 404


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_the_address_keeps_what_its_description_promises(client: httpx.Client, stocked: Path, mode: object) -> None:
    schema = schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")
    one = next(found for found in operations(schema) if found.path == "/v1/replenishment")
    known = {"item_id": ["p03", "p04"], "location_id": ["east", "west"]}
    assert fuzz(one, mode, known, "", 15) <= {200, 404, 422}


def test_features_of_shelves_are_known_point_in_time(stocked: Path) -> None:
    rows = pd.read_parquet(stocked / "data/features/stock_snapshot.parquet")
    stock = stocked_shop()["stock"]
    newest = rows[rows["event_timestamp"] == rows["event_timestamp"].max()].set_index(["item_id", "location_id"])
    late = stock[stock["event_timestamp"] > newest["event_timestamp"].iloc[0] - pd.Timedelta(days=30)]
    mean = late.groupby(["item_id", "location_id"])["on_hand"].mean()
    empty = (late["on_hand"] <= 0).groupby([late["item_id"], late["location_id"]]).mean()
    assert newest["mean_on_hand_30d"].loc[mean.index].tolist() == pytest.approx(mean.tolist())
    assert newest["empty_share_30d"].loc[mean.index].tolist() == pytest.approx(empty.tolist())
    assert newest["mean_lead_days"].eq(5.0).all() and newest["counts_30d"].eq(30).all()
