"""Feast's own Spark offline store, its rows given back in the order in which they were asked for."""

from typing import Any

import numpy as np
import pandas as pd
from feast.infra.offline_stores.contrib.spark_offline_store.spark import SparkOfflineStore, SparkOfflineStoreConfig
from feast.infra.offline_stores.offline_store import RetrievalJob

ROW = "__row__"

BETWEEN = "---EOS---"
"""What Feast puts between the statements of a job."""


class OrderedSparkOfflineStoreConfig(SparkOfflineStoreConfig):
    """Settings of the store: those of Feast's."""

    type: str = "ecomine.feature_store.spark_store.OrderedSparkOfflineStore"


class OrderedSparkOfflineStore(SparkOfflineStore):
    """Feast's Spark offline store, which by itself gives rows back in any order."""

    @staticmethod
    def get_historical_features(  # type: ignore[override]
        config: Any, feature_views: Any, feature_refs: Any, entity_df: Any, *args: Any, **kwargs: Any
    ) -> RetrievalJob:
        """A job that joins features to `entity_df`; the number of a DataFrame's row comes with it."""
        numbered = isinstance(entity_df, pd.DataFrame)
        if numbered:
            entity_df = entity_df.assign(**{ROW: np.arange(len(entity_df))})
        job: Any = SparkOfflineStore.get_historical_features(
            config, feature_views, feature_refs, entity_df, *args, **kwargs
        )
        if numbered:
            *before, last = job.query.split(BETWEEN)
            job.query = BETWEEN.join([*before, f"SELECT * FROM ({last}\n) ORDER BY {ROW}"])
        return job
