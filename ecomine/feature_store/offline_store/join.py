"""The point-in-time join of one feature view: which stored row answers each entity row, and those rows' features.

The join itself carries only numbers: keys as codes, times, places. Features are read once for the stored rows that
answer anything and are put beside the entity rows by place, so wide rows are never sorted nor repeated in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
from feast.feature_view import FeatureView
from feast.repo_config import RepoConfig

from ecomine.errors import FeatureError
from ecomine.feature_store.offline_store.entities import Entities
from ecomine.feature_store.offline_store.source import name, placed, relation, session, span, time

INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}


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
    config: RepoConfig, view: FeatureView, entities: Entities, feature_refs: Sequence[str], full: bool, known_only: bool
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
    stored = {new: old for old, new in source.field_mapping.items()}
    keys = _keys(view, entities)
    number = range(len(keys))
    with session(config) as connection:
        table = relation(connection, config, source)

        def column(wanted: str) -> str:
            return name(stored.get(wanted, wanted))

        _register(connection, entities, list(keys.values()), table, [column(key) for key in keys])
        event = f"CAST({column(source.timestamp_field)} AS TIMESTAMP)"
        created = source.created_timestamp_column
        # Rows after the last moment, or too old for the first, can match nothing: they are not even read.
        limits = [f"{event} <= {time(entities.last or datetime.min)}"]
        if view.ttl:
            limits.append(f"{event} >= {time(entities.first or datetime.min)} - {span(view.ttl)}")
        inner = [f"{column(key)} AS k{n}" for n, key in enumerate(keys)]
        inner += [f"{column(feature)} AS f{n}" for n, feature in enumerate(names)]
        # Where times are equal throughout, the last row of the source counts.
        source_rows, place_in_source = placed(table)
        inner += [f"epoch_us({event}) AS event", f"{place_in_source} AS place"]
        inner += [f"epoch_us(CAST({column(created)} AS TIMESTAMP)) AS created"] if created else []
        outer = [f"keys{n}.code AS c{n}" for n in number]
        outer += [f"f{n}" for n in range(len(names))] + ["event", "place"] + (["created"] if created else [])
        connection.execute(
            f"CREATE TEMP TABLE stored AS SELECT {', '.join(outer)} "
            f"FROM (SELECT {', '.join(inner)} FROM {source_rows} WHERE {' AND '.join(limits)}) s "
            + " ".join(f"JOIN keys{n} ON s.k{n} = keys{n}.value" for n in number)
        )
        matches = _match(connection, view, len(keys), bool(created), known_only)
        row, identifier = matches.column("row").to_numpy(), matches.column("id").to_numpy()
        place = np.full(entities.rows, -1, dtype=np.int64)
        place[row] = identifier
        if np.count_nonzero(place >= 0) != len(row):
            raise FeatureError(f"The join of {view.name} answered rows more than once; every row has one answer.")
        features, where = _features(connection, identifier, ["event", *(f"f{n}" for n in range(len(names)))])
    place[row] = where[identifier]
    since = features.column("event").to_numpy()
    features = features.drop_columns("event").rename_columns([shown + feature for feature in names])
    return Answers(view.projection.name_alias or view.name, features, since, place)


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


def _register(
    connection: duckdb.DuckDBPyConnection, entities: Entities, keys: Sequence[str], table: str, stored: Sequence[str]
) -> None:
    """The entity rows that can be answered as `entities`, and the codes of each key's values as `keys0`, `keys1`, …"""
    codes = [entities.codes(key) for key in keys]
    askable = np.logical_and.reduce([entities.moments_known, *(code.known for code in codes)])
    row = np.flatnonzero(askable)
    connection.register(
        "entities",
        pa.table(
            {"row": row, "moment": entities.moments[row]} | {f"c{n}": code.numbers[row] for n, code in enumerate(codes)}
        ),
    )
    # A key that cannot be of the stored type equals no stored key.
    types = connection.sql(f"SELECT {', '.join(stored) or '1'} FROM {table}").types
    for n, (code, kind) in enumerate(zip(codes, types, strict=False)):
        connection.register(f"values{n}", pa.table({"value": code.values, "code": np.arange(len(code.values))}))
        whole = " WHERE value = floor(value)" if pa.types.is_floating(code.values.type) and kind in INTEGERS else ""
        connection.execute(
            f"CREATE TEMP TABLE keys{n} AS "
            f"SELECT TRY_CAST(value AS {kind}) AS value, CAST(code AS INTEGER) AS code FROM values{n}{whole}"
        )


def _match(
    connection: duckdb.DuckDBPyConnection, view: FeatureView, keys: int, created: bool, known_only: bool
) -> pa.Table:
    """(row, id) of every answered entity row: its place, and the row id of its answer in the table `stored`."""
    codes = [f"c{n}" for n in range(keys)]
    columns = "".join(f"{code}, " for code in codes)
    partition = f"PARTITION BY {', '.join(codes)}" if codes else ""
    since = "event"
    if created and known_only:
        # Stored rows by the time at which they were both true and created, without those a newer one already beat.
        since = "known"
        query = (
            f"SELECT * FROM (SELECT {columns} event, greatest(event, created) AS known, rowid AS id, "
            f"row_number() OVER ({partition} ORDER BY event, created, place) AS rank "
            f"FROM stored WHERE created IS NOT NULL) QUALIFY rank = max(rank) OVER ({partition} ORDER BY known)"
        )
    else:
        chosen = "arg_max(rowid, place) AS id, count(*) AS same"
        query = f"SELECT {columns} event, {chosen} FROM stored GROUP BY {columns} event"
    connection.execute(f"CREATE TEMP TABLE newest AS {query}")
    if created and not known_only and (connection.sql("SELECT max(same) FROM newest").fetchall()[0][0] or 1) > 1:
        times = f"PARTITION BY {columns} event ORDER BY created DESC NULLS LAST, place DESC"
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE newest AS SELECT {columns} event, rowid AS id FROM stored "
            f"QUALIFY row_number() OVER ({times}) = 1"
        )
    equal = "".join(f"e.{code} = n.{code} AND " for code in codes)
    young = f"WHERE n.event >= e.moment - {view.ttl // timedelta(microseconds=1)}" if view.ttl else ""
    return connection.sql(
        f"SELECT e.row, n.id FROM entities e ASOF JOIN newest n ON {equal}e.moment >= n.{since} {young}"
    ).to_arrow_table()


def _features(
    connection: duckdb.DuckDBPyConnection, identifiers: np.ndarray, columns: Sequence[str]
) -> tuple[pa.Table, np.ndarray]:
    """Features of the rows of `stored` that answer something, and by row id the place of each among them."""
    size = connection.sql("SELECT count(*) FROM stored").fetchall()[0][0]
    used = np.zeros(size, dtype=bool)
    used[identifiers] = True
    chosen = ""
    if 2 * np.count_nonzero(used) < size:
        connection.register("used", pa.table({"id": np.flatnonzero(used)}))
        chosen = " WHERE rowid IN (SELECT id FROM used)"
    table = connection.sql(f"SELECT {', '.join(['rowid AS id', *columns])} FROM stored{chosen}").to_arrow_table()
    where = np.full(size, -1, dtype=np.int64)
    where[table.column("id").to_numpy()] = np.arange(table.num_rows)
    return table.drop_columns("id").combine_chunks(), where
