"""Training and serving see the same features; Feast itself reads what is materialised here."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine import feature_store
from ecomine.errors import FeatureError, MissingInputError, SettingsError
from ecomine.feature_store.registry import entities, feast_store, services, sources, views
from ecomine.layout import REGISTRY, SPILL
from tests.feature_store.conftest import AS_OF, make_features

SERVICE = "recommendation"


@pytest.fixture(scope="session")
def requests(shop: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Every user with a few items, some of them unknown, at as_of."""
    users = [*shop["users"].user_id, "nobody", 'O\'Brien "ü"']
    items = [*shop["items"].item_id[::13], "nothing"]
    pairs = pd.MultiIndex.from_product([users, items], names=["user_id", "item_id"]).to_frame(index=False)
    return pairs.assign(event_timestamp=pd.Timestamp(AS_OF), score=np.arange(len(pairs)) / 7, index=range(len(pairs)))


def test_point_in_time_adds_the_features_and_nothing_else(featured: Path, requests: pd.DataFrame) -> None:
    rows = requests.sample(frac=1, random_state=1)
    before = rows.copy()
    frame = feature_store.point_in_time(featured, rows, SERVICE)
    pd.testing.assert_frame_equal(rows, before)
    pd.testing.assert_frame_equal(frame[rows.columns], rows)
    assert frame.columns.tolist() == [*rows.columns, *feature_store.service_features(featured, SERVICE)]
    assert frame.user_snapshot__orders_total.notna().any() and frame.user_item__orders_total.isna().any()


def test_point_in_time_equals_the_table_read_by_hand(featured: Path, shop: dict[str, pd.DataFrame]) -> None:
    lines = shop["order_lines"].iloc[::40]
    rows = lines[["user_id", "item_id"]].assign(event_timestamp=lines.event_timestamp + pd.Timedelta(days=3))
    rows = rows[rows.event_timestamp <= AS_OF].reset_index(drop=True)
    frame = feature_store.point_in_time(featured, rows, SERVICE)
    table = pd.read_parquet(featured / "data/features/user_item.parquet").sort_values("event_timestamp")
    expected = pd.merge_asof(
        rows.reset_index().sort_values("event_timestamp"), table, on="event_timestamp", by=["user_id", "item_id"]
    ).sort_values("index")
    np.testing.assert_array_equal(frame.user_item__spend_total, expected.spend_total)
    assert frame.user_item__spend_total.notna().all()


def test_online_equals_offline(featured: Path, requests: pd.DataFrame) -> None:
    assert feature_store.differences(featured, requests, SERVICE).empty


def test_a_difference_is_listed_by_row(featured: Path, tmp_path: Path, requests: pd.DataFrame) -> None:
    import sqlite3

    copy = shutil.copytree(featured, tmp_path / "copy")
    with sqlite3.connect(copy / "data/online/online.db") as file:
        file.execute("UPDATE user_snapshot SET orders_total = 99 WHERE user_id = 'u0003'")
    file.close()
    rows = requests[requests.user_id.isin(["u0003", "u0004"])].drop_duplicates("user_id")
    found = feature_store.differences(copy, rows, SERVICE)
    assert found[["user_id", "feature", "online"]].to_numpy().tolist() == [
        ["u0003", "user_snapshot__orders_total", 99.0]
    ]


