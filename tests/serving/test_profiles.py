from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest

from ecomine.cli import main
from tests.serving.server import serving


@pytest.fixture(scope="module")
def client(walked: Path) -> Iterator[httpx.Client]:
    with serving(walked) as client:
        yield client


@pytest.fixture(scope="module")
def decisions(walked: Path) -> pd.DataFrame:
    return pd.read_parquet(walked / "decisions/profiling.parquet").set_index("user_id")


def test_a_profile_is_that_of_the_table_of_decisions(client: httpx.Client, decisions: pd.DataFrame) -> None:
    for user in decisions.index[:4]:
        answer, row = client.get(f"/v1/profiles/{user}").json(), decisions.loc[user]
        assert answer["value"] == {"expected": row["value"], "low": row["value_low"], "high": row["value_high"]}
        assert answer["probabilities"]["alive"] == row["alive"]
        assert (answer["segment"], answer["stage"], answer["contact"]) == (row["segment"], row["stage"], row["contact"])
        assert answer["interests"][0]["name"] == row["category"]
        assert answer["reasons"]["value"] == row["value_reason"]
        assert " ".join(f"{number:.4f}" for number in answer["vector"]) == row["vector"]


def test_somebody_unknown_is_not_found(client: httpx.Client) -> None:
    answer = client.get("/v1/profiles/nobody")
    assert answer.status_code == 404
    assert "not known" in answer.json()["error"]


def test_the_terminal_shows_the_deployed_profile(
    walked: Path, decisions: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--workspace", str(walked), "profile", "u0001"]) == 0
    printed = capsys.readouterr().out
    assert decisions.loc["u0001", "segment"] in printed
    assert main(["--workspace", str(walked), "profile", "nobody"]) == 2
    assert "no customer 'nobody'" in capsys.readouterr().err
