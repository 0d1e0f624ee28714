"""The entity rows of a retrieval: what is asked for, whatever form it came in."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.repo_config import RepoConfig

from ecomine.errors import FeatureError
from ecomine.feature_store.offline_store.source import session


@dataclass(frozen=True)
class Codes:
    """A column as numbers: values[numbers] is the column where `known`, which it is not where it is null."""

    values: pa.Array
    numbers: np.ndarray
    known: np.ndarray


class Entities:
    """Entity rows as Arrow columns, each turned into one when it is first needed."""

    def __init__(self, config: RepoConfig, rows: pd.DataFrame | pa.Table | str) -> None:
        if isinstance(rows, str):
            with session(config) as connection:
                rows = connection.sql(rows).to_arrow_table()
        if not isinstance(rows, pd.DataFrame | pa.Table):
            raise FeatureError(
                f"Entity rows are a DataFrame, an Arrow table or SQL, not {type(rows).__name__}; features of a stretch "
                "of time without entity rows are read from their source."
            )
        self.source = rows
        self.rows = len(rows)
        self.columns: list[str] = list(map(str, rows.columns if isinstance(rows, pd.DataFrame) else rows.column_names))
        self._arrow: dict[str, pa.ChunkedArray] = {}
        self._codes: dict[str, Codes] = {}

    def arrow(self, name: str) -> pa.ChunkedArray:
        """A column as Arrow; raises FeatureError where its values have no common type."""
        if name not in self._arrow:
            if isinstance(self.source, pa.Table):
                self._arrow[name] = self.source.column(name)
            else:
                series = self.source.iloc[:, self.columns.index(name)]
                try:
                    array = pa.Array.from_pandas(series)
                except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                    raise FeatureError(
                        f"The values of the entity rows' column {name} have no common type ({error}); "
                        "make them text or numbers throughout."
                    ) from error
                self._arrow[name] = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
        return self._arrow[name]

    def table(self) -> pa.Table:
        """All columns, in order."""
        return pa.table([self.arrow(name) for name in self.columns], names=self.columns)

    def codes(self, name: str) -> Codes:
        """A column's distinct values, and their numbers by row."""
        if name not in self._codes:
            array = self.arrow(name).unify_dictionaries().combine_chunks()
            encoded = array if isinstance(array, pa.DictionaryArray) else array.dictionary_encode()
            numbers = encoded.indices.cast(pa.int32())
            known = pc.is_valid(numbers).to_numpy(zero_copy_only=False)
            self._codes[name] = Codes(encoded.dictionary, numbers.fill_null(-1).to_numpy(), known)
        return self._codes[name]

    def settle(self) -> None:
        """Turn times into numbers now, so that several threads find them there; columns are each turned once."""
        _ = self.moments, self.moments_known, self.first, self.last

    @cached_property
    def event_timestamp(self) -> str:
        """The time column, found as Feast finds it."""
        if isinstance(self.source, pd.DataFrame):
            return str(infer_event_timestamp_from_entity_df(dict(self.source.dtypes)))
        return str(infer_event_timestamp_from_entity_df(dict(self.source.slice(0, 0).to_pandas().dtypes)))

    @cached_property
    def _times(self) -> pa.Array:
        """Times in UTC, in microseconds; text is parsed, and taken as UTC where it names no zone."""
        column = self.arrow(self.event_timestamp)
        if not pa.types.is_timestamp(column.type):
            column = pa.Array.from_pandas(pd.to_datetime(column.to_pandas(), utc=True))
        return column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())

    @cached_property
    def moments(self) -> np.ndarray:
        """Times in microseconds since 1970, 0 where they are not known."""
        times = self._times.combine_chunks() if isinstance(self._times, pa.ChunkedArray) else self._times
        return np.asarray(times.fill_null(0))

    @cached_property
    def moments_known(self) -> np.ndarray:
        return np.asarray(pc.is_valid(self._times))

    @property
    def first(self) -> datetime | None:
        """The earliest time in UTC, without a zone."""
        return pc.min(self._times).cast(pa.timestamp("us")).as_py()

    @property
    def last(self) -> datetime | None:
        """The latest time in UTC, without a zone."""
        return pc.max(self._times).cast(pa.timestamp("us")).as_py()
