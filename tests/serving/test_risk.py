"""Payments judged over HTTP while they happen, from a version that walked the road to its deployment."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from ecomine.risk.features import own_columns
from ecomine.risk.policy import DECISION_COLUMNS
from ecomine.serving.receipts import Receipts
from ecomine.serving.replay import Replayer
from ecomine.sources.verdicts import FILE
from ecomine.stages import Context, run
from ecomine.store import Store
from ecomine.streaming import event_log
from ecomine.streaming.log import NOTHING
from tests.conftest import change_params
from tests.serving.server import serving

NOW = pd.Timestamp("2024-05-30 08:00:00")
"""The morning after the last run."""


@pytest.fixture(scope="module")
def workspace(watched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its clock stands in 2024, so events may be dated so far back."""
    workspace = Path(shutil.copytree(watched, tmp_path_factory.mktemp("served") / "workspace"))
    change_params(workspace, streaming={"window_days": 10_000.0})
    return workspace


@pytest.fixture(scope="module")
def client(workspace: Path) -> Iterator[httpx.Client]:
    with serving(workspace) as client:
        yield client


def payment(number: int = 0, minutes: float = 0.0, **more: object) -> dict:
    told = {
        "payment_id": f"new{number}", "user_id": "u0003", "amount": 42.5, "method": "card", "card_id": "c3",
        "device_id": "d3", "address_id": "a3", "ip": "10.0.0.3",
        "event_timestamp": (NOW + pd.Timedelta(minutes=minutes)).isoformat(),
    }  # fmt: skip
    return told | more


def ask(client: httpx.Client, *payments: dict) -> httpx.Response:
    if len(payments) == 1:
        return client.post("/v1/risk/score", json=payments[0])
    return client.post("/v1/risk/score/batch", json={"payments": list(payments)})


def test_a_payment_is_told_like_the_published_ones(client: httpx.Client) -> None:
    honest = ask(client, payment(1)).json()["results"][0]
    assert (honest["decision"], honest["rules"]) == ("allow", [])
    assert honest["score"] < 0.1
    stolen = payment(2, user_id="u0050", card_id="c9", device_id="d511", address_id="a71", amount=190.0)
    thief = ask(client, stolen).json()["results"][0]
    assert thief["decision"] in ("review", "block")
    assert thief["score"] > 5 * honest["score"]
    assert thief["reasons"] and all(" = " in reason for reason in thief["reasons"])
    assert thief["expected_loss"] > honest["expected_loss"]


def test_the_last_minutes_are_seen(client: httpx.Client, workspace: Path) -> None:
    """What a payment is judged by equals what a run would tell that had seen the same payments."""
    at_once = [
        payment(
            10 + number, minutes=number, user_id=f"u00{60 + number}", device_id="d-new", card_id=f"c-{number}",
            address_id="a-new", ip="10.9.9.9",
        )
        for number in range(5)
    ]  # fmt: skip
    answers = [ask(client, one) for one in at_once]
    rules = [answer.json()["results"][0]["rules"] for answer in answers]
    assert rules == [[], [], [], ["crowd"], ["crowd"]]
    assert answers[-1].json()["results"][0]["decision"] != "allow"
    receipts = Receipts(Store(workspace), days=30)
    past = receipts.get(answers[-1].headers["x-receipt-id"]).arguments["since"]
    assert [one["payment_id"] for one in past] == [f"new{number}" for number in range(10, 14)]
    # The same five, told to the vectors of training at once:
    table = pd.read_parquet(workspace / "data/clean/payments.parquet")
    fresh = pd.DataFrame(at_once).assign(event_timestamp=[pd.Timestamp(one["event_timestamp"]) for one in at_once])
    both = pd.concat([table, fresh], ignore_index=True)
    own = own_columns(both, both["payment_id"].isin(fresh["payment_id"]).to_numpy())
    from ecomine.domains import DOMAINS
    from ecomine.risk.live import own_values
    from ecomine.serving.routes.risk import Payment

    model = DOMAINS["risk"].load(workspace / "models/risk")
    read = [Payment.model_validate(one) for one in at_once]
    values = own_values(model, [one.known() for one in read], [one.method for one in read], [])
    np.testing.assert_array_equal(values, own.to_numpy())
    # Asked again under the same id, a payment does not count twice, and in one batch the answers are the same.
    again = ask(client, at_once[-1]).json()["results"][0]
    assert again == answers[-1].json()["results"][0]
    assert ask(client, *at_once).json()["results"] == [answer.json()["results"][0] for answer in answers]


