"""Feast's DuckDB offline store with its point-in-time join made an ASOF join.

Feast joins every feature row with every entity row of its key, then keeps the newest by a window; the work grows with
the length of the history. DuckDB's ASOF join sorts both sides once and walks them together. All of Feast's meaning is
kept: the newest row not after the entity's time, the latest created one among equals, none older than the view's TTL,
join-key maps, field mappings, full names, on-demand views; and every entity row comes back once, in its place.
"""

from datetime import datetime

import pandas as pd
import pyarrow as pa
from feast.data_source import DataSource
from feast.feature_view import FeatureView
from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, DuckDBOfflineStoreConfig
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import RepoConfig

from ecomine.feature_store.offline_store.pull import PullJob, all_rows, latest_rows
from ecomine.feature_store.offline_store.retrieval import AsofRetrievalJob


class AsofOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """Settings of the store in feature_store.yaml; what is not set, DuckDB chooses itself.

    spill: folder for what does not fit into memory_limit; by default one of the system's temporary folders.
    """

    type: str = "ecomine.feature_store.offline_store.AsofOfflineStore"
    memory_limit: str | None = None
    threads: int | None = None
    spill: str | None = None


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
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """A job for the newest row of every entity from start_date to end_date, both included."""
        times = [timestamp_field, *([created_timestamp_column] if created_timestamp_column else [])]
        query = latest_rows(join_key_columns, feature_name_columns, times, start_date, end_date)
        return PullJob(config, data_source, query)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """A job for every row from start_date to end_date, both included."""
        times = [timestamp_field, *([created_timestamp_column] if created_timestamp_column else [])]
        query = all_rows(join_key_columns, feature_name_columns, times, start_date, end_date)
        return PullJob(config, data_source, query)


__all__ = ["AsofOfflineStore", "AsofOfflineStoreConfig", "AsofRetrievalJob", "PullJob"]
