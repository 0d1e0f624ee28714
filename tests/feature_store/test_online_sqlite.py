"""The online store in a file that is exchanged: there is always one to read."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine.errors import MissingInputError
from ecomine.feature_store.materialization import digest, sources
from ecomine.feature_store.online import OnlineReader
from tests.feature_store.conftest import AS_OF, materialize

ROWS = pd.DataFrame({"user_id": ["u0001", "u0002"], "item_id": ["i0001", "i0002"]})


def test_the_old_file_is_read_while_it_is_being_replaced(featured: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(featured, tmp_path / "copy"))
    reader = OnlineReader(workspace, "recommendation")
    before = reader.read(ROWS)
    (workspace / "data/online").rename(workspace / "data/.online.old")
    pd.testing.assert_frame_equal(reader.read(ROWS), before)
    with ThreadPoolExecutor(1) as pool:  # a thread that has not read yet
        pd.testing.assert_frame_equal(pool.submit(reader.read, ROWS).result(), before)
    pd.testing.assert_frame_equal(OnlineReader(workspace, "recommendation").read(ROWS), before)
    shutil.rmtree(workspace / "data/.online.old")
    pd.testing.assert_frame_equal(reader.read(ROWS), before)
    with pytest.raises(MissingInputError, match="ecomine stage materialize"):
        OnlineReader(workspace, "recommendation").read(ROWS)


def test_a_damaged_load_is_begun_anew(featured: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(featured, tmp_path / "copy"))
    whole = (workspace / "data/online/online.db").read_bytes()
    loads = workspace / "data/.loads"
    loads.mkdir()
    name = digest(sources(workspace), AS_OF)
    (loads / f"{name}.db").write_bytes(b"no database " * 1000)
    (loads / "other.db").write_bytes(b"")
    materialize(workspace)
    assert (workspace / "data/online/online.db").read_bytes() == whole
    assert not loads.exists()


def test_thousands_of_entities_at_once(featured: Path) -> None:
    reader = OnlineReader(featured, "recommendation")
    rows = pd.concat([ROWS] * 20_000, ignore_index=True)
    values = reader.read_detailed(rows).values
    np.testing.assert_array_equal(values[:2], values[-2:])
    many = pd.DataFrame({"user_id": [f"x{number}" for number in range(50_000)], "item_id": "i0001"})
    assert reader.read(many).user_snapshot__orders_total.isna().all()
