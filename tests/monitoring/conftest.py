"""A shop whose customers turn to other things after a version was deployed."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import LENIENT, change_params, made_once, make_workspace, walk
from tests.shop import START, tiny_shop

LEARNED, TURNED, DAYS = 104, 108, 112
QUICK = {"max_rounds": 5, "train_periods": 1, "exploration_share": 0.0}


def day(number: int) -> str:
    """Midnight after so many days."""
    return f"{START + pd.Timedelta(days=number):%Y-%m-%d}"


def turned_shop() -> dict[str, pd.DataFrame]:
    """From day TURNED on everybody buys what somebody else has bought before."""
    tables = tiny_shop(users=130, days=DAYS)
    lines = tables["order_lines"]
    later = lines["event_timestamp"] >= START + pd.Timedelta(days=TURNED)
    number = lines["user_id"].str[1:].astype(int)
    other = "u" + ((number + 65) % 130).astype(str).str.zfill(4)
    tables["order_lines"] = lines.assign(user_id=lines["user_id"].where(~later, other))
    return tables


@pytest.fixture(scope="session")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Learned and deployed on day LEARNED, then all days came in; copy it before a change."""

    def make(folder: Path) -> None:
        make_workspace(
            folder, turned_shop(), gate=LENIENT, domains=["recommendation"], as_of=day(LEARNED), recommendation=QUICK,
            engine={"threads": 1}, monitoring={"min_rows": 30},
        )  # fmt: skip
        walk(folder)
        change_params(folder, as_of="latest")
        walk(folder, "clean", "validate", "features", "materialize")

    return made_once(tmp_path_factory, "turned", make)


@pytest.fixture
def shop(turned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(turned, tmp_path / "turned"))
