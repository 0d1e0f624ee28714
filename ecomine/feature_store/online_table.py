"""What an online store holds: a table a feature view, a row an entity, its features and the time they hold from.

SQLite, Redis and PostgreSQL keep the same tables, each in its own form; every one of them is an `OnlineBackend`. A
load makes a new version of all tables beside the one that is read, and takes its place in one step at the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from ecomine.errors import MissingInputError
from ecomine.feature_store.declaration import FeatureTable
from ecomine.params import FeatureParams
from ecomine.store import write_json

EVENT = "event_us"
"""Column of a row's time, microseconds since 1970."""

MISSING = int(np.iinfo(np.int64).min)
"""In place of a row's time where there is no row."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Entity = Sequence[str | None]
"""The keys of an entity as text, in the table's order; one that holds a null is nobody."""


@dataclass(frozen=True)
class OnlineTable:
    """A table of an online store; `defaults` stand in for features that are null or of no row."""

    name: str
    keys: tuple[str, ...]
    features: tuple[str, ...]
    ttl: timedelta
    defaults: tuple[float | None, ...]

    @classmethod
    def of(cls, table: FeatureTable, params: FeatureParams) -> "OnlineTable":
        """The table that holds a declared feature table."""
        columns = table.columns(params)
        return cls(
            table.name,
            tuple(table.keys),
            tuple(column.name for column in columns),
            timedelta(days=table.ttl(params)),
            tuple(column.default for column in columns),
        )

    def __hash__(self) -> int:
        return hash((self.name, self.features))

    @property
    def columns(self) -> tuple[str, ...]:
        """Keys, features, time: a row in the order in which it is written."""
        return (*self.keys, *self.features, EVENT)


class Found(NamedTuple):
    """What one read found, all of one version of the store.

    as_of: the moment up to which that version knows the shop. For each table asked: values (entities + 1, features)
    with NaN for null, moments (entities + 1) in microseconds since 1970, MISSING where there is no row. The last row
    is nobody's, so that the index -1 finds nothing.
    """

    as_of: datetime
    values: list[np.ndarray]
    moments: list[np.ndarray]


Asked = Sequence[tuple[OnlineTable, Sequence[Entity]]]


class OnlineLoad(Protocol):
    """A new version in the making. A batch is a record batch of a table's `columns`, keys distinct within it."""

    def done(self, table: str, chunk: str) -> int:
        """Rows of a chunk that an earlier, killed load of the same version has written."""

    def write(self, table: OnlineTable, chunk: str, batch: pa.RecordBatch, done: int) -> None:
        """Put rows in the place of earlier ones of the same keys; `done` rows of the chunk are written by then."""

    def publish(self, folder: Path) -> dict[str, int]:
        """Have everybody read this version from now on; returns the entities by table.

        folder: where the pipeline keeps what the load made: the store itself, or a receipt of it.
        """


class OnlineBackend(Protocol):
    """One kind of online store; safe to use from several threads."""

    @property
    def as_of(self) -> datetime:
        """The moment up to which the published version knows the shop; MissingInputError where there is none."""

    def read(self, asked: Asked) -> Found:
        """Rows of entities from the published version; MissingInputError where there is none."""

    @property
    def state(self) -> str | None:
        """What is another text as soon as a read may find other rows; None where that cannot be told cheaply."""

    def load(self, digest: str, as_of: datetime, tables: Sequence[OnlineTable]) -> OnlineLoad:
        """Begin a version, or go on with one of the same digest that was killed."""

    def put(self, table: OnlineTable, batch: pa.RecordBatch) -> None:
        """Write rows into the published version, in place of earlier ones of the same keys."""

    def shape(self, tables: Sequence[OnlineTable], dropped: Sequence[str]) -> None:
        """Have the published version hold these tables, and no longer those; make an empty one where there is none."""


def write_receipt(folder: Path, kind: str, prefix: str, as_of: datetime, digest: str, rows: dict[str, int]) -> None:
    """What the pipeline keeps of a load into a server: the same for the same data."""
    receipt = {"kind": kind, "prefix": prefix, "as_of": as_of, "digest": digest, "rows": rows}
    write_json(folder / "receipt.json", receipt)


def quoted(text: str) -> str:
    """A quoted SQL name."""
    return '"' + text.replace('"', '""') + '"'


def microseconds(moment: datetime) -> int:
    """Since 1970; a moment without a time zone is UTC."""
    return ((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1)


def scattered(rows: Sequence[Sequence[Any]], count: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(values, moments) as in Found, from rows of: place among `count` entities, time, `width` features."""
    values = np.full((count + 1, width), np.nan)
    moments = np.full(count + 1, MISSING, dtype=np.int64)
    if rows:
        # A time in microseconds is a whole number below 2⁵³, so a double holds it exactly.
        matrix = np.array(rows, dtype=np.float64)
        places = matrix[:, 0].astype(np.intp)
        moments[places] = matrix[:, 1].astype(np.int64)
        values[places] = matrix[:, 2:]
    return values, moments


def matrix(table: OnlineTable, batch: pa.RecordBatch) -> np.ndarray:
    """The features of a batch as (rows, features), NaN for null."""
    values = np.empty((batch.num_rows, len(table.features)))
    for number, feature in enumerate(table.features):
        values[:, number] = batch.column(feature).to_numpy(zero_copy_only=False)
    return values


def batch_of(table: OnlineTable, rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    """A batch from a few rows of Python values, in the order of the table's columns."""
    types = [pa.string()] * len(table.keys) + [pa.float64()] * len(table.features) + [pa.int64()]
    columns = list(zip(*rows, strict=True)) or [()] * len(types)
    arrays = [pa.array(list(column), type=kind) for column, kind in zip(columns, types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=list(table.columns))


def nothing_there(where: str) -> MissingInputError:
    """The error of a store in which nothing was published."""
    return MissingInputError(f"{where} is not there; run `ecomine stage materialize`.")


def lacking(table: OnlineTable, known: Mapping[str, Any] | Sequence[str]) -> MissingInputError:
    """The error of a store that was filled for other features than are asked for."""
    absent = [feature for feature in table.features if feature not in known]
    return MissingInputError(
        f"The online table {table.name} has no {', '.join(absent[:3]) or 'such columns'}; it was filled for other "
        "features than params.yaml names now. Run `ecomine stage materialize`."
    )