def test_feast_reads_the_same(featured: Path, requests: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    rows = requests.iloc[::5]
    store = feast_store(featured)
    answer = store.get_online_features(
        features=store.get_feature_service(SERVICE),
        entity_rows=rows[["user_id", "item_id"]].to_dict("records"),
        full_feature_names=True,
    ).to_df()
    mine = feature_store.OnlineReader(featured, SERVICE).read(rows)
    for name in feature_store.service_features(featured, SERVICE):
        np.testing.assert_array_equal(answer[name].to_numpy(dtype=float), mine[name].to_numpy(), err_msg=name)
    assert capsys.readouterr() == ("", "")


def test_reader_gives_the_types_of_training(featured: Path, requests: pd.DataFrame) -> None:
    reader = feature_store.OnlineReader(featured, SERVICE)
    offline = feature_store.point_in_time(featured, requests, SERVICE)
    pd.testing.assert_frame_equal(reader.read(requests), offline)
    pd.testing.assert_frame_equal(reader.read(requests.head(0)), offline.head(0))
    assert reader.as_of == AS_OF
    nobody = reader.read(pd.DataFrame({"user_id": [None, "u0001"], "item_id": ["i0001", None]}))
    assert nobody.user_snapshot__orders_total.isna().tolist() == [True, False]
    assert nobody.user_item__orders_total.isna().all()


def test_reader_serves_many_threads_and_a_new_file(featured: Path, tmp_path: Path, requests: pd.DataFrame) -> None:
    copy = shutil.copytree(featured, tmp_path / "copy")
    reader = feature_store.OnlineReader(copy, SERVICE)
    first = reader.read(requests)
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda _: reader.read(requests), range(8)):
            pd.testing.assert_frame_equal(answer, first)
        earlier = pd.Timestamp(AS_OF) - pd.Timedelta(days=14)
        (copy / "data/new").mkdir()
        feature_store.materialize(copy, copy / "data/new", earlier.to_pydatetime())
        (copy / "data/online").rename(copy / "data/old")
        (copy / "data/new").rename(copy / "data/online")
        rows = requests.assign(event_timestamp=earlier)
        expected = feature_store.point_in_time(copy, rows, SERVICE)
        for answer in pool.map(lambda _: reader.read(rows), range(8)):
            pd.testing.assert_frame_equal(answer, expected)


OWN = """
from feast import FeatureService, Field, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64
from ecomine.feature_store import registry
from pathlib import Path

views = registry.views(Path(__file__).resolve().parents[1])
user, pair = views["user_snapshot"], views["user_item"]
own = FeatureService(
    name="own",
    features=[
        user[["spend_total", "orders_7d"]].with_name("buyer"),  # Feast cannot compare a name with none
        user[["spend_total"]].with_name("friend").with_join_key_map({"user_id": "friend_id"}),
        pair[["last_quantity"]],
    ],
)
asked = RequestSource(name="asked", schema=[Field(name="wanted", dtype=Float64)])

@on_demand_feature_view(sources=[asked], schema=[Field(name="twice", dtype=Float64)], mode="pandas")
def doubled(inputs):
    return inputs[["wanted"]].rename(columns={"wanted": "twice"}) * 2

computed = FeatureService(name="computed", features=[doubled])
"""


def test_a_service_of_ones_own(featured: Path, tmp_path: Path, requests: pd.DataFrame) -> None:
    copy = Path(shutil.copytree(featured, tmp_path / "copy"))
    (copy / "features/own.py").write_text(OWN)
    rows = requests.iloc[::7].assign(friend_id=lambda f: f.user_id.to_numpy()[::-1])
    names = ["buyer__spend_total", "buyer__orders_7d", "friend__spend_total", "user_item__last_quantity"]
    assert feature_store.service_features(copy, "own") == names
    reader = feature_store.OnlineReader(copy, "own")
    mine = reader.read(rows)
    assert mine.columns.tolist() == [*rows.columns, *names] and mine.friend__spend_total.notna().any()
    assert not mine.friend__spend_total.equals(mine.buyer__spend_total)
    pd.testing.assert_frame_equal(mine, feature_store.point_in_time(copy, rows, "own"))
    assert feature_store.differences(copy, rows, "own").empty
    store = feast_store(copy)
    asked = rows[["user_id", "item_id", "friend_id"]].to_dict("records")
    theirs = store.get_online_features(store.get_feature_service("own"), asked, full_feature_names=True).to_df()
    np.testing.assert_array_equal(theirs[names].to_numpy(dtype=float), mine[names].to_numpy())
    with pytest.raises(FeatureError, match="lack friend_id"):
        reader.read(requests)
    with pytest.raises(FeatureError, match="computed on demand"):
        feature_store.OnlineReader(copy, "computed")
    with pytest.raises(FeatureError, match=r"there are profiling, .*, risk, computed, own"):
        feature_store.OnlineReader(copy, "others")