def test_a_payment_that_is_scored_is_an_event_and_events_count_in_scores(client: httpx.Client, workspace: Path) -> None:
    shared = {"device_id": "d-both", "card_id": "c-both", "address_id": "a-both", "ip": "10.8.8.8"}
    told = [payment(40 + number, number, **shared) for number in range(3)]
    assert client.post("/v1/events", json={"kind": "payments"} | told[0]).json()["accepted"] == ["new40"]
    second = ask(client, told[1])
    receipts = Receipts(Store(workspace), days=30)
    past = receipts.get(second.headers["x-receipt-id"]).arguments["since"]
    assert "new40" in [one["payment_id"] for one in past]
    # Scored, it is an event of its own id, once, whoever says it again.
    assert client.post("/v1/events", json={"kind": "payments"} | told[1]).json()["duplicate"] == ["new41"]
    ask(client, told[1])
    entries = event_log(workspace).read(NOTHING, 10_000).to_pandas()
    rows = [json.loads(body) for body in entries["body"]]
    assert [row["amount"] for row in rows if row["payment_id"] == "new41"] == [42.5]
    # Another process of the same workspace has it in memory from its start.
    with serving(workspace) as other:
        third = ask(other, told[2])
    assert {"new40", "new41"} <= {
        one["payment_id"] for one in receipts.get(third.headers["x-receipt-id"]).arguments["since"]
    }


def test_a_payment_of_a_time_that_no_event_has_is_judged_and_not_kept(client: httpx.Client, workspace: Path) -> None:
    late = payment(50, device_id="d-late", event_timestamp="2199-01-01T00:00:00")
    assert ask(client, late).status_code == 200
    bodies = event_log(workspace).read(NOTHING, 10_000)["body"].to_pylist()
    assert not any("d-late" in body for body in bodies)


def test_receipts_are_told_again_the_same_and_name_nobody(client: httpx.Client, workspace: Path) -> None:
    answer = ask(client, payment(30, device_id="d900"), payment(31, 1, device_id="d900"))
    receipts = Receipts(Store(workspace), days=30)
    id_ = answer.headers["x-receipt-id"]
    assert receipts.get(id_).answer == answer.json()
    assert Replayer(Store(workspace)).differences(receipts.get(id_)) == []
    shown = client.get(f"/v1/receipts/{id_}").text
    assert "u0003" not in shown and "d900" not in shown


def test_the_queue_of_a_day_is_the_published_one(client: httpx.Client, workspace: Path) -> None:
    decisions = pd.read_parquet(workspace / "decisions/risk.parquet")
    assert tuple(decisions.columns) == DECISION_COLUMNS
    assert decisions["paid_at"].min() > pd.Timestamp("2024-05-25")
    assert set(decisions["decision"]) <= {"allow", "review", "block"}
    assert decisions.loc[decisions["decision"] == "review"].groupby("day").size().max() <= 4
    day = decisions.loc[decisions["queue"] > 0, "day"].iloc[0]
    answer = client.get("/v1/risk/queue", params={"day": day})
    told = answer.json()["results"]
    own = decisions[decisions["day"] == day].set_index("payment_id")
    assert {one["payment_id"] for one in told} == set(own.index)
    first = told[0]
    assert first["queue"] == 1
    assert (first["score"], first["decision"]) == tuple(own.loc[first["payment_id"], ["score", "decision"]])
    receipt = Receipts(Store(workspace), days=30).get(answer.headers["x-receipt-id"])
    assert Replayer(Store(workspace)).differences(receipt) == []
    assert client.get("/v1/risk/queue", params={"day": "2020-01-01"}).status_code == 404


