"""Filling the online store: of every entity the newest row that still holds, chunk of time by chunk of time.

Chunks run from the oldest to the newest, so that the newer row takes the place of the older one. Within a chunk rows
come sorted by their keys, in batches; the store keeps with each batch how far it is, and a run that was killed goes
on from there.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from ecomine import layout
from ecomine.engine import connect
from ecomine.errors import MissingInputError
from ecomine.feature_store.catalogue import chosen_tables, engine_params, feature_params, is_served, online_params
from ecomine.feature_store.declaration import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from ecomine.feature_store.online_backend import backend
from ecomine.feature_store.online_table import EVENT, OnlineBackend, OnlineTable, quoted
from ecomine.params import OnlineParams

FORMAT = 1
"""Of what is written; another number makes what a killed load of an earlier version has written void."""


@dataclass(frozen=True)
class Source:
    """A table of the online store, and the Parquet file of all its rows."""

    table: OnlineTable
    path: Path


def materialize(workspace: Path, folder: Path, as_of: datetime) -> dict[str, int]:
    """Fill the workspace's online store with the newest row of every entity, not after as_of, that still holds then.

    folder: gets online.db, or receipt.json where the store is Redis or PostgreSQL. Returns the entities by feature
    table. Raises MissingInputError where a feature table is absent.
    """
    workspace = Path(workspace)
    with connect(engine_params(workspace), workspace / layout.SPILL) as connection:
        store, settings = backend(workspace), online_params(workspace)
        return fill(connection, store, sources(workspace), as_of, folder, settings)


def sources(workspace: Path) -> list[Source]:
    """The tables of a workspace's online store; raises MissingInputError where a feature table is absent."""
    params = feature_params(workspace)
    found = [
        Source(OnlineTable.of(table, params), workspace / layout.FEATURES / f"{table.name}.parquet")
        for table in chosen_tables(workspace)
    ]
    # A table that no domain asks for is absent where the shop lacks its source.
    found = [source for source in found if source.path.exists() or is_served(source.table.name)]
    for source in found:
        if not source.path.exists():
            raise MissingInputError(f"{layout.FEATURES}/{source.path.name} is not there; run `ecomine stage features`.")
    return found


def fill(
    connection: duckdb.DuckDBPyConnection,
    store: OnlineBackend,
    sources: Sequence[Source],
    as_of: datetime,
    folder: Path,
    params: OnlineParams,
) -> dict[str, int]:
    """Write a new version of all tables into `store` and publish it; returns the entities by table."""
    load = store.load(digest(sources, as_of), as_of, [source.table for source in sources])
    for source in sources:
        for chunk, query, bounds in _chunks(source, as_of, params.chunk_days):
            done = load.done(source.table.name, chunk)
            for batch in _batches(connection, f"{query} OFFSET {done}", bounds, params.batch_rows):
                done += batch.num_rows
                load.write(source.table, chunk, batch, done)
    return load.publish(folder)


def _chunks(source: Source, as_of: datetime, days: int) -> Iterator[tuple[str, str, list[object]]]:
    """(name, query, arguments) of each stretch of time in which a row may lie that holds at as_of, oldest first."""
    keys = ", ".join(map(quoted, source.table.keys))
    select = (
        f"SELECT {', '.join(map(quoted, source.table.columns[:-1]))}, epoch_us({EVENT_TIMESTAMP}) AS {EVENT} "
        "FROM read_parquet(?) WHERE {after} AND {when} <= ? "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {EVENT_TIMESTAMP} DESC, {CREATED_TIMESTAMP} DESC) "
        f"= 1 ORDER BY {keys}"
    )
    oldest = as_of - source.table.ttl
    ends = [as_of - timedelta(days=days * number) for number in range(-(-source.table.ttl // timedelta(days=days)))]
    start, edge = oldest, ">="
    for end in reversed(ends):
        query = select.format(after=f"{EVENT_TIMESTAMP} {edge} ?", when=EVENT_TIMESTAMP)
        yield f"{start.isoformat()}/{end.isoformat()}", query, [source.path.as_posix(), start, end]
        start, edge = end, ">"


def _batches(
    connection: duckdb.DuckDBPyConnection, query: str, bounds: list[object], rows: int
) -> Iterator[pa.RecordBatch]:
    yield from connection.execute(query, bounds).to_arrow_reader(rows)


def digest(sources: Sequence[Source], as_of: datetime) -> str:
    """Of all that decides what a load writes."""
    whole = hashlib.sha256(repr((FORMAT, as_of.isoformat())).encode())
    for source in sources:
        table = source.table
        whole.update(repr((table.name, table.keys, table.features, table.ttl)).encode())
        with source.path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:24]
