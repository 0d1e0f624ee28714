"""Reading a data source as it is: every row of a stretch of time, or the newest of every entity."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
from feast.data_source import DataSource
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.repo_config import RepoConfig
from feast.saved_dataset import SavedDatasetStorage

from ecomine.feature_store.offline_store.source import name, relation, session, time, write

BATCH = 100_000
"""Rows that are written at once."""


def all_rows(
    keys: Sequence[str], features: Sequence[str], times: Sequence[str], start: datetime | None, end: datetime | None
) -> Callable[[str], str]:
    """SQL over a relation: its rows whose times[0] lies from start to end, both included, in the relation's order."""
    event = f"CAST({name(times[0])} AS TIMESTAMP)"
    limits = [f"{event} >= {time(start)}"] if start else []
    limits += [f"{event} <= {time(end)}"] if end else []
    columns = ", ".join(name(column) for column in dict.fromkeys([*keys, *features, *times]))
    return lambda source: f"SELECT {columns} FROM {source} WHERE {' AND '.join(limits) or 'true'}"


def latest_rows(
    keys: Sequence[str], features: Sequence[str], times: Sequence[str], start: datetime, end: datetime
) -> Callable[[str], str]:
    """SQL over a relation: of every entity the newest row from start to end, the latest created among equals."""
    rows = all_rows(keys, features, times, start, end)
    columns = ", ".join(name(column) for column in dict.fromkeys([*keys, *features, *times]))
    partition = f"PARTITION BY {', '.join(map(name, keys))} " if keys else ""
    # The last row of the file settles what times leave open.
    order = ", ".join([*(f"{name(column)} DESC NULLS LAST" for column in times), "place DESC"])
    return lambda source: (
        f"SELECT {columns} FROM (SELECT *, row_number() OVER () AS place FROM ({rows(source)})) "
        f"QUALIFY row_number() OVER ({partition}ORDER BY {order}) = 1 ORDER BY {', '.join(map(name, keys)) or 'place'}"
    )


class PullJob(RetrievalJob):
    """Rows of one data source, read by DuckDB when they are asked for."""

    def __init__(self, config: RepoConfig, source: DataSource, query: Callable[[str], str]) -> None:
        super().__init__()
        self._config = config
        self._source = source
        self._query = query

    @property
    def full_feature_names(self) -> bool:
        return False

    @property
    def on_demand_feature_views(self) -> list[Any]:
        return []

    @property
    def metadata(self) -> RetrievalMetadata | None:
        return None

    def batches(self, rows: int = BATCH) -> Iterator[pa.Table]:
        """The rows in tables of at most `rows`; at least one table, if an empty one."""
        with session(self._config) as connection:
            reader = self._run(connection).to_arrow_reader(rows)
            empty = True
            for batch in reader:
                empty = False
                yield pa.Table.from_batches([batch])
            if empty:
                yield reader.schema.empty_table()

    def _run(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
        return connection.sql(self._query(relation(connection, self._config, self._source)))

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        with session(self._config) as connection:
            return self._run(connection).to_arrow_table()

    def persist(self, storage: SavedDatasetStorage, allow_overwrite: bool = False, timeout: int | None = None) -> None:
        write(self._config, storage, self.batches(), allow_overwrite)
