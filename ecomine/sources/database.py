"""Tables in a database: PostgreSQL, MySQL or SQLite through SQLAlchemy, streamed in batches."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError

from ecomine.errors import SettingsError, SourceError, UnavailableError
from ecomine.params import FILE
from ecomine.sources.conform import quoted

BATCH = 50_000
"""Rows held in memory at a time."""

DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}
"""The driver that a URL without one means."""

EXTRAS = {"psycopg": "ecomine[postgres]", "pymysql": "ecomine[mysql]"}
"""What to install where a driver is missing."""

REFUSED = ("FATAL:", "Access denied", "Unknown database", "unable to open")
PASSING = "the database system is"
"""Words of servers that were reached and said no; PostgreSQL's `FATAL: the database system is starting up` passes."""


def engine(address: str, workspace: Path) -> sqlalchemy.Engine:
    """An engine for a database URL, in which `${NAME}` stands for an environment variable.

    A SQLite file is opened for reading only; a relative one is relative to the workspace. Raises
    SettingsError for something that is no URL, SourceError for a missing driver or file.
    """
    try:
        url = sqlalchemy.make_url(_filled(address))
    except ArgumentError as error:
        raise SettingsError(
            f"{FILE}: `sql.database` is no database URL; expected such as "
            "postgresql://user:${PASSWORD}@host/name, mysql://… or sqlite:///shop.db, or null to read files."
        ) from error
    url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        path = workspace / url.database
        if not path.is_file():
            raise SourceError(f"{FILE}: sql.database: there is no file {path}.")
        url = url.set(database=f"file:{quote(path.as_posix())}", query={"mode": "ro", "uri": "true"})
    try:
        return sqlalchemy.create_engine(url, connect_args=_patience(url))
    except (NoSuchModuleError, ModuleNotFoundError, ImportError) as error:
        driver = url.drivername.partition("+")[2] or url.drivername
        known = EXTRAS.get(driver)
        hint = f"Install it: pip install '{known}'." if known else f"Known: {', '.join([*DRIVERS, 'sqlite'])}."
        raise SourceError(f"{FILE}: sql.database: the driver for {url.drivername} is not installed. {hint}") from error


def land(
    connection: duckdb.DuckDBPyConnection, engine: sqlalchemy.Engine, select: str, landing: Path, where: str
) -> duckdb.DuckDBPyRelation:
    """What `select` gives, landed in Parquet files batch by batch; memory does not grow with the table.

    Raises UnavailableError where the database does not answer, SourceError where it refuses the SELECT.
    """
    shown = engine.url.render_as_string(hide_password=True)
    try:
        opened = engine.connect()
    except SQLAlchemyError as error:
        kind = UnavailableError if _passing(error) else SourceError
        raise kind(f"{where} the database {shown} does not answer: {_first(error)}.") from error
    options: dict[str, Any] = {"stream_results": True, "max_row_buffer": BATCH, "no_parameters": True}
    if engine.url.get_backend_name() == "postgresql":
        options["postgresql_readonly"] = True
    batches = 0
    try:
        with opened:
            result = opened.execution_options(**options).exec_driver_sql(select.strip().rstrip(";"))
            columns = list(result.keys())
            for batches, rows in enumerate(result.partitions(BATCH), start=1):
                _write(landing / f"{batches:06d}.parquet", columns, list(zip(*rows, strict=True)))
    except SQLAlchemyError as error:
        raise SourceError(f"{where} the database {shown} refused it: {_first(error)}. {_tables(engine)}") from error
    if len(set(columns)) < len(columns):
        raise SourceError(f"{where} two columns have one name. Columns there: {', '.join(columns)}.")
    if not batches:
        raise SourceError(f"{where} no rows came. Columns there: {', '.join(columns)}.")
    landed = connection.read_parquet((landing / "*.parquet").as_posix(), union_by_name=True)
    known = set(landed.columns)
    parts = (quoted(name) if name in known else f"CAST(NULL AS VARCHAR) AS {quoted(name)}" for name in columns)
    return landed.project(", ".join(parts))


def _passing(error: SQLAlchemyError) -> bool:
    """Whether a connection that failed may succeed later: a server that says no to a user or a name says so again."""
    told = str(error)
    return isinstance(error, OperationalError) and (PASSING in told or not any(word in told for word in REFUSED))


def _write(path: Path, columns: list[str], values: Sequence[Sequence[Any]]) -> None:
    arrays = {name: _array(column) for name, column in zip(columns, values, strict=True)}
    # A batch without a value says nothing about the column's type; the other batches do.
    typed = {name: array for name, array in arrays.items() if not pa.types.is_null(array.type)}
    pq.write_table(pa.table(typed or {"": arrays[columns[0]]}), path)


def _array(values: Sequence[Any]) -> pa.Array:
    """One column of a batch; what Arrow cannot type alike, as SQLite allows, becomes text."""
    try:
        array = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    if pa.types.is_decimal(array.type):
        whole = array.type.scale == 0
        return array.cast(pa.string() if whole else pa.float64())
    if pa.types.is_nested(array.type) or pa.types.is_binary(array.type):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    return array


def _filled(address: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise SettingsError(f"{FILE}: `sql.database` names the environment variable {name}, which is not set.")
        return quote(os.environ[name], safe="")

    return re.sub(r"\$\{(\w+)\}", value, address)


def _patience(url: sqlalchemy.URL) -> dict[str, Any]:
    return {} if url.get_backend_name() == "sqlite" else {"connect_timeout": 10}


def _first(error: SQLAlchemyError) -> str:
    text = str(getattr(error, "orig", None) or error)
    return text.strip().split("\n")[0].rstrip(".")


def _tables(engine: sqlalchemy.Engine) -> str:
    try:
        names = sqlalchemy.inspect(engine).get_table_names()
    except SQLAlchemyError:
        return ""
    return f"Tables there: {', '.join(sorted(names)[:40]) or 'none'}."
