"""From the event log into the offline tables: files by kind and day among the shop's own, united with the source.

`{raw}/streamed/{kind}/{day}/{first}_{last}.parquet` holds entries of one day between two offsets, and
`{raw}/streamed/position.json`, which is replaced last, says how far they go. So what a run that was killed has left
beyond it is known, and made anew. Of a day that is over, the files become one.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from ecomine import layout
from ecomine.errors import DamagedError, StreamingError
from ecomine.feature_store.catalogue import raw_folder
from ecomine.store import replacing, sync, write_json, write_relation
from ecomine.streaming.envelope import KINDS, TIME
from ecomine.streaming.log import NOTHING, event_log, exists, order
from ecomine.tables import MALFORMED, TABLES, Table

FOLDER = "streamed"
POSITION = "position.json"
AT_ONCE = 50_000
"""Entries in one file at most, until days are put together."""


def land(workspace: Path) -> int:
    """Write what is new in the log of a workspace into the files; returns how many entries.

    Raises StreamingError where the log cannot be read or the files cannot be written.
    """
    if not exists(workspace):
        return 0
    try:
        return _land(workspace)
    except (duckdb.Error, OSError) as error:
        told = " ".join(str(error).split("\n\n")[0].split())
        raise StreamingError(
            f"Events cannot be written into {raw_folder(workspace) / FOLDER}: {told}. They stay in the log. "
            "Look at the disk (`df -h`) and at who may write there."
        ) from error


def _land(workspace: Path) -> int:
    log, count = event_log(workspace), 0
    with _alone(workspace), duckdb.connect(config={"threads": 1}) as connection:
        folder = raw_folder(workspace) / FOLDER
        before = landed(workspace)
        if before is None:
            before = NOTHING
            _note(folder, before)  # from now on files without a note are known for damage
        _clear(folder, before)
        while (entries := log.read(before, AT_ONCE)).num_rows:
            last = entries["offset"][-1].as_py()
            first = entries["offset"][0].as_py()
            for kind in KINDS:
                _write(connection, entries, TABLES[kind], folder / kind, f"{first}_{last}.parquet")
            _note(folder, last)
            before, count = last, count + entries.num_rows
        if count:
            _put_days_together(connection, folder)
    return count


def landed(workspace: Path) -> str | None:
    """Offset of the last entry in the files, None without any; DamagedError where their note of it cannot be read."""
    path = raw_folder(workspace) / FOLDER / POSITION
    try:
        if not path.exists() and not any(path.parent.glob("*/*/*.parquet")):
            return None
        return str(json.loads(path.read_text())["offset"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            f"{path} cannot be read: {error!r}. Put into it the greatest second number of the file names beside it, as "
            '{"offset": "123-0"}.'
        ) from error


def united(
    connection: duckdb.DuckDBPyConnection, workspace: Path, tables: Iterator[tuple[str, duckdb.DuckDBPyRelation]]
) -> Iterator[tuple[str, duckdb.DuckDBPyRelation]]:
    """The tables of a source, with the rows of the files that the source does not bring itself.

    A row is the source's where both have its key, since corrections and labels come that way.
    """
    left = {kind: files for kind in KINDS if (files := _files(raw_folder(workspace) / FOLDER / kind))}
    for name, relation in tables:
        if name not in left:
            yield name, relation
            continue
        own, streamed = f"{name}_of_source", _streamed(connection, TABLES[name], left.pop(name))
        relation.create_view(own, replace=True)
        keys = ", ".join(f'"{key}"' for key in TABLES[name].key)
        yield (
            name,
            connection.sql(
                f"SELECT * FROM {own} UNION ALL BY NAME SELECT * FROM {streamed} ANTI JOIN {own} USING ({keys})"
            ),
        )
        connection.execute(f"DROP VIEW {own}")
    for name, files in left.items():
        yield name, connection.table(_streamed(connection, TABLES[name], files))


def _streamed(connection: duckdb.DuckDBPyConnection, table: Table, files: list[str]) -> str:
    """A view of the rows of the files as a canonical table, each key once."""
    name = f"{table.name}_streamed"
    keys, columns = (", ".join(f'"{one}"' for one in names) for names in (table.key, table.names))
    connection.read_parquet(files, union_by_name=True).create_view(f"{name}_files", replace=True)
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT {columns}, CAST(NULL AS VARCHAR) AS {MALFORMED} "
        f'FROM {name}_files QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY "{table.time}", {columns}) = 1'
    )
    return name


def _note(folder: Path, offset: str) -> None:
    with replacing(folder / POSITION) as path:
        write_json(path, {"offset": offset})
        sync(path)


def _write(connection: duckdb.DuckDBPyConnection, entries: Any, table: Table, folder: Path, name: str) -> None:
    """The entries of one kind, a file a day."""
    connection.register("entries", entries)
    columns = ", ".join(f"CAST(body ->> '$.{one.name}' AS {one.sql_type}) AS \"{one.name}\"" for one in table.columns)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE rows AS SELECT {columns} FROM entries WHERE kind = '{table.name}'"
    )
    days = connection.execute(f"SELECT DISTINCT CAST({TIME} AS DATE) FROM rows ORDER BY 1").fetchall()
    for (day,) in days:
        _write_day(
            connection.sql(f"SELECT * FROM rows WHERE CAST({TIME} AS DATE) = DATE '{day}'"),
            table,
            folder / str(day) / name,
        )


def _write_day(rows: duckdb.DuckDBPyRelation, table: Table, path: Path) -> None:
    with replacing(path) as new:
        write_relation(new, rows, ", ".join(f'"{one}"' for one in (*table.key, *table.names)))
        sync(new)


def _files(folder: Path) -> list[str]:
    return sorted(path.as_posix() for path in folder.glob("*/*.parquet"))


def _span(path: Path) -> tuple[tuple[int, int], tuple[int, int]]:
    first, _, last = path.stem.partition("_")
    return order(first), order(last)


def _clear(folder: Path, before: str) -> None:
    """Take away what goes beyond the position, and what lies within a file that was put together from it."""
    for left in folder.rglob(".*.new"):
        left.unlink()
    for day in sorted(folder.glob("*/*")):
        spans = {path: _span(path) for path in sorted(day.glob("*.parquet"))}
        for path, (first, last) in spans.items():
            within = any(other != path and start <= first and last <= end for other, (start, end) in spans.items())
            if last > order(before) or within:
                path.unlink()


def _put_days_together(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """One file of each day but the two newest, to which events still come."""
    for kind in KINDS:
        for day in sorted((folder / kind).glob("*"))[:-2]:
            files = sorted(day.glob("*.parquet"), key=_span)
            if len(files) > 1:
                first, last = files[0].stem.partition("_")[0], files[-1].stem.partition("_")[2]
                rows = connection.read_parquet([path.as_posix() for path in files])
                _write_day(rows, TABLES[kind], day / f"{first}_{last}.parquet")
                for path in files:
                    path.unlink()


@contextmanager
def _alone(workspace: Path) -> Iterator[None]:
    """One landing at a time; the lock is the kernel's own and ends with the process."""
    path = Path(workspace) / f"{layout.CONSUMER}.landing"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
