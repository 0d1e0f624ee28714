"""Answers made before they are asked for, and answers remembered: the same as those made when asked, or not given."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from ecomine.cli import main
from ecomine.domains import DOMAINS
from ecomine.serving.ahead import Ahead, path_of
from ecomine.serving.catalogue import Catalogue
from ecomine.serving.lineup import LineUp
from ecomine.serving.noting import noting
from ecomine.serving.packing import Packer, Read, Receipt, unpacked
from ecomine.serving.receipts import Receipts
from ecomine.serving.replay import Replayer
from ecomine.serving.routes.recommendation import AHEAD, alone, recommend
from ecomine.store import Store
from tests.serving.server import serving

NAME = "recommendation"


@pytest.fixture(scope="module")
def workspace(walked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ahead") / "workspace"
    shutil.copytree(walked, folder, ignore=shutil.ignore_patterns("receipts", "frames", "raw"))
    assert main(["--workspace", str(folder), "ahead"]) == 0
    return folder


@pytest.fixture(scope="module")
def client(workspace: Path) -> Iterator[httpx.Client]:
    with serving(workspace) as client:
        yield client


def test_what_is_made_ahead_is_what_would_be_answered_with_the_same_receipt(workspace: Path) -> None:
    store, packer = Store(workspace), Packer()
    answers, catalogue = LineUp(store, DOMAINS[NAME]).get(), Catalogue(store)
    ahead, state, titles = Ahead(store, answers.domain, AHEAD, packer), answers.features.state, catalogue.stamp()
    assert state is not None
    for user, k in [("u0001", 20), ("u0001", 3), *((f"u{number:04d}", 7) for number in range(2, 60, 9))]:
        asked = {"user_ids": [user], "k": k, "situation": "for_you"}
        found = ahead.find(answers, state, titles, "lists", asked, "deployed")
        reads: list[Read] = []
        told = recommend(replace(answers, look_up=noting(answers, reads)), catalogue, **asked).model_dump(mode="json")
        assert found is not None and httpx.Response(200, content=found.body).json() == alone(told)
        assert found.packed is not None
        parts = {part.digest: part.content for part in found.packed.parts}
        receipt = unpacked(parts[found.packed.head.digest], parts.__getitem__)
        assert (receipt.answer, receipt.arguments, receipt.model) == (told, asked, answers.bundle.digest)
        (read,), (wanted,) = receipt.reads, reads
        assert (read.keys, read.features, read.tables) == (wanted.keys, wanted.features, wanted.tables)
        np.testing.assert_array_equal(read.values, wanted.values)
        np.testing.assert_array_equal(read.ages, wanted.ages)
    for other in ({"k": 21}, {"situation": "discover"}, {"user_ids": ["nobody"]}):
        assert ahead.find(answers, state, titles, "lists", asked | other, "deployed") is None
    assert ahead.find(answers, "another state", titles, "lists", asked, "deployed") is None


def test_asked_again_an_answer_has_a_receipt_of_its_own_that_says_the_same(
    client: httpx.Client, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["/v1/recommendations/u0001", "/v1/recommendations/u0001?k=4", "/v1/recommendations/u0001?k=04",
             "/v1/profiles/u0001", "/v1/recommendations/nobody"]  # fmt: skip
    first, again = ([client.get(path) for path in asked] for _ in range(2))
    assert [answer.content for answer in first] == [answer.content for answer in again]
    assert len({answer.headers["x-receipt-id"] for answer in (*first, *again)}) == 10
    assert {answer.headers["x-answered-by"] for answer in (*first, *again)} == {"deployed"}
    receipts, replayer = Receipts(Store(workspace), 30), Replayer(Store(workspace))
    alike = list(receipts.alike(10))
    assert sorted(len(ids) for _, ids in alike) == [2, 2, 2, 4]
    assert [replayer.differences(receipt) for receipt, _ in alike] == [[]] * 4
    assert main(["--workspace", str(workspace), "replay", "--last", "10"]) == 0
    assert "10 of 10 answers made again are equal (4 different ones)" in capsys.readouterr().out
    assert main(["--workspace", str(workspace), "ahead"]) == 0
    assert "made already" in capsys.readouterr().out


def test_features_that_change_change_the_answer_at_once(client: httpx.Client, workspace: Path) -> None:
    path, receipts = "/v1/recommendations/u0002", Receipts(Store(workspace), 30)
    online = workspace / "data/online/online.db"

    def spend() -> float:
        receipt = receipts.get(client.get(path).headers["x-receipt-id"])
        assert Replayer(Store(workspace)).differences(receipt) == []
        (read,) = receipt.reads
        return float(read.values[0, read.features.index("user_snapshot__spend_total")])

    before = spend()
    for more in (1000.0, 2000.0):
        with closing(sqlite3.connect(online)) as file, file:
            file.execute("UPDATE user_snapshot SET spend_total = ? WHERE user_id = 'u0002'", (before + more,))
        assert spend() == before + more, "neither what was made ahead nor what was remembered holds any more"
    assert path_of(Store(workspace), NAME).exists()


def test_parts_of_receipts_come_back_as_they_were() -> None:
    draw = np.random.default_rng(3)
    values = draw.normal(size=(700, 3))
    values[5:9], values[::7, 1] = values[4], np.nan
    keys = {"user_id": ["u"] * 700, "item_id": [f"i{number}" for number in range(700)]}
    read = Read(keys, ["own__a", "all__b", "all__c"], ["own", "all"], values, draw.normal(size=(700, 2)), ("all",))
    empty = Read({"user_id": [], "item_id": []}, read.features, read.tables, values[:0], read.ages[:0], ("all",))
    packer = Packer()
    for reads in ([read], [], [read, empty], [empty]):
        packed = packer.pack(Receipt("d", "m", "q", {"k": 1}, {"said": "ü"}, reads))
        parts = {part.digest: part.content for part in packed.parts}
        back = unpacked(parts[packed.head.digest], parts.__getitem__)
        assert back.answer == {"said": "ü"} and len(back.reads) == len(reads)
        for one, wanted in zip(back.reads, reads, strict=True):
            assert one.keys == wanted.keys and one.shared == ("all",)
            np.testing.assert_array_equal(one.values, wanted.values)
            np.testing.assert_array_equal(one.ages, wanted.ages)
