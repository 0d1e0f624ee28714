"""Where table expressions run: DuckDB in the process, within a memory limit, spilling to disk past it."""

from pathlib import Path

import duckdb

from ecomine.params import EngineParams


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
