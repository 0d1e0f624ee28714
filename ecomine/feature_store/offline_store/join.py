"""The point-in-time join of one feature view: which stored row answers each entity row, and those rows' features.

DuckDB reads the source once, with keys as codes; which row answers which is settled over keys and times alone, and
features are put beside the entity rows by number, so wide rows are never sorted nor repeated in between. Stored rows
that are too many to be held stay in DuckDB, which spills them; keys and times then come in parts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
from feast.data_source import DataSource
from feast.feature_view import FeatureView
from feast.repo_config import RepoConfig

from ecomine.errors import FeatureError
from ecomine.feature_store.offline_store.entities import Entities
from ecomine.feature_store.offline_store.match import UNKNOWN, Rows, newest
from ecomine.feature_store.offline_store.source import name, placed, relation, span, time

INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}

HELD = 1 << 25
"""Values of stored rows that are held as they are read; DuckDB keeps more than these."""

PART = 1 << 23
"""Stored rows whose keys and times are taken out of DuckDB at a time."""


@dataclass(frozen=True)
class Answers:
    """Features of a view, by output name, for stored rows that answer something; `place` is an entity row's, or -1.

    since: of each of these stored rows, microseconds since 1970.
    """

    view: str
    features: pa.Table
    since: np.ndarray
    place: np.ndarray

    def take(self, start: int, stop: int) -> dict[str, pa.Array]:
        """The features of the entity rows from start to stop."""
        place = self.place[start:stop]
        indices = pa.array(place, mask=place < 0)
        return {
            column: self.features.column(column).combine_chunks().take(indices) for column in self.features.column_names
        }


def answer(
    connection: duckdb.DuckDBPyConnection,
    config: RepoConfig,
    view: FeatureView,
    entities: Entities,
    feature_refs: Sequence[str],
    full: bool,
    known_only: bool,
) -> Answers:
    """Of each entity row the view's newest stored row that is not after it, nor older than the view's TTL.

    full: names become `{view}__{feature}`. known_only: leaves out rows created after the entity row's time.
    """
    source = view.batch_source
    if source is None:
        raise FeatureError(f"The feature view {view.name} has no batch source to read from.")
    prefix = f"{view.projection.name_to_use()}:"
    names = list(dict.fromkeys(ref[len(prefix) :] for ref in feature_refs if ref.startswith(prefix)))
    shown = f"{view.projection.name_alias or view.name}__" if full else ""
    keys = _keys(view, entities)
    table = relation(connection, config, source)
    query = _query(connection, table, source, view.ttl, entities, keys, names, known_only)
    ttl = view.ttl // timedelta(microseconds=1) if view.ttl else None
    asked, row = _asked(entities, keys)
    sizes = [len(entities.codes(key).values) for key in keys.values()] or [1]
    place = np.full(entities.rows, -1, dtype=np.int64)
    columns = ["event", *(f"f{n}" for n in range(len(names)))]
    if _count(connection, table) * (len(names) + len(keys) + 3) <= HELD:
        held = connection.sql(query).to_arrow_table()
        place[row] = newest(_stored(held, len(keys)), asked, sizes, ttl, known_only)
        features = held.select(columns).combine_chunks()
    else:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE stored AS {query}")
        identifier = np.full(len(asked.time), -1, dtype=np.int64)
        for mine, rows in _parts(connection, asked, len(keys)):
            part = Rows([code[mine] for code in asked.codes], asked.time[mine])
            found = newest(_stored(rows, len(keys)), part, sizes, ttl, known_only)
            identifier[mine[found >= 0]] = rows.column("id").to_numpy()[found[found >= 0]]
        features, where = _features(connection, identifier, columns)
        place[row] = where[identifier]
        connection.execute("DROP TABLE stored")
    since = features.column("event").to_numpy()
    features = features.drop_columns("event").rename_columns([shown + feature for feature in names])
    return Answers(view.projection.name_alias or view.name, features, since, place)


def _query(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    source: DataSource,
    ttl: timedelta | None,
    entities: Entities,
    keys: dict[str, str],
    features: Sequence[str],
    known_only: bool,
) -> str:
    """SQL for the stored rows that may answer something: codes c0, c1, …, features f0, f1, …, event, place, created."""
    renamed = {new: old for old, new in source.field_mapping.items()}

    def column(wanted: str) -> str:
        return name(renamed.get(wanted, wanted))

    _register(connection, entities, list(keys.values()), table, [column(key) for key in keys])
    event = f"CAST({column(source.timestamp_field)} AS TIMESTAMP)"
    created = source.created_timestamp_column and f"CAST({column(source.created_timestamp_column)} AS TIMESTAMP)"
    # Rows after the last moment, or too old for the first, can match nothing: they are not even read.
    limits = [f"{event} <= {time(entities.last or datetime.min)}"]
    if ttl:
        limits.append(f"{event} >= {time(entities.first or datetime.min)} - {span(ttl)}")
    if created and known_only:
        limits.append(f"{created} IS NOT NULL")
    # Where times are equal throughout, the last row of the source counts.
    rows, place = placed(table)
    inner = [f"{column(key)} AS k{n}" for n, key in enumerate(keys)]
    inner += [f"{column(feature)} AS f{n}" for n, feature in enumerate(features)]
    inner += [f"epoch_us({event}) AS event", f"{place} AS place"]
    inner += [f"coalesce(epoch_us({created}), {UNKNOWN}) AS created"] if created else []
    outer = [f"keys{n}.code AS c{n}" for n in range(len(keys))]
    outer += [f"f{n}" for n in range(len(features))] + ["event", "place"] + (["created"] if created else [])
    return (
        f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM {rows} WHERE {' AND '.join(limits)}) s "
        + " ".join(f"JOIN keys{n} ON s.k{n} = keys{n}.value" for n in range(len(keys)))
    )


def _keys(view: FeatureView, entities: Entities) -> dict[str, str]:
    """The view's join keys → columns of the entity rows. A view without entities has a dummy key that nothing holds."""
    keys = {
        column.name: view.projection.join_key_map.get(column.name, column.name)
        for column in view.entity_columns
        if column.name != "__dummy_id"
    }
    missing = [key for key in keys.values() if key not in entities.columns]
    if missing:
        raise FeatureError(
            f"The feature view {view.name} joins on {', '.join(keys.values())}; the rows lack {', '.join(missing)} "
            f"and have {', '.join(entities.columns)}."
        )
    return keys


