"""The point-in-time join of several feature views as a Feast retrieval job."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from feast.feature_view import FeatureView
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import RepoConfig
from feast.saved_dataset import SavedDatasetStorage

from ecomine.errors import FeatureError
from ecomine.feature_store.offline_store.entities import Entities
from ecomine.feature_store.offline_store.join import Answers, answer
from ecomine.feature_store.offline_store.source import beside, local_parquet, session, write

BATCH = 200_000
"""Rows that are written at once."""

SIDE_BY_SIDE = 2_000_000
"""Entity rows up to which two views are joined at a time; with more, memory counts for more than time."""


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
        self._rows = entity_df
        self._on_demand = on_demand_feature_views
        self._full_names = full_feature_names
        self._known_only = known_only
        self._entities: Entities | None = None

    @property
    def full_feature_names(self) -> bool:
        return self._full_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return self._on_demand

    @property
    def entities(self) -> Entities:
        """The rows that are asked for; SQL is run once, when they are first needed."""
        if self._entities is None:
            self._entities = Entities(self._config, self._rows)
        return self._entities

    @property
    def metadata(self) -> RetrievalMetadata:
        return RetrievalMetadata(
            features=self._refs,
            keys=[column for column in self.entities.columns if column != self.entities.event_timestamp],
            min_event_timestamp=self.entities.first,
            max_event_timestamp=self.entities.last,
        )

    def ages(self) -> dict[str, np.ndarray]:
        """View → seconds from the time from which an entity row's answer holds to the row's own; NaN without one."""
        ages = {}
        for answers in self._answers():
            found = answers.place >= 0
            ages[answers.view] = np.full(self.entities.rows, np.nan)
            ages[answers.view][found] = (self.entities.moments[found] - answers.since[answers.place[found]]) / 1e6
        return ages

    def batches(self, rows: int = BATCH) -> Iterator[pa.Table]:
        """The result with its on-demand features, in tables of at most `rows`; at least one, if an empty one."""
        answers = list(self._answers())
        entities = self.entities.table()
        for start in range(0, max(entities.num_rows, 1), rows):
            part = entities.slice(start, rows)
            columns: dict[str, pa.Array] = {}
            for view in answers:
                columns |= self._whole(view.take(start, start + part.num_rows), columns)
            yield _Part(self, _beside(part, columns)).to_arrow()

    def to_df(self, validation_reference: Any = None, timeout: int | None = None) -> pd.DataFrame:
        """The result as a DataFrame; columns of an entity DataFrame come back as they were given."""
        table = self.to_arrow(validation_reference, timeout)
        given = self.entities.source
        if not isinstance(given, pd.DataFrame):
            return table.to_pandas()
        made = {column: table.column(column) for column in table.column_names[len(self.entities.columns) :]}
        del table
        # reset_index copies, so what comes back shares nothing with what was given.
        return pd.concat([given.reset_index(drop=True), _frame(made)], axis=1, copy=False)

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        columns: dict[str, pa.Array] = {}
        for answers in self._answers():
            columns |= self._whole(answers.take(0, self.entities.rows), columns)
        return _beside(self.entities.table(), columns)

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal(timeout).to_pandas()

    def persist(self, storage: SavedDatasetStorage, allow_overwrite: bool = False, timeout: int | None = None) -> None:
        write(self._config, storage, self.batches(), allow_overwrite)

    def supports_remote_storage_export(self) -> bool:
        return False

    def _answers(self) -> Iterator[Answers]:
        entities = self.entities
        asked = (entities, self._refs, self._full_names, self._known_only)
        with session(self._config) as connection:

            def one(view: FeatureView) -> Answers:
                with beside(connection) as own:
                    return answer(own, self._config, view, *asked)

            if self._few(entities):
                entities.settle()
                with ThreadPoolExecutor(2) as pool:
                    yield from pool.map(one, self._views)
            else:
                yield from map(one, self._views)

    def _few(self, entities: Entities) -> bool:
        """Whether views may be joined side by side: few rows, and sources that DuckDB reads itself."""
        sources = [view.batch_source for view in self._views]
        ours = all(source is not None and local_parquet(self._config, source) for source in sources)
        return ours and len(sources) > 1 and entities.rows <= SIDE_BY_SIDE

    def _whole(self, columns: dict[str, pa.Array], before: dict[str, pa.Array]) -> dict[str, pa.Array]:
        twice = [name for name in columns if name in before or name in self.entities.columns]
        if twice:
            raise FeatureError(
                f"The columns {', '.join(twice)} would be there twice; ask for full_feature_names or rename them."
            )
        return columns


def _frame(columns: dict[str, pa.ChunkedArray]) -> pd.DataFrame:
    """Arrow columns as a DataFrame; each is taken out of `columns` once it is copied, so there are never two tables."""
    names = list(columns)
    if any(column.type != pa.float64() for column in columns.values()):
        return pd.DataFrame({name: columns.pop(name).to_pandas() for name in names}, copy=False)
    # One block, filled in place: columns of their own would be put together by a second copy of all of them.
    rows = len(columns[names[0]]) if names else 0
    block = np.empty((len(names), rows))
    for number, name in enumerate(names):
        block[number] = columns.pop(name).to_numpy()
    return pd.DataFrame(block.T, columns=pd.Index(names, dtype=object), copy=False)


class _Part(RetrievalJob):
    """A part of a result, whose on-demand features Feast computes."""

    def __init__(self, job: AsofRetrievalJob, table: pa.Table) -> None:
        super().__init__()
        self._job, self._table = job, table

    @property
    def full_feature_names(self) -> bool:
        return self._job.full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return self._job.on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata:
        return self._job.metadata

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        return self._table


def _beside(entities: pa.Table, columns: dict[str, Any]) -> pa.Table:
    """Features beside their entity rows; raises FeatureError where there are more or fewer of them."""
    for name, column in columns.items():
        if len(column) != entities.num_rows:
            raise FeatureError(
                f"The point-in-time join got {entities.num_rows:,} rows and gave {len(column):,} of {name}; "
                "none may go missing."
            )
        entities = entities.append_column(name, column)
    return entities
