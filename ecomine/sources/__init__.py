"""How data gets in: the sources of canonical tables, by the name that `source` in params.yaml chooses.

A source yields its tables one at a time. Each relation holds all columns of the canonical table, in order and
of their types, and the column `malformed`: which values of the row were not of their type, as text, null for
a sound row.
"""

import difflib
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb

from ecomine.errors import SettingsError
from ecomine.params import FILE, Params
from ecomine.sources import complete_journey, simulated, sql

Tables = Iterator[tuple[str, duckdb.DuckDBPyRelation]]
Source = Callable[[duckdb.DuckDBPyConnection, Params, Path], Tables]

SOURCES: dict[str, Source] = {
    "complete_journey": complete_journey.read,
    "sql": sql.read,
    "simulated": simulated.read,
}


def read(connection: duckdb.DuckDBPyConnection, params: Params, workspace: Path) -> Tables:
    """The canonical tables of the source that `params` names, one at a time: name, then lazy relation.

    A relation is good until the next one is asked for. Raises SettingsError for an unknown source and
    SourceError for a table that cannot be read.
    """
    if params.source not in SOURCES:
        close = difflib.get_close_matches(params.source, SOURCES, n=1, cutoff=0.4)
        hint = f" Did you mean `{close[0]}`?" if close else ""
        raise SettingsError(f"{FILE}: unknown source `{params.source}`.{hint} Known: {', '.join(SOURCES)}.")
    yield from SOURCES[params.source](connection, params, workspace)
