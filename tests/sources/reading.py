"""Reading a source into pandas, for tests."""

from pathlib import Path

import duckdb
import pandas as pd

from ecomine.engine import connect
from ecomine.params import Params, SqlParams
from ecomine.sources import read


def read_all(params: Params, workspace: Path) -> dict[str, pd.DataFrame]:
    """Every table of a source as a DataFrame, nulls as None or NaN."""
    with connect(params.engine, workspace / "spill") as connection:
        return {name: relation.df() for name, relation in read(connection, params, workspace)}


def read_sql(
    workspace: Path, tables: dict[str, str], database: str | None = None, raw: str = "raw"
) -> dict[str, pd.DataFrame]:
    """The tables that a mapping gives over the files of `raw`, or a database."""
    return read_all(Params(source="sql", raw=raw, sql=SqlParams(database, tables)), workspace)


def write(folder: Path, name: str, text: str | bytes) -> Path:
    """A file of that content."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def write_parquet(path: Path, select: str) -> Path:
    """What a DuckDB SELECT gives, as a Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.sql(select).write_parquet(path.as_posix())
    return path
