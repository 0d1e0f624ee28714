"""Ads over HTTP, from a version that walked the road to its deployment."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest

from ecomine.domains import DOMAINS
from ecomine.serving.published import Published
from ecomine.serving.receipts import Receipts
from ecomine.serving.replay import Replayer
from ecomine.serving.routes import PLAIN
from ecomine.serving.routes.ads import Decision
from ecomine.store import Store
from tests.serving.server import serving

AS_OF = pd.Timestamp("2024-05-30")


@pytest.fixture(scope="module")
def client(placed: Path) -> Iterator[httpx.Client]:
    with serving(placed) as client:
        yield client


@pytest.fixture(scope="module")
def decisions(placed: Path) -> pd.DataFrame:
    return pd.read_parquet(placed / "decisions/ads.parquet").set_index("user_id")


def one(client: httpx.Client, user: str, **more: object) -> dict:
    answer = client.post("/v1/ads/decision", json={"user_id": user, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def several(client: httpx.Client, users: list[str], **more: object) -> dict:
    answer = client.post("/v1/ads/decisions", json={"visitors": [{"user_id": user} for user in users], **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_without_a_drawing_of_its_own_the_answer_is_the_table(client: httpx.Client, decisions: pd.DataFrame) -> None:
    wanted = list(decisions.index[[40, 3, 77, 12]])
    told = several(client, wanted)
    assert [row["user_id"] for row in told["results"]] == wanted
    for row in told["results"]:
        expected = decisions.loc[row["user_id"]]
        assert (row["campaign_id"] or "none") == expected["campaign_id"]
        assert (row["creative_id"] or "none") == expected["creative_id"]
        for name in ("bid", "expected_incremental_profit", "propensity", "reason", "method"):
            assert row[name] == expected[name], name
        alone = one(client, row["user_id"])
        assert alone == row


def test_lots_are_drawn_by_request_and_as_often_as_their_propensity_says(
    client: httpx.Client, decisions: pd.DataFrame
) -> None:
    users = list(decisions.index)
    assert several(client, users, request_id="a") == several(client, users, request_id="a")
    found = pd.DataFrame(
        [row for number in range(30) for row in several(client, users, request_id=f"r{number}")["results"]]
    )
    assert found["propensity"].between(0, 1, inclusive="right").all()
    # Weighted by the inverse of its propensity each option of each person stands for all drawings.
    options = found.groupby(["user_id", found["campaign_id"].fillna("none"), found["creative_id"].fillna("none")])
    seen = options["propensity"].agg(["first", "size", "nunique"])
    assert (seen["nunique"] == 1).all()
    often = seen[seen["first"] > 0.2]
    assert often["size"].sum() / 30 == pytest.approx(often["first"].sum(), rel=0.02)
    explored = found["reason"].str.contains("by chance, to learn")
    assert explored.mean() == pytest.approx(0.05 * 0.5, abs=0.015)


def test_contacts_since_then_are_counted(client: httpx.Client, decisions: pd.DataFrame) -> None:
    user = decisions.index[decisions["campaign_id"] != "none"][0]
    at, campaign = AS_OF + pd.Timedelta(hours=15), decisions.loc[user, "campaign_id"]
    earlier = {"campaign_id": campaign, "event_timestamp": (AS_OF + pd.Timedelta(hours=9)).isoformat()}
    told = one(client, user, contacts=[earlier], at=at.isoformat())
    assert told["campaign_id"] is None and told["propensity"] == 1.0
    assert told["reason"] in ("contacted often enough today", "contacted often enough by this campaign")
    zoned = one(client, user, contacts=[{**earlier, "event_timestamp": "2024-05-30T11:00:00+02:00"}], at=f"{at}Z")
    assert zoned["reason"] == told["reason"]
    spent = one(client, user, exhausted=[campaign])
    assert spent["campaign_id"] is None
    assert spent["reason"] == "the budget is spent, or saved for later in the day"
    over = one(client, user, at="2024-09-01T00:00:00")
    assert over["campaign_id"] is None and over["reason"] == "the campaign is not running"


def test_who_is_not_known_did_not_agree(client: httpx.Client) -> None:
    told = one(client, "never seen")
    assert not told["known"]
    assert told["campaign_id"] is None and told["bid"] == 0.0
    assert "not known" in told["reason"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("decision", {}),
        ("decision", {"user_id": ""}),
        ("decision", {"user_id": "a", "at": "yesterday"}),
        ("decision", {"user_id": "a", "at": "0001-01-01T00:00:00Z"}),
        ("decision", {"user_id": "a", "at": 5}),
        ("decision", {"user_id": "a", "at": "2024-05-30"}),
        ("decision", {"user_id": "a", "elsewhere": "yes"}),
        ("decision", {"user_id": "a", "age": 3}),
        ("decision", {"user_id": "a", "contacts": [{"campaign_id": "c"}]}),
        ("decisions", {"visitors": []}),
        ("decisions", {"visitors": [{"user_id": "a"}, {"user_id": "a"}]}),
        ("decisions", {"visitors": "a"}),
    ],
)
def test_what_cannot_be_meant_is_refused(client: httpx.Client, path: str, body: dict) -> None:
    answer = client.post(f"/v1/ads/{path}", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_decisions_leave_a_receipt_and_are_told_again_the_same(
    client: httpx.Client, decisions: pd.DataFrame, placed: Path
) -> None:
    for number, user in enumerate([*decisions.index[:3], "never seen"]):
        contacts = [{"campaign_id": "c08", "event_timestamp": "2024-05-30T08:00:00"}] if number == 1 else []
        body = {"user_id": user, "elsewhere": number == 2, "contacts": contacts, "request_id": f"visit {number}",
                "at": "2024-05-31T10:00:00"}  # fmt: skip
        answer = client.post("/v1/ads/decision", json=body)
        receipt = Receipts(Store(placed), days=30).get(answer.headers["x-receipt-id"])
        assert receipt.answer["results"] == [answer.json()]
        assert Replayer(Store(placed)).differences(receipt) == []


def test_the_openapi_page_shows_an_example(client: httpx.Client) -> None:
    api = client.get("/openapi.json").json()
    example = api["components"]["schemas"]["One"]["examples"][0]
    assert client.post("/v1/ads/decision", json=example).status_code == 200
    assert api["components"]["schemas"]["Decision"]["examples"][0]["propensity"]


def test_what_was_published_stands_in_where_no_version_answers(placed: Path, decisions: pd.DataFrame) -> None:
    published = Published.of(DOMAINS["ads"], decisions.reset_index(), "d" * 20, AS_OF.to_pydatetime())
    reached = decisions.index[decisions["campaign_id"] != "none"]
    users = [reached[0], reached[1], decisions.index[-1], "never seen"]
    visitors: dict = {user: {"user_id": user, "elsewhere": False, "contacts": []} for user in users}
    visitors[users[1]]["contacts"] = [{"campaign_id": "c09", "event_timestamp": "2024-05-30T08:00:00"}]
    around = {"at": None, "exhausted": [], "request_id": ""}

    def told(**more: object) -> list[Decision]:
        return PLAIN["ads"]["decisions"](published, None, users, visitors, {**around, **more}).results

    first, second, third, stranger = told()
    assert first.campaign_id == decisions.loc[users[0], "campaign_id"] and first.bid == decisions.loc[users[0], "bid"]
    assert second.campaign_id is None and "caps cannot be counted" in second.reason
    assert third.reason == decisions.loc[users[2], "reason"]
    assert not stranger.known and stranger.campaign_id is None
    assert all(one.campaign_id is None for one in told(exhausted=["c08", "c09"]))
