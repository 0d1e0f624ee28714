"""Where the offline store reads from and writes to: DuckDB sessions, data sources as SQL, saved datasets."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.duckdb import _read_data_source, _write_data_source
from feast.infra.offline_stores.file_source import FileSource
from feast.repo_config import RepoConfig
from feast.saved_dataset import SavedDatasetStorage

from ecomine.errors import FeatureError


@contextmanager
def session(config: RepoConfig) -> Iterator[duckdb.DuckDBPyConnection]:
    """A fresh DuckDB at UTC, within the configured memory, that spills into a folder of its own."""
    settings = config.offline_store
    spill = settings.spill and (config.repo_path or Path.cwd()) / settings.spill
    if spill:
        Path(spill).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="spill-", dir=spill) as folder, duckdb.connect(":memory:") as connection:
        connection.execute(f"SET temp_directory = {text(folder)}")
        _settle(connection)
        if settings.memory_limit is not None:
            connection.execute(f"SET memory_limit = {text(settings.memory_limit)}")
        if settings.threads is not None:
            connection.execute(f"SET threads = {int(settings.threads)}")
        yield connection


@contextmanager
def beside(connection: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A further connection to the DuckDB of a session, for a thread: the same memory, tables of its own."""
    with connection.cursor() as other:
        _settle(other)
        yield other


def _settle(connection: duckdb.DuckDBPyConnection) -> None:
    """What holds for one connection alone."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    # Sizes of registered tables are not known to the planner: it would walk whole tables for every row.
    connection.execute("SET asof_loop_join_threshold = 0")


def relation(connection: duckdb.DuckDBPyConnection, config: RepoConfig, source: DataSource) -> str:
    """SQL that reads a data source; Parquet files are read lazily by DuckDB, other sources as Feast reads them."""
    path = local_parquet(config, source)
    if path is not None:
        if not path.exists():
            raise FeatureError(f"The feature table {path} is not there; run `ecomine stage features` first.")
        return f"read_parquet({text(f'{path}/**/*.parquet' if path.is_dir() else str(path))})"
    table = f"source_{len(connection.execute('SHOW TABLES').fetchall())}"
    connection.register(table, _read_data_source(_located(config, source), str(config.repo_path)).to_pyarrow())
    return table


def placed(rows: str) -> tuple[str, str]:
    """SQL that reads a `relation` with the place of each row in it, and the name of that column."""
    if rows.endswith(".parquet')") and not rows.endswith("*.parquet')"):
        return rows[:-1] + ", file_row_number = true)", "file_row_number"
    return f"(SELECT *, row_number() OVER () AS place_in_source FROM {rows})", "place_in_source"


def write(config: RepoConfig, storage: SavedDatasetStorage, batches: Iterator[pa.Table], allow_overwrite: bool) -> None:
    """Write tables one after the other into a saved dataset; local Parquet is streamed and put in place as a whole.

    Raises SavedDatasetLocationAlreadyExists where something is there and may not be overwritten.
    """
    source = storage.to_data_source()
    path = local_parquet(config, source)
    if path is None:
        table = ibis.memtable(pa.concat_tables(batches))
        _write_data_source(table, _located(config, source), str(config.repo_path), "overwrite", allow_overwrite)
        return
    target = path
    if target.exists() and not allow_overwrite:
        raise SavedDatasetLocationAlreadyExists(location=str(path))
    if target.is_dir() or target.suffix != ".parquet":
        target.mkdir(parents=True, exist_ok=True)
        target = target / "part-0.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name_ = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    try:
        first = next(batches)
        with pq.ParquetWriter(name_, first.schema) as writer:
            writer.write_table(first)
            for batch in batches:
                writer.write_table(batch.cast(first.schema))
        Path(name_).replace(target)
    except BaseException:
        Path(name_).unlink(missing_ok=True)
        raise


def local_parquet(config: RepoConfig, source: DataSource) -> Path | None:
    """Where a source of Parquet files lies on this machine; None for any other."""
    if isinstance(source, FileSource) and isinstance(source.file_format, ParquetFormat | None):
        path = FileSource.get_uri_for_file_path(config.repo_path, source.path)
        if "://" not in path:
            return Path(path)
    return None


def _located(config: RepoConfig, source: DataSource) -> DataSource:
    """A file source with its path made absolute: Feast itself would look from the current folder."""
    if not isinstance(source, FileSource):
        return source
    proto = source.to_proto()
    proto.file_options.uri = FileSource.get_uri_for_file_path(config.repo_path, source.path)
    return DataSource.from_proto(proto)


def time(moment: datetime) -> str:
    """A moment as SQL; without a zone it is UTC."""
    moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return f"TIMESTAMP '{moment.isoformat(sep=' ')}'"


def span(length: timedelta) -> str:
    """A length of time as SQL."""
    return f"to_microseconds({length // timedelta(microseconds=1)})"


def name(column: str) -> str:
    """A quoted SQL name."""
    return '"' + column.replace('"', '""') + '"'


def text(value: str) -> str:
    """A quoted SQL string."""
    return "'" + value.replace("'", "''") + "'"
