"""Feast's DuckDB offline store with its point-in-time join made an `ASOF LEFT JOIN`.

Feast joins every feature row with every entity row of its key, then keeps the newest by a window; the work grows with
the length of the history. DuckDB's ASOF join sorts both sides once and walks them together. All of Feast's meaning is
kept: the newest row not after the entity's time, the latest created one among equals, none older than the view's TTL,
join-key maps, field mappings, full names, on-demand views; and every entity row comes back once, in its place.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.feature_view import FeatureView
from feast.infra.offline_stores.duckdb import (
    DuckDBOfflineStore,
    DuckDBOfflineStoreConfig,
    _read_data_source,
    _write_data_source,
)
from feast.infra.offline_stores.file_source import FileSource
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import RepoConfig
from feast.saved_dataset import SavedDatasetStorage

from ecomine.errors import FeatureError

ROW, MOMENT = "__row__", "__moment__"


class AsofOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """Settings of the store in feature_store.yaml; without a limit DuckDB takes its own."""

    type: str = "ecomine.feature_store.offline_store.AsofOfflineStore"
    memory_limit: str | None = None
    threads: int | None = None


class AsofOfflineStore(DuckDBOfflineStore):
    """Feast's DuckDB offline store with an ASOF join; relative sources are found from the feature repo."""

    @staticmethod
    def get_historical_features(  # type: ignore[override]
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | pa.Table | str,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
    ) -> RetrievalJob:
        """A job that joins features to `entity_df`: a DataFrame, an Arrow table or SQL that DuckDB can run."""
        return AsofRetrievalJob(
            config,
            feature_views,
            feature_refs,
            entity_df,
            OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry),
            full_feature_names,
            filter_by_created_timestamp,
        )

    @staticmethod
    def pull_latest_from_table_or_query(config: RepoConfig, data_source: DataSource, *args: Any, **kwargs: Any) -> Any:
        return DuckDBOfflineStore.pull_latest_from_table_or_query(
            config, _located(config, data_source), *args, **kwargs
        )

    @staticmethod
    def pull_all_from_table_or_query(config: RepoConfig, data_source: DataSource, *args: Any, **kwargs: Any) -> Any:
        return DuckDBOfflineStore.pull_all_from_table_or_query(config, _located(config, data_source), *args, **kwargs)


class AsofRetrievalJob(RetrievalJob):
    """A point-in-time join that runs when its result is asked for."""

    def __init__(
        self,
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | pa.Table | str,
        on_demand_feature_views: list[OnDemandFeatureView],
        full_feature_names: bool,
        known_only: bool,
    ) -> None:
        super().__init__()
        self._config = config
        self._views = feature_views
        self._refs = feature_refs
        self._entities = entity_df
        self._on_demand = on_demand_feature_views
        self._full_names = full_feature_names
        self._known_only = known_only
        self._metadata: RetrievalMetadata | None = None

    @property
    def full_feature_names(self) -> bool:
        return self._full_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return self._on_demand

    @property
    def metadata(self) -> RetrievalMetadata | None:
        return self._metadata

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        with _connect(self._config) as connection:
            entities = _entity_table(connection, self._entities)
            event_timestamp = _event_timestamp(entities)
            moments = _moments(entities.column(event_timestamp))
            self._metadata = RetrievalMetadata(
                features=self._refs,
                keys=[name for name in entities.column_names if name != event_timestamp],
                min_event_timestamp=pc.min(moments).as_py(),
                max_event_timestamp=pc.max(moments).as_py(),
            )
            rows = entities.num_rows
            result = entities
            for view in self._views:
                features = _join(connection, self._config, view, entities, moments, self._refs, self._known_only)
                prefix = f"{view.projection.name_alias or view.name}__" if self._full_names else ""
                for name in features.column_names:
                    result = result.append_column(f"{prefix}{name}", features.column(name))
        if result.num_rows != rows:
            raise FeatureError(
                f"The point-in-time join got {rows:,} rows and gave {result.num_rows:,}; none may go missing."
            )
        return result

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal(timeout).to_pandas()

    def persist(self, storage: SavedDatasetStorage, allow_overwrite: bool = False, timeout: int | None = None) -> None:
        import ibis

        table = ibis.memtable(self.to_arrow(timeout=timeout))
        repo = str(self._config.repo_path)
        _write_data_source(table, storage.to_data_source(), repo, "overwrite", allow_overwrite)

    def supports_remote_storage_export(self) -> bool:
        return False


