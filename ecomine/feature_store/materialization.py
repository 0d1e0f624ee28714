"""Filling the online store: the newest row of every entity, streamed from the feature tables into SQLite."""

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

from ecomine import layout
from ecomine.engine import connect
from ecomine.errors import MissingInputError
from ecomine.feature_store.catalogue import FEATURE_TABLES, engine_params, feature_params
from ecomine.feature_store.declaration import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from ecomine.feature_store.online import ABOUT, EVENT, create_table, insert_row, name
from ecomine.params import FeatureParams

BATCH = 50_000


def materialize(workspace: Path, folder: Path, as_of: datetime) -> dict[str, int]:
    """Write `folder`/online.db: of every entity the newest row not after as_of that still holds then.

    Returns the entities by feature table. Raises MissingInputError where a feature table is absent.
    """
    workspace = Path(workspace)
    params = feature_params(workspace)
    rows = {}
    file = sqlite3.connect(folder / "online.db", isolation_level=None)
    try:
        # The file is made beside its place and renamed as a whole, so a journal would guard nothing.
        for pragma in ("page_size = 8192", "journal_mode = OFF", "synchronous = OFF", "cache_size = -65536"):
            file.execute(f"PRAGMA {pragma}")
        file.execute("BEGIN")
        file.execute(f"CREATE TABLE {ABOUT} (as_of TEXT NOT NULL)")
        file.execute(f"INSERT INTO {ABOUT} VALUES (?)", (as_of.isoformat(),))
        for table in FEATURE_TABLES:
            rows[table] = _load(file, workspace, table, as_of, params)
        file.execute("COMMIT")
    finally:
        file.close()
    return rows


def _load(file: sqlite3.Connection, workspace: Path, table_name: str, as_of: datetime, params: FeatureParams) -> int:
    table = FEATURE_TABLES[table_name]
    source = workspace / layout.FEATURES / f"{table_name}.parquet"
    if not source.exists():
        raise MissingInputError(f"{layout.FEATURES}/{table_name}.parquet is not there; run `ecomine stage features`.")
    features = [column.name for column in table.columns(params)]
    keys = ", ".join(map(name, table.keys))
    create_table(file, table_name, table.keys, features)
    insert = insert_row(table_name, table.keys, features)
    with connect(engine_params(workspace), workspace / layout.SPILL) as connection:
        newest = connection.sql(
            f"SELECT {keys}, {', '.join(map(name, features))}, epoch_us({EVENT_TIMESTAMP}) AS {EVENT} "
            f"FROM read_parquet(?) WHERE {EVENT_TIMESTAMP} BETWEEN ? AND ? "
            f"QUALIFY row_number() OVER (PARTITION BY {keys} "
            f"ORDER BY {EVENT_TIMESTAMP} DESC, {CREATED_TIMESTAMP} DESC) = 1 ORDER BY {keys}",
            params=[source.as_posix(), as_of - timedelta(days=table.ttl(params)), as_of],
        )
        count = 0
        while batch := newest.fetchmany(BATCH):
            file.executemany(insert, batch)
            count += len(batch)
    return count