def test_a_verdict_becomes_a_label_of_the_next_run(client: httpx.Client, workspace: Path) -> None:
    decisions = pd.read_parquet(workspace / "decisions/risk.parquet")
    one, other = decisions["payment_id"].iloc[:2]

    def say(payment_id: str, is_fraud: bool, day: int) -> dict:
        said = {"payment_id": payment_id, "is_fraud": is_fraud, "label_timestamp": f"2024-05-{day}T12:00:00Z"}
        answer = client.post("/v1/risk/feedback", json=said)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert say(one, True, 28)["added"]
    assert not say(one, True, 28)["added"]  # said twice, kept once
    assert say(one, False, 29) == {
        "payment_id": one, "is_fraud": False, "label_timestamp": "2024-05-29T12:00:00Z", "added": True
    }  # fmt: skip
    late = say(one, True, 27)  # an older verdict that comes late does not win
    assert (late["is_fraud"], late["added"]) == (False, False)
    assert say(other, True, 29)["added"]
    assert len((workspace / "data/raw" / FILE).read_text().splitlines()) == 3
    copy = Path(shutil.copytree(workspace, workspace.parent / "next"))
    context = Context.of(copy)
    for stage in ("ingest", "clean"):
        run(stage, None, context)
    labels = pd.read_parquet(copy / "data/clean/payments.parquet").set_index("payment_id")
    assert labels.loc[[one, other], "is_fraud"].tolist() == [False, True]
    assert labels.loc[other, "label_timestamp"] == pd.Timestamp("2024-05-29 12:00:00")
    before = pd.read_parquet(workspace / "data/clean/payments.parquet").set_index("payment_id")
    rest = before.index.difference([one, other])
    pd.testing.assert_frame_equal(labels.loc[rest], before.loc[rest])


def test_a_charge_back_that_comes_later_holds_against_a_verdict(tmp_path: Path) -> None:
    import duckdb

    from ecomine.sources import verdicts

    connection = duckdb.connect()
    table = pd.DataFrame(
        {
            "payment_id": ["a", "b", "c"],
            "event_timestamp": pd.Timestamp("2024-01-01"),
            "is_fraud": pd.array([True, False, None], dtype="boolean"),
            "label_timestamp": [pd.Timestamp("2024-02-09"), pd.Timestamp("2024-02-09"), pd.NaT],
        }
    )
    for payment_id, is_fraud in {"a": False, "b": True, "c": True}.items():
        verdicts.add(tmp_path, verdicts.Verdict(payment_id, is_fraud, pd.Timestamp("2024-02-01").to_pydatetime()))
    told = verdicts.applied(connection, connection.from_df(table), tmp_path).order("payment_id").df()
    assert told["is_fraud"].tolist() == [True, True, True]
    assert told["label_timestamp"].dt.day.tolist() == [9, 1, 1]


def test_rings_are_drawn(client: httpx.Client) -> None:
    answer = client.get("/v1/risk/rings.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "cards on 1 device" in answer.text
    assert "d900" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"payment_id": "a", "user_id": "u"},
        {"payment_id": "a", "user_id": "u", "amount": -1},
        {"payment_id": "", "user_id": "u", "amount": 1},
        {"payment_id": "a", "user_id": "u", "amount": 1, "event_timestamp": "yesterday"},
    ],
)
def test_what_cannot_be_meant_is_refused(client: httpx.Client, body: dict) -> None:
    answer = client.post("/v1/risk/score", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_the_openapi_page_shows_an_example(client: httpx.Client) -> None:
    api = client.get("/openapi.json").json()
    example = api["components"]["schemas"]["Payment"]["examples"][0]
    answer = client.post("/v1/risk/score", json=example)
    assert answer.status_code == 200
    assert json.loads(answer.text)["results"][0]["decision"] in ("allow", "review", "block")
    assert "/v1/risk/feedback" in api["paths"]
