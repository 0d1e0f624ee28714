"""A simulated shop, written by `ecomine simulate` into the folder `raw`: a folder of Parquet files a table.

Labels are what the shop has been told by the last simulated day: a payment is fraud from the day of its charge-back,
and honest once nobody has complained for MATURITY_DAYS; credit has failed when that was reported, and is good after
twice its term. The truth, in a folder of its own, is never read.
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from ecomine.errors import SourceError
from ecomine.params import Params
from ecomine.sources.conform import conform, literal
from ecomine.tables import TABLES

MANIFEST = "shop.json"
MATURITY_DAYS = 90
CREDIT_DAYS = 120

LABELS = {
    "payments": ("charge_backs", "payment_id", "is_fraud", MATURITY_DAYS),
    "credit": ("defaults", "account_id", "defaulted", CREDIT_DAYS),
}
"""Table → where its bad labels are told, by which key, which column they set, days until no news is good news."""


def read(
    connection: duckdb.DuckDBPyConnection, params: Params, workspace: Path
) -> Iterator[tuple[str, duckdb.DuckDBPyRelation]]:
    """The tables of the simulated shop; raises SourceError where there is none."""
    folder = workspace / params.raw
    file = folder / MANIFEST
    if not file.is_file():
        raise SourceError(
            f"{params.raw} holds no simulated shop (no {MANIFEST}). Make one in this workspace with "
            "`ecomine simulate --out .`, or run `make run SOURCE=simulated`."
        )
    there = json.loads(file.read_text())
    end = datetime.fromisoformat(there["settings"]["start"]) + timedelta(days=there["days"])
    for name in TABLES:
        if any((folder / name).glob("*.parquet")):
            rows = _labelled(connection, folder, name, end) if name in LABELS else _scan(connection, folder, name)
            yield name, conform(rows, name, f"{params.raw}/{name}:")


def _files(folder: Path, name: str) -> str:
    return f"read_parquet({literal((folder / name / '*.parquet').as_posix())})"


def _scan(connection: duckdb.DuckDBPyConnection, folder: Path, name: str) -> duckdb.DuckDBPyRelation:
    return connection.sql(f"SELECT * FROM {_files(folder, name)}")


def _labelled(connection: duckdb.DuckDBPyConnection, folder: Path, name: str, end: datetime) -> duckdb.DuckDBPyRelation:
    """Rows with their label, and when it became known; both null while nobody can know."""
    table, key, label, days = LABELS[name]
    told = any((folder / table).glob("*.parquet"))
    news = f"SELECT {key}, reported FROM {_files(folder, table)}" if told else (
        f"SELECT CAST(NULL AS BIGINT) AS {key}, CAST(NULL AS TIMESTAMP) AS reported WHERE false"
    )  # fmt: skip
    quiet = f"event_timestamp + INTERVAL {days} DAY"
    known = f"{quiet} <= TIMESTAMP '{end}'"
    return connection.sql(
        f"""SELECT rows.*,
            CASE WHEN reported IS NOT NULL THEN true WHEN {known} THEN false END AS {label},
            CASE WHEN reported IS NOT NULL THEN reported WHEN {known} THEN {quiet} END AS label_timestamp
        FROM {_files(folder, name)} AS rows LEFT JOIN ({news}) USING ({key})"""
    )
