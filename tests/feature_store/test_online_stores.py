"""What SQLite, Redis and PostgreSQL have in common: the same answers as Feast's, and never half a version."""

import shutil
import threading
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from ecomine import feature_store
from ecomine.errors import MissingInputError, UnavailableError
from ecomine.feature_store.catalogue import feature_params, service_tables
from ecomine.feature_store.online import OnlineReader, Status
from ecomine.feature_store.online_backend import backend
from ecomine.feature_store.online_table import OnlineTable
from ecomine.feature_store.registry import entities, feast_store, services, sources, views
from tests.conftest import change_params
from tests.feature_store.conftest import AS_OF, materialize

SERVICE = "recommendation"
NOW = pd.Timestamp(AS_OF)


@pytest.fixture(scope="session")
def rows(shop: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Users and items, some of them unknown or null, with names that are hard to write down."""
    users = [*shop["users"].user_id[::9], "nobody", 'O\'Brien "ü", \\', "", None]
    items = [*shop["items"].item_id[::13], "no\nthing", None]
    return pd.MultiIndex.from_product([users, items], names=["user_id", "item_id"]).to_frame(index=False)


def test_reads_what_feast_reads(stored: Path, rows: pd.DataFrame) -> None:
    known = rows.dropna()
    store = feast_store(stored)
    answer = store.get_online_features(
        features=store.get_feature_service(SERVICE),
        entity_rows=known.to_dict("records"),
        full_feature_names=True,
    ).to_df()
    mine = OnlineReader(stored, SERVICE).read(known)
    names = feature_store.service_features(stored, SERVICE)
    np.testing.assert_array_equal(answer[names].to_numpy(dtype=float), mine[names].to_numpy())
    assert mine.user_item__orders_total.notna().any() and mine.user_snapshot__mean_order_gap_days.notna().any()


def test_reads_what_training_saw(stored: Path, rows: pd.DataFrame) -> None:
    reader = OnlineReader(stored, SERVICE)
    asked = rows.assign(event_timestamp=NOW)
    pd.testing.assert_frame_equal(reader.read(asked), feature_store.point_in_time(stored, asked, SERVICE))
    assert reader.read(rows.head(0)).empty
    assert reader.as_of == AS_OF


def test_tells_age_and_status(stored: Path) -> None:
    reader = OnlineReader(stored, SERVICE)
    asked = {"user_id": ["u0001", "nobody", None], "item_id": ["i0001"] * 3}
    answer = reader.read_detailed(asked)
    assert answer.tables == ["user_snapshot", "item_snapshot", "user_item"]
    assert answer.status[:, 0].tolist() == [Status.PRESENT, Status.MISSING, Status.MISSING]
    assert answer.status[:, 1].tolist() == [Status.PRESENT] * 3
    assert answer.status[1:, 2].tolist() == [Status.MISSING] * 2
    np.testing.assert_array_equal(answer.ages[:, 0], [0, np.nan, np.nan])
    assert np.isnan(answer.values[1:, : len(reader.features) // 3]).all()
    frame = answer.frame()
    assert frame.user_snapshot__status.tolist() == ["present", "missing", "missing"]
    assert frame.columns.tolist()[: len(reader.features)] == reader.features


def test_a_row_expires(stored: Path) -> None:
    """A snapshot holds for a week, a purchase for a year; the moment asked about is the row's own, or `now`."""
    reader = OnlineReader(stored, SERVICE)
    last, late = NOW + timedelta(days=7), NOW + timedelta(days=7, microseconds=1)
    asked = pd.DataFrame({"user_id": "u0001", "item_id": "i0001", "event_timestamp": [NOW, last, late, pd.NaT]})
    answer = reader.read_detailed(asked)
    assert answer.status[:, 0].tolist() == [Status.PRESENT, Status.PRESENT, Status.EXPIRED, Status.PRESENT]
    assert answer.ages[:, 0].tolist() == [0, 604_800, 604_800.000001, 0]
    spend = reader.read(asked).user_snapshot__spend_total
    assert spend.isna().tolist() == [False, False, True, False]
    zoned = asked.assign(event_timestamp=asked.event_timestamp.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"))
    np.testing.assert_array_equal(reader.read_detailed(zoned).ages, answer.ages)
    for now in (late.to_pydatetime(), late.tz_localize("UTC").tz_convert("Asia/Tokyo").to_pydatetime()):
        assert set(reader.read_detailed(asked, now).status[:, 0]) == {Status.EXPIRED}
        assert reader.read(asked, now).user_snapshot__spend_total.isna().all()


def test_a_default_stands_in_for_what_is_not_known(stored: Path) -> None:
    (table,) = [table for table in service_tables(SERVICE) if table.name == "user_snapshot"]
    plain = OnlineTable.of(table, feature_params(stored))
    defaults = tuple(0.0 if name == "orders_total" else None for name in plain.features)
    wide = OnlineTable(plain.name, plain.keys, plain.features, plain.ttl, defaults)
    reader = OnlineReader.of([wide], backend(stored))
    found = reader.read(pd.DataFrame({"user_id": ["u0001", "nobody", None]}))
    assert found.user_snapshot__orders_total.iloc[0] > 0
    assert found.user_snapshot__orders_total.tolist()[1:] == [0.0, 0.0]
    assert found.user_snapshot__spend_total.isna().tolist() == [False, True, True]
    later = reader.read(pd.DataFrame({"user_id": ["u0001"]}), AS_OF + timedelta(days=30))
    assert later.user_snapshot__orders_total.tolist() == [0.0]


def test_nobody_ever_reads_half_a_version(stored: Path, rows: pd.DataFrame) -> None:
    moments = [AS_OF, AS_OF - timedelta(days=7)]
    reader, expected = OnlineReader(stored, SERVICE), {}
    for moment in reversed(moments):
        materialize(stored, moment)
        expected[moment] = reader.read_detailed(rows).values
    assert not np.array_equal(expected[moments[0]], expected[moments[1]], equal_nan=True)
    seen, faults, stop = [], [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                values = reader.read_detailed(rows).values
                seen.append([np.array_equal(values, other, equal_nan=True) for other in expected.values()])
            except Exception as error:  # whatever it is, the test shows it
                faults.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(6):
        materialize(stored, moments[number % 2])
    stop.set()
    for thread in threads:
        thread.join()
    assert not faults, faults[0]
    assert all(sum(equal) == 1 for equal in seen)
    assert {tuple(equal) for equal in seen} == {(True, False), (False, True)}


def test_feast_may_apply_and_push(stored: Path, rows: pd.DataFrame) -> None:
    store = feast_store(stored)
    store.apply([*entities().values(), *sources(stored).values(), *views(stored).values(), *services(stored).values()])
    assert feature_store.differences(stored, rows.assign(event_timestamp=NOW), SERVICE).empty
    features = [field.name for field in store.get_feature_view("user_snapshot").features]
    pushed = {"event_timestamp": AS_OF, "created_timestamp": AS_OF}
    for value in (7.0, 8.0):
        row = {"user_id": "new", **pushed, **dict.fromkeys(features, value), "spend_total": None}
        store.write_to_online_store("user_snapshot", pd.DataFrame([row]))
        answer = OnlineReader(stored, SERVICE).read(pd.DataFrame({"user_id": ["new"], "item_id": ["i0001"]}))
        assert answer.user_snapshot__spend_7d.tolist() == [value]
        assert answer.user_snapshot__spend_total.isna().all()


def test_a_store_filled_for_other_features_says_so(stored: Path, rows: pd.DataFrame) -> None:
    features = yaml.safe_load((stored / "params.yaml").read_text())["features"]
    change_params(stored, features=features | {"windows": [7, 30, 91]})
    with pytest.raises(MissingInputError, match=r"ecomine stage materialize"):
        OnlineReader(stored, SERVICE).read(rows)


def test_an_empty_store_says_so(featured: Path, tmp_path: Path, online: dict[str, object], rows: pd.DataFrame) -> None:
    workspace = Path(shutil.copytree(featured, tmp_path / "empty", ignore=shutil.ignore_patterns("online")))
    change_params(workspace, online=online)
    reader = OnlineReader(workspace, SERVICE)
    with pytest.raises(MissingInputError, match="ecomine stage materialize"):
        reader.read(rows)
    with pytest.raises(MissingInputError, match="ecomine stage materialize"):
        _ = reader.as_of
    materialize(workspace)
    assert reader.as_of == AS_OF


@pytest.mark.parametrize(
    "url", ["redis://me:secret@127.0.0.1:1/0", "postgresql://me:secret@127.0.0.1:1/x"], ids=["redis", "postgres"]
)
def test_a_server_that_does_not_answer(featured: Path, tmp_path: Path, rows: pd.DataFrame, url: str) -> None:
    workspace = Path(shutil.copytree(featured, tmp_path / "silent"))
    change_params(workspace, online={"kind": "redis" if url.startswith("redis") else "postgres", "url": url})
    with pytest.raises(UnavailableError, match=r"online\.url") as caught:
        OnlineReader(workspace, SERVICE).read(rows)
    assert "secret" not in str(caught.value)
    with pytest.raises(UnavailableError, match=r"online\.url"):
        feature_store.materialize(workspace, tmp_path, AS_OF)
