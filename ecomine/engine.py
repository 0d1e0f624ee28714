"""Where table expressions run: DuckDB in the process, within a memory limit, spilling to disk past it; or Spark."""

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ecomine.errors import SettingsError
from ecomine.params import EngineParams

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DUCKDB, SPARK = "duckdb", "spark"
KINDS = (DUCKDB, SPARK)


def check_kind(params: EngineParams) -> str:
    """The kind of engine; raises SettingsError where there is none of that name."""
    if params.kind not in KINDS:
        raise SettingsError(f"`engine.kind` is {params.kind!r}; expected one of {', '.join(KINDS)}.")
    return params.kind


def connect(params: EngineParams, spill: Path) -> duckdb.DuckDBPyConnection:
    """A fresh in-memory DuckDB with the session's time zone at UTC; it spills into the folder `spill`."""
    connection = duckdb.connect(":memory:")
    connection.execute(f"SET memory_limit = '{params.memory_limit}'")
    connection.execute(f"SET threads = {params.threads}")
    connection.execute(f"SET temp_directory = '{spill.as_posix()}'")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET autoinstall_known_extensions = false")
    return connection


def spark_settings(params: EngineParams) -> dict[str, str]:
    """What a Spark session needs so that features mean the same as on DuckDB."""
    return {
        "spark.app.name": "ecomine",
        "spark.master": params.master,
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.driver.memory": f"{mebibytes(params.memory_limit)}m",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": str(max(params.threads, 2) * 2),
    }


def spark(params: EngineParams) -> "SparkSession":
    """The Spark session of this process, started where there is none; raises SettingsError without PySpark or Java."""
    try:
        from pyspark import SparkConf
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise SettingsError(
            "`engine.kind` is spark, but PySpark is not installed: pip install 'ecomine[spark]', and Java 17."
        ) from error
    builder = SparkSession.builder.config(conf=SparkConf().setAll(list(spark_settings(params).items())))
    try:
        session = builder.getOrCreate()
    except (PySparkException, OSError, RuntimeError) as error:
        raise SettingsError(
            f"Spark did not start at {params.master}: {error}. It needs Java 17 (`java -version`) and, for a cluster, "
            "the address in `engine.master`."
        ) from error
    session.sparkContext.setLogLevel("ERROR")
    return session


def mebibytes(memory: str) -> int:
    """DuckDB's way to write an amount of memory, such as 3GB, in whole MiB."""
    found = (
        duckdb.connect(":memory:")
        .execute(f"SET memory_limit = '{memory}'")
        .execute("SELECT current_setting('memory_limit')")
        .fetchone()
    )
    number, unit = str(found[0] if found else "").split()
    return max(512, int(float(number) * {"KiB": 2.0**-10, "MiB": 1, "GiB": 2**10, "TiB": 2**20}.get(unit, 1)))
