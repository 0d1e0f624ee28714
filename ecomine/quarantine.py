"""What cleaning refused: how many rows by reason, and their way back once a rule has changed."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import duckdb

from ecomine import layout, stages
from ecomine.cleaning.tables import REASON
from ecomine.errors import CleaningError
from ecomine.store import Store
from ecomine.tables import MALFORMED, TABLES


class Refused(NamedTuple):
    """So many rows of a table share a reason."""

    table: str
    reason: str
    rows: int


def counts(store: Store) -> list[Refused]:
    """Quarantined rows by table and reason, the most frequent reason of a table first."""
    store.require(layout.QUARANTINE, "clean")
    with duckdb.connect() as connection:
        return [
            Refused(name, reason, rows)
            for name, relation in store.relations(connection, layout.QUARANTINE).items()
            for reason, rows in relation.aggregate(f"{REASON}, count(*) AS rows", REASON)
            .order(f"rows DESC, {REASON}")
            .fetchall()
        ]


def readmit(context: stages.Context) -> list[Refused]:
    """Clean again with today's rules; returns how many rows left quarantine, by table and former reason.

    Raises CleaningError where the canonical tables are no longer those that were cleaned, or where a table's
    rows, clean and refused together, are not as many as before.
    """
    store = context.store
    store.require(layout.QUARANTINE, "clean")
    before = _rows(store)
    with context.connection() as connection:
        for name, relation in store.relations(connection, layout.CANONICAL).items():
            rows = int(relation.count("*").fetchall()[0][0])
            if rows != before.get(name):
                raise CleaningError(
                    f"{name}: the canonical table has {rows:,} rows, the last cleaning saw "
                    f"{before.get(name, 0):,}; it was ingested anew since. Run `ecomine stage clean` first."
                )
    folder = store.path(layout.QUARANTINE)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".quarantine.") as kept:
        former = shutil.copytree(folder, Path(kept) / folder.name, copy_function=os.link)
        stages.run("clean", None, context)
        after = _rows(store)
        if before != after:
            raise CleaningError(f"Rows clean and refused together were {before} by table and are {after} now.")
        with context.connection() as connection:
            return [
                Refused(name, reason, rows)
                for name in store.tables(layout.QUARANTINE)
                if (former / f"{name}.parquet").is_file()
                for reason, rows in _left(connection, name, former / f"{name}.parquet", folder / f"{name}.parquet")
            ]


def _rows(store: Store) -> dict[str, int]:
    report = store.read_json(layout.CLEAN_REPORT, "tables")["tables"]
    return {name: table["clean"] + table["refused"] for name, table in report.items()}


def _left(connection: duckdb.DuckDBPyConnection, name: str, former: Path, current: Path) -> list[tuple[str, int]]:
    """Rows of the file `former` that `current` lacks, copies one by one, counted by their former reason."""
    columns = [f'"{column}"' for column in (*TABLES[name].names, MALFORMED)]
    listed = ", ".join(columns)
    same = " AND ".join(f"was.{column} IS NOT DISTINCT FROM now.{column}" for column in [*columns, "copy"])
    numbered = f"SELECT *, row_number() OVER (PARTITION BY {listed} ORDER BY {REASON}) AS copy FROM read_parquet(?)"
    query = f"""
        SELECT {REASON}, count(*) AS rows
        FROM ({numbered}) AS was ANTI JOIN ({numbered}) AS now ON {same}
        GROUP BY {REASON} ORDER BY rows DESC, {REASON}
    """
    return connection.execute(query, [former.as_posix(), current.as_posix()]).fetchall()
