"""What training and serving see is compared value by value, and every difference is told with its row."""

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine import feature_store
from ecomine.layout import ONLINE_FILE
from tests.feature_store.conftest import AS_OF

SERVICE = "recommendation"
DAY = 86_400


@pytest.fixture
def rows(shop: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Five users with two items each, at as_of, labelled from 100 on."""
    users, items = shop["users"].user_id[:5], shop["items"].item_id[:2]
    pairs = pd.MultiIndex.from_product([users, items], names=["user_id", "item_id"]).to_frame(index=False)
    return pairs.assign(event_timestamp=pd.Timestamp(AS_OF)).set_axis(range(100, 110))


def test_equal_stores_have_no_differences(featured: Path, rows: pd.DataFrame) -> None:
    found = feature_store.differences(featured, rows, SERVICE)
    assert found.empty
    assert found.columns.tolist() == [
        *("row", "user_id", "item_id", "event_timestamp", "feature"),
        *("offline", "online", "offline_age", "online_age", "ttl"),
    ]
    assert feature_store.differences(featured, rows.head(0), SERVICE).empty


def test_a_changed_value_is_told_with_its_row_and_ages(featured: Path, tmp_path: Path, rows: pd.DataFrame) -> None:
    copy = shutil.copytree(featured, tmp_path / "copy")
    user = rows.user_id.iloc[2]
    with sqlite3.connect(copy / ONLINE_FILE) as file:
        file.execute("UPDATE user_snapshot SET orders_total = 99 WHERE user_id = ?", [user])
    file.close()
    found = feature_store.differences(copy, rows, SERVICE)
    assert found.row.tolist() == [102, 103] and set(found.user_id) == {user}
    assert set(found.feature) == {"user_snapshot__orders_total"} and set(found.online) == {99.0}
    table = pd.read_parquet(copy / "data/features/user_snapshot.parquet")
    newest = table[(table.user_id == user) & (table.event_timestamp <= AS_OF)].event_timestamp.max()
    age = (pd.Timestamp(AS_OF) - newest).total_seconds()
    assert found.offline_age.tolist() == found.online_age.tolist() == [age, age]
    assert found.ttl.tolist() == [7 * DAY, 7 * DAY]


def test_a_missing_entity_is_a_difference(featured: Path, tmp_path: Path, rows: pd.DataFrame) -> None:
    copy = shutil.copytree(featured, tmp_path / "copy")
    user = rows.user_id.iloc[0]
    with sqlite3.connect(copy / ONLINE_FILE) as file:
        file.execute("DELETE FROM user_snapshot WHERE user_id = ?", [user])
    file.close()
    found = feature_store.differences(copy, rows, SERVICE)
    offline = feature_store.point_in_time(copy, rows, SERVICE).filter(like="user_snapshot__").loc[[100, 101]]
    assert len(found) == offline.notna().to_numpy().sum() > 0
    assert set(found.row) == {100, 101} and found.online.isna().all() and found.online_age.isna().all()
    assert found.offline_age.notna().all()


def test_a_row_of_another_moment_is_told(featured: Path, rows: pd.DataFrame) -> None:
    earlier = rows.assign(event_timestamp=rows.event_timestamp - pd.Timedelta(days=21))
    found = feature_store.differences(featured, earlier, SERVICE)
    assert (found.online_age < 0).any() and not found.empty
    again = found.set_index(["row", "feature"])
    offline = feature_store.point_in_time(featured, earlier, SERVICE)
    for (row, feature), value in again.offline.items():
        np.testing.assert_equal(value, offline.loc[row, feature])
