"""From clean tables to feature tables: the expressions run on an engine, each result becomes one Parquet file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import ibis
import pyarrow as pa

from ecomine.errors import FeatureError
from ecomine.feature_store import increments
from ecomine.feature_store.blocks import LINES, Blocks, cuts, narrow, write_joined
from ecomine.feature_store.catalogue import FEATURE_TABLES, SERVICES, chosen
from ecomine.feature_store.declaration import CREATED_TIMESTAMP, EVENT_TIMESTAMP, FeatureTable, Scope
from ecomine.feature_store.lines import horizon, known_lines
from ecomine.params import FeatureParams
from ecomine.store import ROW_GROUP, write_relation


def expression(table: FeatureTable, scope: Scope) -> ibis.Table:
    """A feature table as an expression, whatever engine will run it: keys, times, features, state."""
    built = table.build(table, scope)
    features = [name for name in built.columns if name not in table.state]
    timed = built.mutate(**{CREATED_TIMESTAMP: built[EVENT_TIMESTAMP]})
    return timed.select(*features, CREATED_TIMESTAMP, *table.state)


def scope_of(
    tables: Mapping[str, ibis.Table], as_of: datetime, params: FeatureParams, newest: int | None = None
) -> Scope:
    """What feature tables are computed from, its lines an expression that is not run yet."""
    lines = known_lines(tables["order_lines"], as_of, params, newest) if "order_lines" in tables else None
    return Scope(as_of, params, tables, lines, newest)


def split(chosen_tables: Sequence[FeatureTable], there: Sequence[str]) -> tuple[list[FeatureTable], dict[str, str]]:
    """Tables that can be made from the sources that are there, and of the others the sources that they lack.

    Raises FeatureError where none can be made.
    """
    lacking = {table.name: [name for name in table.sources if name not in there] for table in chosen_tables}
    made = [table for table in chosen_tables if not lacking[table.name]]
    if not made:
        raise FeatureError(
            f"Features need the table {' or '.join(sorted(set(chain(*lacking.values()))))}; this source has "
            f"{', '.join(sorted(there)) or 'none'}. Map it in params.yaml."
        )
    return made, {name: ", ".join(sources) for name, sources in lacking.items() if sources}


def compute(
    connection: duckdb.DuckDBPyConnection,
    tables: Mapping[str, duckdb.DuckDBPyRelation],
    as_of: datetime,
    params: FeatureParams,
    folder: Path,
    domains: Sequence[str] = tuple(SERVICES),
    memory: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, int]:
    """Write the feature tables of `domains` into `folder`, one Parquet file each, sorted; returns the rows by name.

    memory: a folder that earlier runs left their results in; what is still true there is not computed again. Raises
    FeatureError where no table can be made.
    """
    made, lacking = split(chosen(params, domains), list(tables))
    for name, absent in lacking.items():
        say(f"{name}: not made, no {absent} in this source")
    with ExitStack() as stack:
        sources = _views(connection, stack, tables, made)
        last = increments.find(connection, tables, as_of, params, made, memory)
        say(last.why)
        scope = scope_of(sources, as_of, params, last.newest)
        blocks = _gather(connection, stack, scope) if scope.lines is not None else None
        backend = ibis.duckdb.from_connection(connection)
        rows = {}
        for table in made:
            kept = _keep(connection, stack, last, table)
            own = Scope(
                as_of,
                params,
                sources,
                backend.table(LINES) if scope.lines is not None else None,
                last.newest,
                {table.name: backend.table(kept)} if kept else {},
            )
            sql = ibis.to_sql(expression(table, own), dialect="duckdb")
            if kept:
                sql = f"SELECT * FROM {kept} UNION ALL BY NAME ({sql})"
            rows[table.name] = _write(connection, table, sql, folder / f"{table.name}.parquet", blocks, kept)
        increments.keep(connection, tables, as_of, params, made, folder, memory)
    return rows


def _views(
    connection: duckdb.DuckDBPyConnection,
    stack: ExitStack,
    tables: Mapping[str, duckdb.DuckDBPyRelation],
    made: Sequence[FeatureTable],
) -> dict[str, ibis.Table]:
    """The sources of the tables to make, as Ibis tables on the connection."""
    backend = ibis.duckdb.from_connection(connection)
    sources = {}
    for name in _sources(made):
        if name in tables:
            whole, view = f"features_all_{name}", f"features_{name}"
            tables[name].create_view(whole, replace=True)
            stack.callback(connection.execute, f"DROP VIEW {whole}")
            narrow(connection, view, whole, "true")
            stack.callback(connection.execute, f"DROP VIEW {view}")
            sources[name] = backend.table(view)
    return sources


def _gather(connection: duckdb.DuckDBPyConnection, stack: ExitStack, scope: Scope) -> Blocks | None:
    """Run the scope's lines, into a table, or into the files of blocks where there are many; see `Blocks`."""
    lines = ibis.to_sql(scope.lines, dialect="duckdb")
    newest = scope.newest
    since = None if newest is None else scope.as_of - timedelta(days=horizon(newest, scope.params))
    found = cuts(connection, since, scope.as_of)
    if not found:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {LINES} AS {lines}")
        stack.callback(connection.execute, f"DROP TABLE {LINES}")
        return None
    spill = Path(connection.sql("SELECT current_setting('temp_directory')").fetchall()[0][0])
    spill.mkdir(parents=True, exist_ok=True)
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="lines-", dir=spill)))
    blocks = Blocks(connection.cursor(), found, folder)
    blocks.write_lines(lines)
    stack.callback(connection.execute, f"DROP VIEW {LINES}")
    return blocks


def _keep(
    connection: duckdb.DuckDBPyConnection, stack: ExitStack, last: "increments.Last", table: FeatureTable
) -> str | None:
    """A view of the rows of an earlier run that stay as they are; None where all are computed anew."""
    if last.newest is None or last.folder is None:
        return None
    whole, view = f"all_kept_{table.name}", f"kept_{table.name}"
    path = (last.folder / f"{table.name}.parquet").as_posix().replace("'", "''")
    narrow(connection, whole, f"read_parquet('{path}')", f"{EVENT_TIMESTAMP} <= TIMESTAMP '{last.boundary}'")
    stack.callback(connection.execute, f"DROP VIEW {whole}")
    narrow(connection, view, whole, "true")
    stack.callback(connection.execute, f"DROP VIEW {view}")
    return view


def _write(
    connection: duckdb.DuckDBPyConnection,
    table: FeatureTable,
    sql: str,
    path: Path,
    blocks: Blocks | None,
    kept: str | None,
) -> int:
    """Run the SQL of a table into a sorted file, block by block where it can be cut; returns the rows."""
    order = ", ".join(f'"{name}"' for name in (*table.keys, EVENT_TIMESTAMP))
    if blocks is None or table.apart is None:
        return write_relation(path, connection.sql(sql), order)
    key, cursor = table.apart, connection.cursor()

    def parts() -> Iterator[pa.RecordBatchReader]:
        for block in range(blocks.count(key)):
            condition = blocks.choose(key, block)
            if kept:
                narrow(blocks.connection, kept, f"all_{kept}", condition)
            yield cursor.sql(sql).order(order).to_arrow_reader(ROW_GROUP)

    rows = write_joined(connection, parts(), path)
    blocks.choose(None, 0)
    cursor.close()
    return rows


def _sources(made: Sequence[FeatureTable]) -> Iterator[str]:
    return iter(sorted({name for table in made for name in (*table.sources, *table.improves)}))


__all__ = ["FEATURE_TABLES", "compute", "expression", "scope_of", "split"]