def test_the_join_spills_into_the_workspace(featured: Path) -> None:
    assert feast_store(featured).config.offline_store.spill == str(featured.resolve() / SPILL)


def test_rows_past_their_time_are_not_materialised(tmp_path: Path, shop: dict[str, pd.DataFrame]) -> None:
    workspace = make_features(tmp_path, shop)
    (workspace / "data/late").mkdir()
    rows = feature_store.materialize(
        workspace, workspace / "data/late", (pd.Timestamp(AS_OF) + pd.Timedelta(days=8)).to_pydatetime()
    )
    assert rows["user_snapshot"] == 0 and rows["user_item"] > 0


def test_registry_is_made_on_demand(featured: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(featured, tmp_path / "copy")
    shutil.rmtree(copy / "data/feast", ignore_errors=True)
    feast_store(copy)
    made = (copy / REGISTRY).stat().st_mtime_ns
    feast_store(copy)
    assert (copy / REGISTRY).stat().st_mtime_ns == made
    text = (copy / "params.yaml").read_text()
    (copy / "params.yaml").write_text(text.replace("snapshot_days: 7", "snapshot_days: 5"))
    assert feast_store(copy).get_feature_view("user_snapshot").ttl == pd.Timedelta(days=5)


def test_feast_command_lists_the_views(featured: Path) -> None:
    from click.testing import CliRunner
    from feast.cli.cli import cli

    feast_store(featured)
    listed = CliRunner().invoke(cli, ["-c", str(featured / "features"), "feature-views", "list"])
    assert listed.exit_code == 0, listed.output
    assert all(name in listed.output for name in views(featured))


def test_feast_may_apply_and_push(featured: Path, tmp_path: Path, requests: pd.DataFrame) -> None:
    copy = shutil.copytree(featured, tmp_path / "copy")
    store = feast_store(copy)
    store.apply([*entities().values(), *sources(copy).values(), *views(copy).values(), *services(copy).values()])
    assert feature_store.differences(copy, requests, SERVICE).empty
    row = dict.fromkeys((field.name for field in store.get_feature_view("user_snapshot").features), 7.0)
    store.write_to_online_store(
        "user_snapshot", pd.DataFrame([{"user_id": "new", "event_timestamp": AS_OF, "created_timestamp": AS_OF} | row])
    )
    answer = feature_store.OnlineReader(copy, SERVICE).read(pd.DataFrame({"user_id": ["new"], "item_id": ["i0001"]}))
    assert answer.user_snapshot__spend_7d.tolist() == [7.0]


def test_errors_say_what_to_do(featured: Path, tmp_path: Path, requests: pd.DataFrame) -> None:
    with pytest.raises(FeatureError, match="no feature service 'dowsing'"):
        feature_store.point_in_time(featured, requests, "dowsing")
    with pytest.raises(FeatureError, match="lack item_id"):
        feature_store.point_in_time(featured, requests.drop(columns="item_id"), SERVICE)
    with pytest.raises(FeatureError, match="lack item_id"):
        feature_store.OnlineReader(featured, SERVICE).read(requests[["user_id"]])
    with pytest.raises(SettingsError, match=r"params\.yaml"):
        feature_store.OnlineReader(tmp_path, SERVICE)
    (tmp_path / "params.yaml").write_text("seed: 1\n")
    with pytest.raises(MissingInputError, match="materialize"):
        feature_store.OnlineReader(tmp_path, SERVICE).read(requests)
    with pytest.raises(MissingInputError, match="ecomine stage features"):
        feature_store.materialize(tmp_path, tmp_path, AS_OF)