def _asked(entities: Entities, keys: dict[str, str]) -> tuple[Rows, np.ndarray | slice]:
    """The entity rows whose keys and time are known, and which of all they are."""
    codes = [entities.codes(key) for key in keys.values()]
    askable = np.logical_and.reduce([entities.moments_known, *(code.known for code in codes)])
    row = slice(None) if askable.all() else np.flatnonzero(askable)
    moments = entities.moments[row]
    return Rows([code.numbers[row] for code in codes] or [np.zeros(len(moments), dtype=np.int32)], moments), row


def _stored(table: pa.Table, keys: int) -> Rows:
    """Stored rows as they are matched."""
    codes = [table.column(f"c{n}").to_numpy() for n in range(keys)] or [np.zeros(table.num_rows, dtype=np.int32)]
    created = table.column("created").to_numpy() if "created" in table.column_names else None
    return Rows(codes, table.column("event").to_numpy(), created, table.column("place").to_numpy())


def _register(
    connection: duckdb.DuckDBPyConnection, entities: Entities, keys: Sequence[str], table: str, stored: Sequence[str]
) -> None:
    """The codes of each key's values as tables `keys0`, `keys1`, …"""
    # A key that cannot be of the stored type equals no stored key.
    types = connection.sql(f"SELECT {', '.join(stored) or '1'} FROM {table}").types
    for n, (key, kind) in enumerate(zip(keys, types, strict=False)):
        values = entities.codes(key).values
        connection.register(f"values{n}", pa.table({"value": values, "code": np.arange(len(values))}))
        whole = " WHERE value = floor(value)" if pa.types.is_floating(values.type) and kind in INTEGERS else ""
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE keys{n} AS "
            f"SELECT TRY_CAST(value AS {kind}) AS value, CAST(code AS INTEGER) AS code FROM values{n}{whole}"
        )


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(connection.sql(f"SELECT count(*) FROM {table}").fetchall()[0][0])


def _parts(connection: duckdb.DuckDBPyConnection, asked: Rows, keys: int) -> Iterator[tuple[np.ndarray, pa.Table]]:
    """Asked rows, and keys, times and row ids of `stored` that may answer them, dealt out by the first key."""
    parts = max(-(-_count(connection, "stored") // PART), 1) if keys else 1
    for part in range(parts):
        chosen = f" WHERE c0 % {parts} = {part}" if keys else ""
        rows = connection.sql(f"SELECT rowid AS id, COLUMNS('^(c[0-9]+|event|place|created)$') FROM stored{chosen}")
        yield np.flatnonzero(asked.codes[0] % parts == part), rows.to_arrow_table()


def _features(
    connection: duckdb.DuckDBPyConnection, identifiers: np.ndarray, columns: Sequence[str]
) -> tuple[pa.Table, np.ndarray]:
    """Features of the rows of `stored` that answer something, and by row id the place of each among them."""
    size = _count(connection, "stored")
    used = np.zeros(size + 1, dtype=bool)
    used[identifiers] = True
    used[-1] = False  # nobody's, which -1 finds
    chosen = ""
    if 2 * np.count_nonzero(used) < size:
        connection.register("used", pa.table({"id": np.flatnonzero(used)}))
        chosen = " WHERE rowid IN (SELECT id FROM used)"
    table = connection.sql(f"SELECT {', '.join(['rowid AS id', *columns])} FROM stored{chosen}").to_arrow_table()
    where = np.full(size + 1, -1, dtype=np.int64)
    where[table.column("id").to_numpy()] = np.arange(table.num_rows)
    return table.drop_columns("id").combine_chunks(), where
