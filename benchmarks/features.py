"""What feature tables cost as the history grows: simulated order lines, the features of the recommender.

Protocol: order lines of a shop, in proportion: a user for every 600 lines, an item for every 50, two years, orders of
nine lines; written by DuckDB as a stream of hashes, never held in memory. Each size is computed by `compute` in a
process of its own, within `engine.memory_limit`; the reading of the clean table, the sorted Parquet files and the start
of Python are in the figures. "A week more" goes on from there with what happened a week later. CPU seconds tell how
cost grows also where other work shares the machine.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from benchmarks.report import Row, report

PROJECT = Path(__file__).parents[1]
AS_OF = datetime(2024, 1, 1)
DAYS = 730
USER_LINES, ITEM_LINES, ORDER_LINES = 600, 50, 9

LIMIT_GB = 24.0
"""Peak memory that 100 million lines must stay within."""

CHILD = """
import json, sys
from datetime import datetime
from pathlib import Path
from ecomine.engine import connect
from ecomine.feature_store import compute
from ecomine.params import EngineParams, FeatureParams
from ecomine.store import Store
workspace, as_of, memory_limit, out = sys.argv[1:]
folder = Path(workspace) / out
folder.mkdir(parents=True)
with connect(EngineParams(memory_limit=memory_limit), Path(workspace) / "spill") as connection:
    relations = Store(Path(workspace)).relations(connection, "data/clean")
    moment, memory = datetime.fromisoformat(as_of), Path(workspace) / "memory"
    print(json.dumps(compute(connection, relations, moment, FeatureParams(), folder, memory=memory)))
"""


LAUNCH = """
import json, resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss]), flush=True)
sys.exit(code)
"""
"""Peak memory is told of the largest child so far, so each computation is the only child of a process."""


def main() -> None:
    """Run every size and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 10, 100], help="order lines, in millions")
    parser.add_argument("--memory-limit", default="3GB", help="engine.memory_limit")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    options = parser.parse_args()
    rows: list[Row] = []
    first: float | None = None
    for millions in options.millions:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            workspace, lines = Path(folder), int(millions * 1e6)
            simulate(workspace / "data/clean/order_lines.parquet", lines)
            week_before = AS_OF - timedelta(days=7)
            whole = _child(workspace, week_before, options.memory_limit, "whole")
            week = _child(workspace, AS_OF, options.memory_limit, "increment")
        print(f"  {millions:g} million lines: {whole}; a week more: {week}", file=sys.stderr, flush=True)
        name, cost = f"{millions:g} million lines", whole.cpu / millions
        first = first or cost
        rows += [
            Row(f"{name}: seconds", whole.seconds),
            Row(f"{name}: CPU seconds", whole.cpu),
            Row(f"{name}: CPU seconds a million", cost, first),
            Row(f"{name}: peak GB", whole.memory, LIMIT_GB),
            Row(f"{name}: feature rows, millions", sum(whole.rows.values()) / 1e6),
            Row(f"{name}: a week more, seconds", week.seconds, whole.seconds),
            Row(f"{name}: a week more, CPU seconds", week.cpu, whole.cpu),
            Row(f"{name}: a week more, peak GB", week.memory, LIMIT_GB),
        ]
    report(
        "features",
        f"a process a size, 2 threads, memory limit {options.memory_limit}; reference of CPU seconds a million: the "
        "smallest size; of a week more: the whole; of memory: what 100 million lines may take",
        rows,
    )


def simulate(path: Path, lines: int) -> None:
    """Write `lines` order lines of DAYS days before AS_OF, the same for the same number, streamed."""
    path.parent.mkdir(parents=True)
    users, items = max(lines // USER_LINES, 10), max(lines // ITEM_LINES, 10)
    connection = duckdb.connect(":memory:")
    connection.execute("SET memory_limit = '1GB'")
    connection.execute(
        f"""COPY (
            WITH draws AS (
                SELECT range AS line, range // {ORDER_LINES} AS order_number,
                    hash(range // {ORDER_LINES}) % 1000003 / 1000003.0 AS who,
                    hash(range // {ORDER_LINES} + 7919) % 1000003 / 1000003.0 AS moment,
                    hash(range * 2 + 1) % 1000003 / 1000003.0 AS what, hash(range * 3 + 2) % 100 AS luck
                FROM range({lines})
            )
            SELECT 'o' || order_number AS order_id,
                'u' || CAST(floor(who * {users}) AS BIGINT) AS user_id,
                'i' || CAST(floor(what * what * {items}) AS BIGINT) AS item_id,
                'l' || order_number % 20 AS location_id,
                TIMESTAMP '{AS_OF}' - to_seconds(1 + CAST(moment * {DAYS * 86_400 - 2} AS BIGINT)) AS event_timestamp,
                1.0 + luck % 3 AS quantity,
                round(1 + luck * 0.17, 2) AS unit_price,
                round(1 + luck * 0.17, 2) + CASE WHEN luck % 5 = 0 THEN 0.5 ELSE 0 END AS list_price,
                CASE WHEN luck % 5 = 0 THEN 0.5 * (1 + luck % 3) ELSE 0 END AS discount
            FROM draws
        ) TO '{path.as_posix()}' (FORMAT parquet, COMPRESSION zstd)"""
    )
    connection.close()


@dataclass(frozen=True)
class Cost:
    """What a computation took: seconds, CPU seconds, peak memory in GB; and the feature rows that it made."""

    seconds: float
    cpu: float
    memory: float
    rows: dict[str, int]


def _child(workspace: Path, as_of: datetime, memory_limit: str, out: str) -> Cost:
    """One computation in a process of its own."""
    command = [sys.executable, "-c", CHILD, str(workspace), as_of.isoformat(), memory_limit, out]
    launch = [sys.executable, "-c", LAUNCH, *command]
    started = time.monotonic()
    done = subprocess.run(launch, cwd=PROJECT, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    if done.returncode:
        raise SystemExit(f"The computation at {as_of} failed:\n{done.stderr[-2000:]}")
    made, used = done.stdout.strip().splitlines()[-2:]
    cpu, memory = json.loads(used)
    return Cost(seconds, cpu, memory / 1e6, json.loads(made))


if __name__ == "__main__":
    main()
