"""The same features computed on a Spark cluster, and joined to rows there by Feast's own Spark offline store."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import ibis

from ecomine import layout
from ecomine.engine import spark, spark_settings
from ecomine.feature_store.catalogue import SERVICES, chosen
from ecomine.feature_store.computation import expression, scope_of, split
from ecomine.feature_store.declaration import CREATED_TIMESTAMP, EVENT_TIMESTAMP, FeatureTable, Scope
from ecomine.params import EngineParams, FeatureParams
from ecomine.store import write_relation

if TYPE_CHECKING:
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
    from feast.repo_config import RepoConfig


def compute_on_spark(
    connection: duckdb.DuckDBPyConnection,
    tables: Mapping[str, Path],
    as_of: datetime,
    params: FeatureParams,
    engine: EngineParams,
    folder: Path,
    domains: Sequence[str] = tuple(SERVICES),
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, int]:
    """Write the feature tables of `domains` into `folder`, as `compute` does, from Parquet files that Spark reads.

    Spark writes beside `folder`, which its workers must see; DuckDB on `connection` makes one sorted file of each
    result. Returns the rows by name.
    """
    session = spark(engine)
    # Feast's store, in the same session, wants both otherwise.
    session.conf.set("spark.sql.parser.quotedRegexColumnNames", "false")
    session.conf.set("spark.sql.timestampType", "TIMESTAMP_NTZ")
    made, lacking = split(chosen(params, domains), list(tables))
    for name, absent in lacking.items():
        say(f"{name}: not made, no {absent} in this source")
    say(f"features are computed from the whole history on Spark at {engine.master}")
    backend = ibis.pyspark.connect(session)
    sources: dict[str, ibis.Table] = {}
    for name in sorted({name for table in made for name in (*table.sources, *table.improves)} & set(tables)):
        session.read.parquet(tables[name].resolve().as_posix()).createOrReplaceTempView(f"features_{name}")
        sources[name] = backend.table(f"features_{name}")
    scope, rows = scope_of(sources, as_of, params), {}
    if scope.lines is not None:
        session.sql(ibis.to_sql(scope.lines, dialect="pyspark")).createOrReplaceTempView("features_lines")
        session.catalog.cacheTable("features_lines")
        scope = Scope(as_of, params, sources, backend.table("features_lines"))
    for table in made:
        parts = folder / f".{table.name}.parts"
        frame = session.sql(ibis.to_sql(expression(table, scope), dialect="pyspark"))
        frame.write.mode("overwrite").parquet(parts.resolve().as_posix())
        order = ", ".join(f'"{name}"' for name in (*table.keys, EVENT_TIMESTAMP))
        relation = connection.read_parquet(f"{parts.as_posix()}/*.parquet")
        rows[table.name] = write_relation(folder / f"{table.name}.parquet", relation, order)
        shutil.rmtree(parts)
    session.catalog.clearCache()
    return rows


def source(workspace: Path, table: FeatureTable) -> "SparkSource":
    """The Parquet file of a feature table, as Spark reads it."""
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource

    return SparkSource(
        name=table.name,
        path=(workspace / layout.FEATURES / f"{table.name}.parquet").resolve().as_posix(),
        file_format="parquet",
        timestamp_field=EVENT_TIMESTAMP,
        created_timestamp_column=CREATED_TIMESTAMP,
        description=table.description,
    )


def feast_config(repo: Path, file: Path, engine: EngineParams) -> "RepoConfig":
    """Feast's settings in `file`, with its Spark offline store, on the session of `engine`, in the place of ours."""
    import yaml
    from feast.repo_config import RepoConfig

    spark(engine).conf.set("spark.sql.timestampType", "TIMESTAMP_LTZ")
    settings = yaml.safe_load(file.read_text())
    store = {"type": "ecomine.feature_store.spark_store.OrderedSparkOfflineStore", "spark_conf": spark_settings(engine)}
    config = RepoConfig(**{**settings, "offline_store": store})
    config.repo_path = repo
    return config
