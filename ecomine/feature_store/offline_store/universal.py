"""Lets Feast's own universal offline-store tests run against this store; their suite finds it by this module's name.

The tests are in Feast's repository, not in its wheel. In a checkout of the installed version, with Feast's `ci` extra:

    cd sdk/python
    FULL_REPO_CONFIGS_MODULE=ecomine.feature_store.offline_store.universal FEAST_IS_LOCAL_TEST=True \\
        python -m pytest --integration tests/universal/offline_store
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from feast.data_format import ParquetFormat
from feast.infra.offline_stores.file_source import FileLoggingDestination, FileSource, SavedDatasetFileStorage

from ecomine.feature_store.offline_store import AsofOfflineStoreConfig


class AsofDataSourceCreator:
    """What the suite asks of a store: sources made of DataFrames, and places for what it writes.

    Not a subclass of the suite's own DataSourceCreator, so that this module can be imported without the suite.
    """

    def __init__(self, project_name: str, *args: Any, **kwargs: Any) -> None:
        self.project_name = project_name
        self._folder = Path(tempfile.mkdtemp(prefix=project_name))

    def setup(self, registry: Any) -> None:
        """Nothing has to run beside the tests."""

    def create_data_source(
        self,
        df: pd.DataFrame,
        destination_name: str,
        created_timestamp_column: str | None = "created_ts",
        field_mapping: dict[str, str] | None = None,
        timestamp_field: str | None = "ts",
    ) -> FileSource:
        """A Parquet file of the rows."""
        path = Path(tempfile.mkdtemp(dir=self._folder)) / f"{self.get_prefixed_table_name(destination_name)}.parquet"
        df.to_parquet(path)
        return FileSource(
            file_format=ParquetFormat(),
            path=str(path),
            timestamp_field=timestamp_field,
            created_timestamp_column=created_timestamp_column,
            field_mapping=field_mapping or {"ts_1": "ts"},
        )

    def create_offline_store_config(self) -> AsofOfflineStoreConfig:
        return AsofOfflineStoreConfig()

    def create_saved_dataset_destination(self) -> SavedDatasetFileStorage:
        return SavedDatasetFileStorage(
            path=tempfile.mkdtemp(dir=self._folder), file_format=ParquetFormat(), s3_endpoint_override=None
        )

    def create_logged_features_destination(self) -> FileLoggingDestination:
        return FileLoggingDestination(path=tempfile.mkdtemp(dir=self._folder))

    def get_prefixed_table_name(self, suffix: str) -> str:
        return f"{self.project_name}.{suffix}"

    def teardown(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    @staticmethod
    def xdist_groups() -> list[str]:
        return []

    @staticmethod
    def test_markers() -> list[Any]:
        return []


AVAILABLE_OFFLINE_STORES = [("local", AsofDataSourceCreator)]
AVAILABLE_ONLINE_STORES = {"sqlite": ({"type": "sqlite"}, None)}
