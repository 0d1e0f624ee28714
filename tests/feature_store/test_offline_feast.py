"""The ASOF store through Feast's own FeatureStore: everything that Feast promises of an offline store."""

import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    RepoConfig,
    RequestSource,
    ValueType,
)
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String

from ecomine.errors import FeatureError

ASOF = "ecomine.feature_store.offline_store.AsofOfflineStore"
START = datetime(2024, 1, 1)
USERS, SHELVES, TODAY = (
    {"name": "user_id", "value_type": ValueType.STRING},
    {"name": "item_id", "value_type": ValueType.INT64},
    {"name": "place", "value_type": ValueType.STRING},
)


def hours(*numbers: float) -> list[datetime]:
    return [START + timedelta(hours=number) for number in numbers]


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables: by user, with names of its own; by item and place, in a folder of two files; of the whole shop."""
    folder = tmp_path_factory.mktemp("repo")
    users = pd.DataFrame({"customer": ["a", "a", "a", "b"], "t": hours(0, 2, 2, 1), "made": hours(0, 5, 3, 1)})
    users.assign(spend=[1.0, 3.0, 2.0, np.nan], tier=["x", "z", "y", None], visits=[1, 3, 2, 4]).to_parquet(
        folder / "users.parquet"
    )
    (folder / "shelves").mkdir()
    shelves = pd.DataFrame({"item_id": [1, 1, 2], "place": ["p", "q", "p"], "event_timestamp": hours(0, 1, 2)})
    shelves = shelves.assign(event_timestamp=shelves.event_timestamp.dt.tz_localize("UTC"), price=[10.0, 11.0, 20.0])
    shelves[:2].to_parquet(folder / "shelves/1.parquet")
    shelves[2:].to_parquet(folder / "shelves/2.parquet")
    shelves.to_parquet(folder / "shelves.parquet")
    shop = pd.DataFrame({"event_timestamp": hours(0, 3), "open": [1.0, 0.0]})
    shop.to_parquet(folder / "shop.parquet")
    return folder


def definitions(repo: Path, shelves_path: str = "shelves") -> list[Any]:
    user, item, place = (Entity(join_keys=[each["name"]], **each) for each in (USERS, SHELVES, TODAY))
    users = FeatureView(
        name="users",
        entities=[user],
        ttl=timedelta(hours=4),
        schema=[
            *(Field(name="user_id", dtype=String), Field(name="spend", dtype=Float64)),
            *(Field(name="tier", dtype=String), Field(name="visits", dtype=Int64)),
        ],
        source=FileSource(
            name="users_file",
            path=str(repo / "users.parquet"),
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp",
            field_mapping={"customer": "user_id", "t": "event_timestamp", "made": "created_timestamp"},
        ),
    )
    shelves = FeatureView(
        name="shelves",
        entities=[item, place],
        schema=[
            *(Field(name="item_id", dtype=Int64), Field(name="place", dtype=String)),
            Field(name="price", dtype=Float64),
        ],
        source=FileSource(name="shelves_files", path=str(repo / shelves_path), timestamp_field="event_timestamp"),
    )
    shop = FeatureView(
        name="shop",
        entities=[],
        schema=[Field(name="open", dtype=Float64)],
        source=FileSource(name="shop_file", path=str(repo / "shop.parquet"), timestamp_field="event_timestamp"),
    )
    asked = RequestSource(name="asked", schema=[Field(name="wanted", dtype=Int64)])

    @on_demand_feature_view(
        sources=[shelves, asked],
        schema=[Field(name="bill", dtype=Float64), Field(name="unused", dtype=Float64)],
        mode="pandas",
    )
    def bill(inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"bill": inputs["price"] * inputs["wanted"], "unused": inputs["price"]})

    service = FeatureService(
        name="service",
        features=[users[["spend"]], shelves.with_name("goods").with_join_key_map({"item_id": "ware"}), shop],
    )
    return [user, item, place, users, shelves, shop, bill, service]


def feast_store(repo: Path, kind: str = ASOF, shelves_path: str = "shelves") -> FeatureStore:
    store = FeatureStore(
        config=RepoConfig(
            project="shop",
            provider="local",
            registry=str(repo / f"{kind}.db"),
            offline_store={"type": kind},
            online_store={"type": "sqlite", "path": str(repo / f"{kind}-online.db")},
            entity_key_serialization_version=3,
        )
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store.apply(definitions(repo, shelves_path))
    return store


@pytest.fixture(scope="module")
def store(repo: Path) -> FeatureStore:
    return feast_store(repo)


@pytest.fixture
def rows() -> pd.DataFrame:
    """Duplicates, null keys, an unknown item, and an order of no kind."""
    frame = pd.DataFrame(
        {
            "user_id": ["a", "b", None, "a", "a", "nobody"],
            "event_timestamp": hours(6.5, 3, 3, 1, 1, 3),
            "item_id": pd.array([1, 2, 1, None, 1, 9], dtype="Int64"),
            "place": ["p", "p", "q", "p", None, "p"],
            "wanted": [1, 2, 3, 4, 5, 6],
        }
    )
    return frame.set_index(pd.Index([7, 7, 3, 2, 1, 0]))


def test_entities_full_names_nulls_and_duplicates(store: FeatureStore, rows: pd.DataFrame) -> None:
    before = rows.copy()
    features = ["users:spend", "users:tier", "users:visits", "shelves:price", "shop:open"]
    got = store.get_historical_features(rows, features, full_feature_names=True).to_df()
    pd.testing.assert_frame_equal(rows, before)
    assert got.columns.tolist() == [*rows.columns, *(feature.replace(":", "__") for feature in features)]
    assert got.wanted.tolist() == rows.wanted.tolist() and got.index.tolist() == list(range(6))
    nan = np.nan
    np.testing.assert_array_equal(got.users__spend, [nan, nan, nan, 1, 1, nan])
    assert got.users__tier.tolist() == [None, None, None, "x", "x", None]
    np.testing.assert_array_equal(got.users__visits, [nan, 4, nan, 1, 1, nan])
    np.testing.assert_array_equal(got.shelves__price, [10, 20, 11, nan, nan, nan])
    np.testing.assert_array_equal(got.shop__open, [0, 0, 0, 1, 1, 0])


def test_created_rows_count_when_they_are_known(store: FeatureStore) -> None:
    rows = pd.DataFrame({"user_id": ["a"] * 4, "event_timestamp": hours(2, 3, 5, 6)})
    newest = store.get_historical_features(rows, ["users:spend"]).to_df()
    assert newest.spend.tolist() == [3, 3, 3, 3]
    known = store.get_historical_features(rows, ["users:spend"], filter_by_created_timestamp=True).to_df()
    assert known.spend.tolist() == [1, 2, 3, 3]


def test_time_to_live_counts_its_last_moment(store: FeatureStore) -> None:
    last = START + timedelta(hours=6)
    rows = pd.DataFrame({"user_id": ["a", "a"], "event_timestamp": [last, last + timedelta(microseconds=1)]})
    np.testing.assert_array_equal(store.get_historical_features(rows, ["users:spend"]).to_df().spend, [3, np.nan])


def test_service_with_mapped_keys(store: FeatureStore, rows: pd.DataFrame) -> None:
    service = store.get_feature_service("service")
    job = store.get_historical_features(rows.rename(columns={"item_id": "ware"}), service, full_feature_names=True)
    got = job.to_df()
    assert got.columns.tolist()[-3:] == ["users__spend", "goods__price", "shop__open"]
    np.testing.assert_array_equal(got.goods__price, [10, 20, 11, np.nan, np.nan, np.nan])


def test_frame_table_and_sql_are_one(store: FeatureStore, rows: pd.DataFrame, repo: Path) -> None:
    features = ["users:spend", "users:tier", "shelves:price", "shop:open"]
    rows.to_parquet(repo / "rows.parquet", index=False)
    frame = store.get_historical_features(rows, features).to_arrow().drop_columns("event_timestamp")
    table = pa.Table.from_pandas(rows, preserve_index=False)
    assert store.get_historical_features(table, features).to_arrow().drop_columns("event_timestamp").equals(frame)
    sql = f"SELECT * FROM '{repo}/rows.parquet'"
    assert store.get_historical_features(sql, features).to_arrow().drop_columns("event_timestamp").equals(frame)
    coded = table.set_column(0, "user_id", table.column("user_id").dictionary_encode())
    got = store.get_historical_features(pa.concat_tables([coded, coded]), features).to_arrow()
    assert got.column("spend").to_pylist() == frame.column("spend").to_pylist() * 2


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/New_York", "UTC"])
def test_times_of_any_zone(store: FeatureStore, zone: str) -> None:
    moments = pd.Series(hours(1, 2)).dt.tz_localize("UTC").dt.tz_convert(zone)
    rows = pd.DataFrame({"user_id": ["a", "a"], "event_timestamp": moments})
    for entities in (
        rows,
        pa.Table.from_pandas(rows),
        rows.assign(event_timestamp=moments.map(lambda m: m.isoformat())),
    ):
        assert store.get_historical_features(entities, ["users:spend"]).to_arrow().column("spend").to_pylist() == [1, 3]


def test_on_demand_features(store: FeatureStore, rows: pd.DataFrame, repo: Path) -> None:
    features = ["shelves:price", "bill:bill"]
    job = store.get_historical_features(rows, features)
    got = job.to_df()
    assert "unused" not in got
    np.testing.assert_array_equal(got.bill, [10, 40, 33, np.nan, np.nan, np.nan])
    storage = SavedDatasetFileStorage(path=str(repo / "bills.parquet"))
    job.persist(storage)
    pd.testing.assert_frame_equal(pd.read_parquet(repo / "bills.parquet"), job.to_arrow().to_pandas())
    full = store.get_historical_features(rows, ["bill:bill"], full_feature_names=True).to_df()
    np.testing.assert_array_equal(full.bill__bill, got.bill)


def test_saved_datasets(store: FeatureStore, rows: pd.DataFrame, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecomine.feature_store.offline_store.retrieval.BATCH", 2)
    rows = rows.dropna()
    features = ["users:spend", "shelves:price"]
    job = store.get_historical_features(rows, features)
    for path in (repo / "saved.parquet", repo / "saved folder"):
        storage = SavedDatasetFileStorage(path=str(path))
        with pytest.warns(RuntimeWarning, match="experimental"):
            store.create_saved_dataset(job, "saved", storage, allow_overwrite=True)
        with pytest.warns(RuntimeWarning, match="experimental"):
            read = store.get_saved_dataset("saved").to_df()
        assert len(read) == len(rows)
        both = job.to_df()[read.columns].assign(event_timestamp=lambda f: f.event_timestamp.dt.tz_convert("UTC"))
        order = ["event_timestamp", "user_id"]
        pd.testing.assert_frame_equal(
            read.sort_values(order, ignore_index=True), both.sort_values(order, ignore_index=True), check_dtype=False
        )
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        job.persist(SavedDatasetFileStorage(path=str(repo / "saved.parquet")))


def test_batches_are_the_whole_in_parts(store: FeatureStore, rows: pd.DataFrame) -> None:
    job: Any = store.get_historical_features(rows, ["users:tier", "bill:bill", "shelves:price"])
    parts = list(job.batches(4))
    assert [part.num_rows for part in parts] == [4, 2]
    pd.testing.assert_frame_equal(pa.concat_tables(parts).to_pandas(), job.to_arrow().to_pandas())
    empty: Any = store.get_historical_features(rows.head(0), ["users:tier", "shelves:price"])
    assert empty.to_df().shape == (0, 7) and [part.num_rows for part in empty.batches()] == [0]


def test_pull_latest_and_all(store: FeatureStore, repo: Path) -> None:
    provider = store._get_provider().offline_store  # type: ignore[attr-defined]
    source = store.get_feature_view("users").batch_source
    arguments = (store.config, source, ["customer"], ["spend"], "t", "made")
    start, end = START.replace(tzinfo=UTC), (START + timedelta(hours=2)).replace(tzinfo=UTC)
    latest = provider.pull_latest_from_table_or_query(*arguments, start, end)
    assert latest.to_arrow().select(["customer", "spend"]).to_pylist() == [
        {"customer": "a", "spend": 3.0},
        {"customer": "b", "spend": None},
    ]
    earlier = provider.pull_latest_from_table_or_query(*arguments, start, end - timedelta(seconds=1))
    assert earlier.to_df().spend.tolist()[:1] == [1.0]
    everything = provider.pull_all_from_table_or_query(*arguments)
    assert everything.to_df().spend.tolist()[:3] == [1.0, 3.0, 2.0] and everything.to_arrow().num_rows == 4
    some = provider.pull_all_from_table_or_query(*arguments, start + timedelta(hours=1), end)
    assert sorted(some.to_df().customer) == ["a", "a", "b"]
    some.persist(SavedDatasetFileStorage(path=str(repo / "pulled.parquet")))
    assert duckdb.sql(f"SELECT count(*) FROM '{repo}/pulled.parquet'").fetchall() == [(3,)]


def test_feast_materialises_from_it(store: FeatureStore) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store.materialize(START - timedelta(days=1), START + timedelta(days=1), feature_views=["users", "shelves"])
    answer = store.get_online_features(["users:spend", "users:tier"], [{"user_id": "a"}, {"user_id": "nobody"}])
    assert answer.to_dict()["spend"] == [3.0, None] and answer.to_dict()["tier"] == ["z", None]


def test_errors_say_what_is_wrong(store: FeatureStore, rows: pd.DataFrame) -> None:
    with pytest.raises(FeatureError, match="lack place"):
        store.get_historical_features(rows.drop(columns="place"), ["shelves:price"]).to_df()
    with pytest.raises(FeatureError, match="would be there twice"):
        store.get_historical_features(rows.assign(spend=1.0), ["users:spend"]).to_df()
    with pytest.raises(FeatureError, match="no common type"):
        store.get_historical_features(rows.assign(user_id=["a", 1, 2.5, "b", "c", "d"]), ["users:spend"]).to_df()


def test_equals_feasts_duckdb_store_where_that_is_right(repo: Path, store: FeatureStore) -> None:
    """Where it is not: it joins only on the keys that a join-key map names, so others' features are given out.

    It also takes neither SQL nor Arrow tables, reads no folder of Parquet files, and loses the order of the rows.
    """
    generator = np.random.default_rng(3)
    minutes = generator.integers(-60, 600, 300)
    rows = pd.DataFrame(
        {
            "user_id": generator.choice(["a", "b", "c"], 300),
            "item_id": generator.integers(1, 4, 300),
            "place": generator.choice(["p", "q"], 300),
            "event_timestamp": [START + timedelta(minutes=int(minute)) for minute in minutes],
            "number": np.arange(300),
        }
    )
    features = ["users:spend", "users:tier", "users:visits", "shelves:price"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = feast_store(repo, "duckdb", "shelves.parquet")
        for known in (False, True):
            ours = store.get_historical_features(rows, features, filter_by_created_timestamp=known).to_df()
            theirs = peer.get_historical_features(rows, features, filter_by_created_timestamp=known).to_df()
            theirs = theirs.sort_values("number", ignore_index=True)[ours.columns]
            assert ours.spend.notna().any() and ours.price.notna().any()
            pd.testing.assert_frame_equal(ours, theirs, check_dtype=False)
        service = FeatureService(
            name="mapped",
            features=[peer.get_feature_view("shelves").with_name("goods").with_join_key_map({"item_id": "ware"})],
        )
        asked = pd.DataFrame({"ware": [2], "place": ["nowhere"], "event_timestamp": hours(5)})
        peer.apply([service])
        store.apply([service])
        assert store.get_historical_features(asked, service).to_df().price.isna().all()
        assert peer.get_historical_features(asked, service).to_df().price.tolist() == [20.0]
