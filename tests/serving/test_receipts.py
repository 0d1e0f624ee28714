"""What an answer was made of, and the answer made again."""

import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest

from ecomine.cli import main
from ecomine.feature_store import OnlineReader
from ecomine.pseudonyms import Pseudonyms
from ecomine.serving.receipts import Receipt, Receipts
from ecomine.serving.replay import Replayer
from ecomine.store import Store
from tests.serving.server import serving

HEADER = "x-receipt-id"


@pytest.fixture(scope="module")
def workspace(walked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("receipts") / "workspace"
    shutil.copytree(walked, folder, ignore=shutil.ignore_patterns("receipts", "frames"))
    return folder


@pytest.fixture(scope="module")
def client(workspace: Path) -> Iterator[httpx.Client]:
    with serving(workspace) as client:
        yield client


def kept(workspace: Path) -> Receipts:
    return Receipts(Store(workspace), days=30)


def test_every_kind_of_question_leaves_a_receipt_and_is_answered_again_the_same(
    client: httpx.Client, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = client.get("/v1/recommendations/u0001").json()["items"]
    beside = {"item_ids": [item["item_id"] for item in items[:2]], "k": 5}
    answers = [
        *(client.get(f"/v1/recommendations/u{number:04d}") for number in range(1, 20)),
        client.get("/v1/recommendations/nobody?k=3"),
        client.get("/v1/recommendations/u0002?situation=buy_again"),
        client.post("/v1/recommendations", json={"user_ids": ["u0003", "u0001"], "k": 4, "situation": "discover"}),
        *(client.post(f"/v1/recommendations/{where}", json=beside) for where in ("similar", "basket", "visit")),
        *(client.get(f"/v1/profiles/u{number:04d}") for number in range(1, 10)),
    ]
    assert {answer.status_code for answer in answers} == {200}
    ids = [answer.headers[HEADER] for answer in answers]
    assert len(set(ids)) == len(ids) and ids == sorted(ids), "ids grow with time"
    replayer, receipts = Replayer(Store(workspace)), kept(workspace)
    for id_ in ids:
        assert replayer.differences(receipts.get(id_)) == []
    assert main(["--workspace", str(workspace), "replay", "--last", str(len(ids))]) == 0
    assert f"{len(ids)} of {len(ids)} answers made again are equal" in capsys.readouterr().out
    assert main(["--workspace", str(workspace), "replay", ids[0]]) == 0
    assert "equal" in capsys.readouterr().out


def test_it_replays_what_was_read_then_whatever_is_online_now(workspace: Path, client: httpx.Client) -> None:
    answer = client.get("/v1/recommendations/u0001")
    receipt = kept(workspace).get(answer.headers[HEADER])
    online = workspace / "data/online"
    hidden = online.with_name("hidden")
    online.rename(hidden)
    try:
        assert Replayer(Store(workspace)).differences(receipt) == []
    finally:
        hidden.rename(online)


def test_another_answer_is_told_row_by_row(workspace: Path, client: httpx.Client) -> None:
    receipts = kept(workspace)
    true = receipts.get(client.get("/v1/recommendations/u0001?k=3").headers[HEADER])
    other = json.loads(json.dumps(true.answer))
    other["results"][0]["items"][1]["score"] = 0.5
    other["results"][0]["items"][0]["title"] = "what it was called then"
    id_ = receipts.add(Receipt(true.domain, true.model, true.question, true.arguments, other, true.reads))
    (line,) = Replayer(Store(workspace)).differences(receipts.get(id_))
    assert line.startswith("results[0].items[1].score: 0.5 then, ")
    assert main(["--workspace", str(workspace), "replay", id_]) == 2

    read = true.reads[0]
    fewer = read.__class__(
        {key: texts[1:] for key, texts in read.keys.items()}, read.features, read.tables, read.values[1:], read.ages[1:]
    )
    id_ = receipts.add(Receipt(true.domain, true.model, true.question, true.arguments, true.answer, [fewer]))
    assert "other entities" in Replayer(Store(workspace)).differences(receipts.get(id_))[0]


def test_a_receipt_shows_features_with_their_ages_and_no_customer(workspace: Path, client: httpx.Client) -> None:
    answer = client.get("/v1/recommendations/u0001?k=3")
    shown = client.get(f"/v1/receipts/{answer.headers[HEADER]}", params={"rows": 4})
    assert shown.status_code == 200
    assert "u0001" not in shown.text
    told = shown.json()
    assert (told["domain"], told["model"]) == ("recommendation", answer.json()["model"])
    assert told["answer"]["results"][0]["items"] == answer.json()["items"]
    assert all(check["passed"] for check in told["checks"]) and told["lineage"]
    assert told["rows"] > 4 and len(told["features"]) == 4
    pseudonym = Pseudonyms(Store(workspace)).of("u0001")
    assert told["arguments"]["user_ids"] == [pseudonym]
    assert {row["keys"]["user_id"] for row in told["features"]} == {pseudonym}
    online = OnlineReader(workspace, "recommendation")
    keys = pd.DataFrame([{**row["keys"], "user_id": "u0001"} for row in told["features"]])
    found = online.read_detailed(keys)
    for number, row in enumerate(told["features"]):
        assert list(row["features"]) == online.features
        for place, feature in enumerate(online.features):
            value, age = row["features"][feature].values()
            assert value == pytest.approx(found.values[number, place], abs=0, nan_ok=True) or value is None
            assert age is None or age in found.ages[number]


def test_receipts_are_the_owners_alone_and_end_after_their_days(workspace: Path, client: httpx.Client) -> None:
    client.get("/v1/profiles/u0001")
    for name in ("receipts.db", "pseudonyms.key"):
        Pseudonyms(Store(workspace)).of("u0001")
        assert stat.S_IMODE((workspace / "data/receipts" / name).stat().st_mode) == 0o600
    old = client.get("/v1/profiles/u0001").headers[HEADER]
    again = Receipts(Store(workspace), days=1e-9)
    new = again.add(again.get(old))
    assert [receipt.id for receipt in again.newest(10)] in ([new], [])
    assert client.get(f"/v1/receipts/{old}").status_code == 404
    assert client.get("/v1/receipts/../keys").status_code in (404, 422)


def test_a_shop_may_keep_none(workspace: Path) -> None:
    params = workspace / "params.yaml"
    text = params.read_text()
    params.write_text(text.replace("receipt_days: 30.0", "receipt_days: 0"))
    assert params.read_text() != text
    try:
        with serving(workspace) as client:
            answer = client.get("/v1/recommendations/u0001")
        assert answer.status_code == 200 and HEADER not in answer.headers
    finally:
        params.write_text(text)


def test_where_a_receipt_cannot_be_kept_the_answer_comes_without_one(
    workspace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept_there = workspace / "data/receipts"
    hidden = kept_there.with_name("kept")
    kept_there.rename(hidden)
    kept_there.mkdir()
    (kept_there / "receipts.db").write_bytes(b"no database, and long enough to be seen as none" * 100)
    try:
        with serving(workspace) as client, caplog.at_level("ERROR", "ecomine.serving"):
            answer = client.get("/v1/recommendations/u0001")
        assert answer.status_code == 200 and answer.json()["items"]
        assert HEADER not in answer.headers
        assert "receipt of an answer cannot be kept" in caplog.text
    finally:
        shutil.rmtree(kept_there)
        hidden.rename(kept_there)
