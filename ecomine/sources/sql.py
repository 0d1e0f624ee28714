"""A shop's own tables, mapped by one SELECT each, over files (DuckDB) or a database (SQLAlchemy).

What a SELECT gives is first landed in a Parquet file, so that it runs once, whatever it costs, in a stream.
"""

import difflib
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import duckdb

from ecomine import layout
from ecomine.errors import SettingsError, SourceError
from ecomine.params import FILE, Params
from ecomine.sources import files
from ecomine.sources.conform import conform
from ecomine.tables import TABLES

Land = Callable[[str, Path, str], duckdb.DuckDBPyRelation]


def read(
    connection: duckdb.DuckDBPyConnection, params: Params, workspace: Path
) -> Iterator[tuple[str, duckdb.DuckDBPyRelation]]:
    """The mapped tables, in the order of the vocabulary; a relation is good until the next one is asked for.

    Raises SettingsError for a mapping that cannot be meant, SourceError for one that does not give its table.
    """
    mapped = params.sql.tables
    check(params)
    landing = workspace / layout.LANDING
    with _lander(connection, params, workspace) as land:
        for name in (name for name in TABLES if name in mapped):
            where = place(name, mapped[name])
            shutil.rmtree(landing, ignore_errors=True)
            # A folder of its own a table: DuckDB may still know what stood in a file of the same name.
            own = landing / name
            own.mkdir(parents=True)
            try:
                yield name, conform(land(mapped[name], own, where), name, where)
            finally:
                shutil.rmtree(landing, ignore_errors=True)


@contextmanager
def _lander(connection: duckdb.DuckDBPyConnection, params: Params, workspace: Path) -> Iterator[Land]:
    if not params.sql.database:
        yield partial(files.land, connection, workspace / params.raw, params.raw)
        return
    from ecomine.sources import database

    engine = database.engine(params.sql.database, workspace)
    try:
        yield partial(database.land, connection, engine)
    finally:
        engine.dispose()


def check(params: Params) -> None:
    """Raises where the mapping is empty, names an unknown table or holds something other than one SELECT."""
    if not params.sql.tables:
        raise SettingsError(
            f"{FILE}: `sql.tables` maps nothing; expected such as `order_lines: SELECT … FROM 'orders.csv'`. "
            "`ecomine init FOLDER` writes a first try for a folder of files."
        )
    for name, select in params.sql.tables.items():
        if name not in TABLES:
            close = difflib.get_close_matches(name.lower(), TABLES, n=1, cutoff=0.4)
            hint = f" Did you mean `{close[0]}`?" if close else ""
            raise SourceError(f"{FILE}: sql.tables.{name}: there is no such table.{hint} Known: {', '.join(TABLES)}.")
        if not re.match(r"\s*(--[^\n]*\n\s*)*\(*\s*(select|with|from|values|table)\b", select, re.IGNORECASE):
            raise SourceError(f"{place(name, select)} expected one SELECT.")


def place(name: str, select: str) -> str:
    """Where a mapping stands and what it says, on a line of its own before the text of an error."""
    line = " ".join(select.split())
    return f"{FILE}: sql.tables.{name}: {line if len(line) <= 200 else line[:199] + '…'}\n "