def _connect(config: RepoConfig) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    if config.offline_store.memory_limit is not None:
        connection.execute(f"SET memory_limit = {_text(config.offline_store.memory_limit)}")
    if config.offline_store.threads is not None:
        connection.execute(f"SET threads = {int(config.offline_store.threads)}")
    return connection


def _entity_table(connection: duckdb.DuckDBPyConnection, entities: pd.DataFrame | pa.Table | str) -> pa.Table:
    if isinstance(entities, str):
        return connection.sql(entities).to_arrow_table()
    if isinstance(entities, pa.Table):
        return entities
    return pa.Table.from_pandas(entities, preserve_index=False)


def _event_timestamp(entities: pa.Table) -> str:
    """The entity table's time column, found as Feast finds it."""
    return str(infer_event_timestamp_from_entity_df(dict(entities.slice(0, 0).to_pandas().dtypes)))


def _moments(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times as UTC without a zone, in microseconds; text is parsed, and taken as UTC where it names no zone."""
    if not pa.types.is_timestamp(column.type):
        parsed = pd.to_datetime(column.to_pandas(), utc=True)
        column = pa.chunked_array([pa.Array.from_pandas(parsed)])
    if column.type.tz is not None:
        column = column.cast(pa.timestamp(column.type.unit, "UTC")).cast(pa.timestamp(column.type.unit))
    return column.cast(pa.timestamp("us"), safe=False)


def _located(config: RepoConfig, source: DataSource) -> DataSource:
    """A file source with its path made absolute: Feast itself would look from the current folder."""
    if not isinstance(source, FileSource):
        return source
    proto = source.to_proto()
    proto.file_options.uri = FileSource.get_uri_for_file_path(config.repo_path, source.path)
    return DataSource.from_proto(proto)


def _relation(connection: duckdb.DuckDBPyConnection, config: RepoConfig, source: DataSource) -> str:
    """SQL that reads a data source; Parquet files are read lazily by DuckDB, other sources as Feast reads them."""
    if isinstance(source, FileSource) and isinstance(source.file_format, ParquetFormat | None):
        path = FileSource.get_uri_for_file_path(config.repo_path, source.path)
        if "://" not in path:
            if not Path(path).exists():
                raise FeatureError(f"The feature table {path} is not there; run `ecomine stage features` first.")
            return f"read_parquet({_text(path + '/**/*.parquet' if Path(path).is_dir() else path)})"
    name = f"source_{len(connection.execute('SHOW TABLES').fetchall())}"
    connection.register(name, _read_data_source(_located(config, source), str(config.repo_path)).to_pyarrow())
    return name


def _join(
    connection: duckdb.DuckDBPyConnection,
    config: RepoConfig,
    view: FeatureView,
    entities: pa.Table,
    moments: pa.ChunkedArray,
    feature_refs: Iterable[str],
    known_only: bool,
) -> pa.Table:
    """The view's requested features for each row of `entities`, in their order, by their bare names."""
    source = view.batch_source
    if source is None:
        raise FeatureError(f"The feature view {view.name} has no batch source to read from.")
    prefix = f"{view.projection.name_to_use()}:"
    names = [ref[len(prefix) :] for ref in feature_refs if ref.startswith(prefix)]
    stored = {new: old for old, new in source.field_mapping.items()}
    # A view without entities carries a dummy key that neither side holds.
    keys = {
        column.name: view.projection.join_key_map.get(column.name, column.name)
        for column in view.entity_columns
        if column.name != "__dummy_id"
    }
    missing = [name for name in keys.values() if name not in entities.column_names]
    if missing:
        raise FeatureError(
            f"The feature view {view.name} joins on {', '.join(keys.values())}; the rows lack {', '.join(missing)} "
            f"and have {', '.join(entities.column_names)}."
        )
    left = pa.table(
        {ROW: np.arange(entities.num_rows), MOMENT: moments}
        | {f"k{number}": entities.column(name) for number, name in enumerate(keys.values())}
    )
    connection.register("entities", left)

    def column(name: str) -> str:
        return _name(stored.get(name, name))

    relation = _relation(connection, config, source)
    # A key that cannot be of the stored type equals no stored key.
    types = connection.sql(f"SELECT {', '.join(map(column, keys)) or '1'} FROM {relation}").types
    casts = [
        f"TRY_CAST(k{number} AS {kind}) AS k{number}" for number, kind in zip(range(len(keys)), types, strict=False)
    ]
    event = f"CAST({column(source.timestamp_field)} AS TIMESTAMP)"
    created = source.created_timestamp_column
    features = ", ".join(
        [f"{column(key)} AS k{number}" for number, key in enumerate(keys)]
        + [f"{column(name)} AS f{number}" for number, name in enumerate(names)]
        + [f"{event} AS event", f"CAST({column(created)} AS TIMESTAMP) AS created" if created else "NULL AS created"]
    )
    # Rows after the last moment, or too old for the first, can match nothing: they are not even read.
    first, last = pc.min(moments).as_py() or datetime.min, pc.max(moments).as_py() or datetime.min
    right = f"(SELECT {features} FROM {relation} WHERE {event} <= {_time(last)}"
    right += f" AND {event} >= {_time(first)} - {_span(view.ttl)})" if view.ttl else ")"
    condition = f"e.{MOMENT} >= f.event"
    if created and known_only:
        right, condition = _known(right, len(keys)), f"e.{MOMENT} >= f.known"
    elif created:
        # The second member settles ties: among equal times the latest created row is the last one not after infinity.
        condition = f"row(e.{MOMENT}, TIMESTAMP 'infinity') >= row(f.event, coalesce(f.created, TIMESTAMP '-infinity'))"
    holds = f"CASE WHEN f.event >= e.{MOMENT} - {_span(view.ttl)} THEN " if view.ttl else "CASE WHEN true THEN "
    values = [f"{holds} f.f{number} END AS f{number}" for number in range(len(names))]
    known = [f"k{number}" for number in range(len(keys))]
    # Many rows ask for the same entity at the same moment (all candidates of a user); each question is answered once.
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE questions AS SELECT *, row_number() OVER () - 1 AS question FROM "
        f"(SELECT DISTINCT {', '.join([MOMENT, *casts])} FROM entities "
        f"WHERE {' AND '.join(f'{name} IS NOT NULL' for name in [MOMENT, *known])})"
    )
    answers = connection.sql(
        f"SELECT {', '.join(['question', *values])} FROM questions e "
        f"ASOF LEFT JOIN {right} f ON {' AND '.join([f'e.{name} = f.{name}' for name in known] + [condition])}"
    ).to_arrow_table()
    asked = connection.sql(
        f"SELECT e.{ROW}, q.question "
        f"FROM (SELECT {', '.join([ROW, MOMENT, *casts])} FROM entities) e LEFT JOIN questions q "
        f"ON {' AND '.join(f'e.{name} = q.{name}' for name in [MOMENT, *known])}"
    ).to_arrow_table()
    connection.unregister("entities")
    connection.execute("DROP TABLE questions")
    if asked.num_rows != entities.num_rows:
        raise FeatureError(
            f"The join of {view.name} got {entities.num_rows:,} rows and gave {asked.num_rows:,}; none may go missing."
        )
    # Joins give rows in any order; here each answer is found and each row goes back to its place.
    place = np.empty(answers.num_rows, dtype=np.int64)
    place[answers.column("question").to_numpy()] = np.arange(answers.num_rows)
    question = asked.column("question").fill_null(-1).to_numpy()
    answered = np.where(question < 0, -1, place[question] if len(place) else -1)
    chosen = np.empty(len(answered), dtype=np.int64)
    chosen[asked.column(ROW).to_numpy()] = answered
    indices = pa.array(chosen, mask=chosen < 0)
    return pa.table(
        {name: answers.column(f"f{number}").combine_chunks().take(indices) for number, name in enumerate(names)}
    )


def _time(moment: datetime) -> str:
    return f"TIMESTAMP '{moment.isoformat(sep=' ')}'"


def _span(span: timedelta) -> str:
    return f"to_microseconds({span // timedelta(microseconds=1)})"


def _known(right: str, keys: int) -> str:
    """Feature rows by the time at which they were both true and created, without those a newer row already beat."""
    partition = f"PARTITION BY {', '.join(f'k{number}' for number in range(keys))} " if keys else ""
    return (
        f"(SELECT *, greatest(event, created) AS known FROM {right} WHERE created IS NOT NULL "
        f"QUALIFY row(event, created) >= max(row(event, created)) OVER ({partition}ORDER BY known))"
    )


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
