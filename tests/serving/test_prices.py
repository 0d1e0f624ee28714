"""Prices over HTTP, from a version that walked the road to its deployment."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest

from ecomine import deployment
from ecomine.domains import DOMAINS
from ecomine.serving.receipts import Receipts
from ecomine.serving.replay import Replayer
from ecomine.serving.split import Split
from ecomine.stages import Context, run
from ecomine.store import Store
from tests.conftest import change_params
from tests.serving.server import serving


@pytest.fixture(scope="module")
def client(priced: Path) -> Iterator[httpx.Client]:
    with serving(priced) as client:
        yield client


@pytest.fixture(scope="module")
def decisions(priced: Path) -> pd.DataFrame:
    return pd.read_parquet(priced / "decisions/pricing.parquet").set_index("item_id")


def ask(client: httpx.Client, items: list[dict], **more: object) -> httpx.Response:
    return client.post("/v1/prices", json={"items": items, **more})


def test_a_price_is_that_of_the_table_of_decisions(client: httpx.Client, decisions: pd.DataFrame) -> None:
    wanted = list(decisions.index[[3, 0, 5]])
    answer = ask(client, [{"item_id": item} for item in wanted]).json()
    assert [item["item_id"] for item in answer["items"]] == wanted
    for told in answer["items"]:
        row = decisions.loc[told["item_id"]]
        assert (told["price"], told["suggested_price"], told["reason"]) == (
            row["price"], row["suggested_price"], row["reason"]
        )  # fmt: skip
        assert told["expected_change"]["margin"] == row["margin_change"]
        assert told["elasticity"]["low"] == row["elasticity_low"]


def test_what_the_request_knows_is_heeded(client: httpx.Client, decisions: pd.DataFrame) -> None:
    item, price = decisions.index[0], float(decisions["price"].iloc[0])

    def one(context: dict | None = None, **known: float) -> dict:
        answer = ask(client, [{"item_id": item, **known}], context=context or {})
        assert answer.status_code == 200, answer.text
        return answer.json()["items"][0]

    bold = one({"caution": 0.0})
    assert bold["suggested_price"] != bold["price"]
    assert bold["expected_change"]["margin"] > 0
    held = one({"caution": 0.0, "greatest_change": 0.05})
    assert abs(held["change"]) <= 0.05
    dear = one({"caution": 0.0}, unit_cost=0.99 * price)
    assert dear["binding_rule"] in ("margin floor", "greatest change")
    assert dear["suggested_price"] > price
    bound = one({"caution": 0.0}, unit_cost=0.9 * price, highest_price=round(price * 1.01, 2))
    assert bound["suggested_price"] <= round(price * 1.01, 2)
    lower = one(price=round(price / 2, 2))
    assert lower["price"] == round(price / 2, 2)
    assert lower["units"] > one()["units"]
    units = one()["units"]
    cleared = one({"caution": 0.0}, stock=units * 4.02, clear_weeks=4)
    assert cleared["suggested_price"] < price
    never = one(stock=units * 400, clear_weeks=1)
    assert "stock to clear" in never["reason"]
    assert never["suggested_price"] == never["price"]


def test_unknown_items_are_told_one_by_one(client: httpx.Client, decisions: pd.DataFrame) -> None:
    items = [{"item_id": "never"}, {"item_id": decisions.index[1]}, {"item_id": "nor this"}]
    refused = ask(client, items)
    assert refused.status_code == 404
    assert "never: it never sold enough" in refused.json()["error"]
    assert "nor this: " in refused.json()["error"]
    answer = ask(client, items, skip_unknown=True).json()
    assert list(answer["unknown"]) == ["never", "nor this"]
    assert [item["item_id"] for item in answer["items"]] == [decisions.index[1]]
    nobody = ask(client, items[:1], skip_unknown=True).json()
    assert nobody["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"items": []},
        {"items": [{"item_id": "a"}, {"item_id": "a"}]},
        {"items": [{"item_id": "a", "price": -1}]},
        {"items": [{"item_id": "a", "price": 0}]},
        {"items": [{"item_id": "a", "stock": 3}]},
        {"items": [{"item_id": "a", "lowest_price": 3, "highest_price": 2}]},
        {"items": [{"item_id": "a"}], "context": {"caution": 2}},
        {"items": "a"},
        {},
    ],
)
def test_what_cannot_be_meant_is_refused(client: httpx.Client, body: dict) -> None:
    answer = client.post("/v1/prices", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_the_openapi_page_shows_an_example(client: httpx.Client) -> None:
    api = client.get("/openapi.json").json()
    one = api["paths"]["/v1/prices"]["post"]
    assert set(one["responses"]) == {"200", "404", "422", "503"}
    assert api["components"]["schemas"]["Prices"]["examples"][0]["items"]
    example = api["components"]["schemas"]["Basket"]["examples"][0]
    assert client.post("/v1/prices", json=example).status_code == 404


def test_prices_leave_a_receipt_and_are_told_again_the_same(
    client: httpx.Client, decisions: pd.DataFrame, priced: Path
) -> None:
    items = [{"item_id": item, "price": 2.0} for item in decisions.index[:4]]
    answer = ask(client, [*items, {"item_id": "nothing"}], context={"caution": 0.5}, skip_unknown=True)
    receipt = Receipts(Store(priced), days=30).get(answer.headers["x-receipt-id"])
    assert receipt.answer == answer.json()
    assert Replayer(Store(priced)).differences(receipt) == []


def test_during_a_canary_a_batch_goes_to_both_versions_by_item(
    priced: Path, decisions: pd.DataFrame, tmp_path: Path
) -> None:
    workspace = Path(shutil.copytree(priced, tmp_path / "workspace", ignore=shutil.ignore_patterns("raw", "receipts")))
    change_params(workspace, pricing={"caution": 0.25})
    for stage in ("train", "evaluate", "decide", "gate"):
        run(stage, "pricing", Context.of(workspace))
    canary = deployment.challenge(Context.of(workspace), DOMAINS["pricing"], 0.5)
    wanted = list(decisions.index[:20])
    with serving(workspace) as client:
        batch = ask(client, [{"item_id": item} for item in wanted])
        told = batch.json()
        single = {item: ask(client, [{"item_id": item}]).json() for item in wanted}
        some = ask(client, [{"item_id": item} for item in (*wanted, "none")], skip_unknown=True).json()
    assert batch.headers["x-answered-by"] == "deployed, canary"
    assert len(batch.headers["x-receipt-id"].split(", ")) == 2
    assert [row["item_id"] for row in told["items"]] == wanted
    assert told["items"] == [single[item]["items"][0] for item in wanted]
    tried = {item for item in wanted if single[item]["model"] == canary}
    assert told["models"] == dict.fromkeys(tried, canary) and 0 < len(tried) < len(wanted)
    assert list(some["unknown"]) == ["none"] and some["items"] == told["items"]


def test_orders_of_an_item_at_several_places_keep_the_order_asked_for() -> None:
    asked = {"items": [{"item_id": "a", "location_id": "2"}, {"item_id": "b"}, {"item_id": "a", "location_id": "1"}]}
    split = Split.of_items("shelves", asked)
    assert split.part([1]) == {"shelves": {"items": [{"item_id": "b"}]}}

    def row(item: str, place: str) -> dict[str, str]:
        return {"item_id": item, "location_id": place}

    first = {"model": "m", "unknown": {}, "items": [row("a", "2"), row("a", "1")]}
    other = {"model": "c", "unknown": {"x": "why"}, "items": [row("b", "1"), row("b", "2")]}
    told = split.joined([([0, 2], first), ([1], other)])
    assert told["items"] == [row("a", "2"), row("b", "1"), row("b", "2"), row("a", "1")]
    assert (told["model"], told["models"], told["unknown"]) == ("m", {"b": "c"}, {"x": "why"})
