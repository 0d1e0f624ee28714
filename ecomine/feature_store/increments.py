"""What an earlier run leaves for the next: its feature tables, and proof that their older rows are still true.

A run at as_of keeps the rows of the run before up to a boundary and computes what comes after. The boundary lies on a
snapshot, at least `overlap_days` before the as_of of the run before. It holds only where the sources say about the
time up to the boundary what they said then; this is seen from a digest. So a row that is late by more than the overlap
costs a computation of everything, and never a wrong feature.

Snapshots are counted back from as_of, so two runs share them where whole steps lie between. Each weekday of a weekly
step therefore has a place of its own in the memory.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from ecomine.feature_store.declaration import DAY, FeatureTable
from ecomine.params import FeatureParams
from ecomine.store import replacing, write_json
from ecomine.tables import TABLES

RECORD = "record.json"
LABEL_TIME = "label_timestamp"
LABELS = ("is_fraud", "defaulted")


@dataclass(frozen=True)
class Last:
    """What can be kept of an earlier run: the rows in `folder` up to `boundary`, which is snapshot `newest` now."""

    why: str
    newest: int | None = None
    boundary: datetime | None = None
    folder: Path | None = None


def find(
    connection: duckdb.DuckDBPyConnection,
    tables: Mapping[str, duckdb.DuckDBPyRelation],
    as_of: datetime,
    params: FeatureParams,
    made: Sequence[FeatureTable],
    memory: Path | None,
) -> Last:
    """What can be kept of the run before."""
    if memory is None:
        return Last("features are computed from the whole history")
    folder = _place(memory, as_of, params)
    if not (folder / RECORD).is_file():
        return Last("features are computed from the whole history: there is no earlier run to go on from")
    record = json.loads((folder / RECORD).read_text())
    if record["definitions"] != definitions(params, made):
        return Last("features are computed from the whole history: definitions or settings changed")
    before, boundary = datetime.fromisoformat(record["as_of"]), datetime.fromisoformat(record["boundary"])
    if before > as_of:
        return Last("features are computed from the whole history: the earlier run was of a later day")
    if record["sources"] != digests(connection, tables, made, boundary):
        return Last(f"features are computed from the whole history: rows from before {boundary:%Y-%m-%d} changed")
    newest = (as_of - boundary) // timedelta(days=params.snapshot_days)
    return Last(f"features are kept up to {boundary} and computed from there on", newest, boundary, folder)


def keep(
    connection: duckdb.DuckDBPyConnection,
    tables: Mapping[str, duckdb.DuckDBPyRelation],
    as_of: datetime,
    params: FeatureParams,
    made: Sequence[FeatureTable],
    folder: Path,
    memory: Path | None,
) -> None:
    """Leave the feature tables in `folder` for the next run."""
    if memory is None:
        return
    step = params.snapshot_days
    boundary = as_of - timedelta(days=math.ceil(params.overlap_days / step) * step)
    record = {
        "as_of": as_of,
        "boundary": boundary,
        "definitions": definitions(params, made),
        "sources": digests(connection, tables, made, boundary),
    }
    with replacing(_place(memory, as_of, params)) as place:
        place.mkdir(parents=True)
        for table in made:
            _link(folder / f"{table.name}.parquet", place / f"{table.name}.parquet")
        write_json(place / RECORD, record)


def _link(source: Path, target: Path) -> None:
    # Feature tables are never written to in place, so one file may have two names.
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _place(memory: Path, as_of: datetime, params: FeatureParams) -> Path:
    """The folder of all runs whose snapshots fall on the same days and hours."""
    since = (as_of - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    return memory / str(since % (params.snapshot_days * DAY * 1_000_000))


def definitions(params: FeatureParams, made: Sequence[FeatureTable]) -> str:
    """A digest of all that features depend on beside their sources: settings, the names of the tables, this code."""
    code = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        code.update(path.read_bytes())
    settings = {**asdict(params), "tables": [table.name for table in made]}
    return hashlib.sha256(f"{json.dumps(settings, sort_keys=True)} {code.hexdigest()}".encode()).hexdigest()


def digests(
    connection: duckdb.DuckDBPyConnection,
    tables: Mapping[str, duckdb.DuckDBPyRelation],
    made: Sequence[FeatureTable],
    boundary: datetime,
) -> dict[str, list[Any]]:
    """For each source of the tables: its columns, and the number and the summed hash of its rows up to `boundary`."""
    found = {}
    for name in sorted({name for table in made for name in (*table.sources, *table.improves)}):
        if name in tables:
            relation, time = tables[name], TABLES[name].time
            columns = ", ".join(_known(column, relation.columns, boundary) for column in relation.columns)
            known = relation.filter(f"{time} <= TIMESTAMP '{boundary}'") if time else relation
            row = known.aggregate(f"count(*) AS n, sum(hash({columns})::HUGEINT)::VARCHAR AS total").fetchone()
            found[name] = [list(relation.columns), *(row or ())]
    return found


def _known(column: str, columns: Sequence[str], boundary: datetime) -> str:
    """The column as SQL; a label that came out after the boundary is as good as none."""
    if LABEL_TIME in columns and column in (*LABELS, LABEL_TIME):
        return f"CASE WHEN {LABEL_TIME} <= TIMESTAMP '{boundary}' THEN \"{column}\" END"
    return f'"{column}"'
