"""The same features on Spark as on DuckDB, and Feast's Spark store joining them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine import feature_store
from ecomine.engine import connect, spark
from ecomine.params import EngineParams, FeatureParams
from tests.conftest import change_params
from tests.feature_store.conftest import AS_OF
from tests.feature_store.test_increments import known_at
from tests.feature_store.wide_shop import ALL, computed, wide_shop, write_clean
from tests.requirements import require, require_module

LOCAL = EngineParams(kind="spark", master="local[2]", memory_limit="1GB")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # PySpark's and Feast's own
    pytest.mark.filterwarnings("ignore:The spark offline store is an experimental:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    require("java", "openjdk-17-jre-headless")
    require_module("pyspark", "ecomine[spark]")
    started = spark(LOCAL)
    # Tables this small are sooner read through than code for them is compiled.
    started.conf.set("spark.sql.codegen.wholeStage", "false")
    started.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    started.conf.set("spark.sql.shuffle.partitions", "1")
    started.conf.set("spark.sql.adaptive.enabled", "false")
    yield
    started.stop()


@pytest.fixture(scope="module")
def wide() -> dict[str, pd.DataFrame]:
    return known_at(wide_shop(users=40, items=40, days=100), AS_OF)


def test_spark_gives_the_same_features(session: None, tmp_path: Path, wide: dict[str, pd.DataFrame]) -> None:
    from ecomine.feature_store.spark import compute_on_spark

    here, _ = computed(tmp_path / "duckdb", wide, AS_OF, windows=[30])
    clean, there = write_clean(tmp_path / "spark", wide), tmp_path / "spark/data/features"
    there.mkdir()
    params = FeatureParams(tables=ALL, windows=[30])
    with connect(EngineParams(), tmp_path / "spill") as connection:
        files = {name: clean / f"{name}.parquet" for name in wide}
        rows = compute_on_spark(connection, files, AS_OF, params, LOCAL, there)
    assert list(rows) == ALL
    assert sorted(path.name for path in there.iterdir()) == sorted(f"{name}.parquet" for name in ALL)
    for name in ALL:
        one, other = (pd.read_parquet(folder / f"{name}.parquet") for folder in (here, there))
        pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=0, atol=1e-9, obj=name)


def test_feasts_spark_store_joins_as_ours_does(session: None, tmp_path: Path, featured: Path) -> None:
    workspace = Path(shutil.copytree(featured, tmp_path / "workspace"))
    for path in (workspace / "data/features").iterdir():
        frame = pd.read_parquet(path)
        times = frame.select_dtypes("datetime").astype("datetime64[us]")  # Spark reads no finer ones, nor are there any
        frame.assign(**times).to_parquet(path, index=False)
    purchases = pd.read_parquet(workspace / "data/features/user_item.parquet").iloc[::97]
    rows = purchases[["user_id", "item_id", "event_timestamp"]].reset_index(drop=True)
    rows["event_timestamp"] += pd.to_timedelta(np.arange(len(rows)) % 40, unit="D")
    expected = feature_store.point_in_time(workspace, rows, "recommendation")
    change_params(workspace, engine={"kind": "spark", "master": "local[2]", "memory_limit": "1GB"})
    found = feature_store.point_in_time(workspace, rows, "recommendation")
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=0, atol=1e-9)
