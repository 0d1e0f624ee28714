"""Profiles of a million customers: everything that is told of everybody, beside a plain aggregation in DuckDB.

Protocol: order lines of simulated customers over two years (joining evenly, buying at a rate of their own, stopping at
a moment of their own), written by DuckDB as a stream of hashes; items have a category and a brand. Each part runs in a
process of its own, whose peak memory is told: `label` (customers as they were known at five moments), `fit` (lifetime,
trees, segments, vectors, behaviour), `decide` (all profiles with reasons, written to Parquet as they come). No feature
store: what it costs is told by the benchmark `features`. The reference is recency, frequency and money by customer as
one GROUP BY of DuckDB over the same file, written to Parquet, in the same run.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import duckdb

from benchmarks.report import Row, report

PROJECT = Path(__file__).parents[1]
AS_OF = datetime(2024, 1, 1)
DAYS = 730
ITEMS = 50_000

LIMIT_GB = 8.0
"""Peak memory that a million customers must stay within."""


def main() -> None:
    """Simulate, profile, aggregate, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="not needed: the data is simulated")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-limit", default="3GB", help="engine.memory_limit, of DuckDB alone")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        started = time.monotonic()
        PARTS[options.part](options.folder, options.threads, options.memory_limit)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps([time.monotonic() - started, peak]))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        lines = simulate(folder, options.users)
        cost = {part: _child(part, folder, options) for part in PARTS}
        told, plain = (_rows(folder / f"{name}.parquet") for name in ("profiles", "plain"))
    if told != plain:
        raise SystemExit(f"{told:,} profiles for {plain:,} customers.")
    seconds = sum(cost[part][0] for part in ("label", "fit", "decide"))
    peak = max(cost[part][1] for part in ("label", "fit", "decide"))
    rows = [
        Row("profiles: seconds", seconds, cost["plain"][0]),
        Row("profiles: peak memory, GB", peak, cost["plain"][1]),
        Row("profiles: peak memory, GB (limit 8)", peak, LIMIT_GB),
        Row("profiles a second", told / seconds, plain / cost["plain"][0]),
    ]
    for part in ("label", "fit", "decide"):
        rows += [Row(f"{part}: seconds", cost[part][0]), Row(f"{part}: peak memory, GB", cost[part][1], LIMIT_GB)]
    report(
        "profiles_scale",
        f"{told:,} customers, {lines:,} order lines, {options.threads} threads; reference: plain DuckDB aggregation",
        rows,
    )


def simulate(folder: Path, users: int) -> int:
    """Write order_lines.parquet and items.parquet, the same for the same number; returns the number of lines."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET memory_limit = '1GB'")
    connection.execute(
        f"""COPY (SELECT 'i' || range AS item_id, 'department ' || range % 20 || ' > aisle ' || range % 400 AS category,
            'brand ' || hash(range) % 1500 AS brand FROM range({ITEMS}))
        TO '{(folder / "items.parquet").as_posix()}' (FORMAT parquet)"""
    )

    def draw(what: str, salt: int) -> str:
        return f"((hash({what} * 64 + {salt}) % 1000003 + 0.5) / 1000003.0)"

    connection.execute(
        f"""COPY (
            WITH users AS (SELECT range AS u, {draw("range", 1)} * {DAYS} AS joined,
                    -ln({draw("range", 2)}) * 400 AS life, -ln({draw("range", 3)}) / 60 AS rate,
                    {draw("range", 4)} AS taste, {draw("range", 5)} AS thrift FROM range({users})),
            lives AS (SELECT *, least(life, {DAYS} - joined) AS active FROM users),
            orders AS (SELECT *, u * 1024 + unnest(range(least(1 + CAST(floor(rate * active) AS BIGINT), 1000))) AS o
                FROM lives),
            lines AS (SELECT *, o * 16 + unnest(range(least(1 + CAST(floor(-ln({draw("o", 6)}) * 2) AS BIGINT), 15)))
                AS line FROM orders)
            SELECT 'o' || o AS order_id, 'u' || u AS user_id,
                'i' || CAST(floor(((taste + {draw("line", 7)} ** 3 / 3) % 1) * {ITEMS}) AS BIGINT) AS item_id,
                TIMESTAMP '{AS_OF}' - to_seconds(CAST(({DAYS} - joined - active * {draw("o", 8)}) * 86400 AS BIGINT))
                    AS event_timestamp,
                1.0 + hash(line) % 3 // 2 AS quantity,
                round(list * CASE WHEN off THEN 0.8 ELSE 1 END, 2) AS unit_price, list AS list_price,
                CASE WHEN off THEN round(0.2 * list, 2) ELSE 0 END AS discount
            FROM (SELECT *, round(2 + {draw("line", 9)} * 30, 2) AS list, {draw("line", 10)} < 0.5 * thrift AS off
                FROM lines)
        ) TO '{(folder / "order_lines.parquet").as_posix()}' (FORMAT parquet, COMPRESSION zstd)"""
    )
    connection.close()
    return _rows(folder / "order_lines.parquet")


def _label(folder: Path, threads: int, memory_limit: str) -> None:
    from ecomine.profiling.features import label
    from ecomine.store import write_frame

    rows = label(_inputs(folder, threads, memory_limit))
    write_frame(folder / "train.parquet", rows.train)
    write_frame(folder / "test.parquet", rows.test)


def _fit(folder: Path, threads: int, memory_limit: str) -> None:
    import pandas as pd

    from ecomine.profiling import DOMAIN

    model = DOMAIN.fit(pd.read_parquet(folder / "train.parquet"), _inputs(folder, threads, memory_limit))
    (folder / "model").mkdir()
    model.save(folder / "model")


def _decide(folder: Path, threads: int, memory_limit: str) -> None:
    from ecomine.profiling import DOMAIN, ProfilingParams
    from ecomine.store import write_frame

    model = DOMAIN.load(folder / "model")
    write_frame(folder / "profiles.parquet", DOMAIN.decide(model, DOMAIN.request(model, None), ProfilingParams()))


def _plain(folder: Path, threads: int, memory_limit: str) -> None:
    connection = duckdb.connect(":memory:")
    connection.execute(f"SET memory_limit = '{memory_limit}'")
    connection.execute(f"SET threads = {threads}")
    connection.execute(
        f"""COPY (SELECT user_id, max(event_timestamp) AS last_order, count(DISTINCT order_id) AS frequency,
            sum(quantity * unit_price) AS money FROM '{(folder / "order_lines.parquet").as_posix()}' GROUP BY user_id)
        TO '{(folder / "plain.parquet").as_posix()}' (FORMAT parquet)"""
    )


PARTS = {"plain": _plain, "label": _label, "fit": _fit, "decide": _decide}


def _inputs(folder: Path, threads: int, memory_limit: str):  # type: ignore[no-untyped-def]
    from ecomine.domain import Inputs
    from ecomine.engine import connect
    from ecomine.params import EngineParams
    from ecomine.profiling import ProfilingParams

    connection = connect(EngineParams(memory_limit=memory_limit, threads=threads), folder / "spill")
    tables = {name: connection.read_parquet(f"{folder / name}.parquet") for name in ("order_lines", "items")}
    return Inputs(connection, tables, AS_OF, ProfilingParams(), 42, threads)


def _child(part: str, folder: Path, options: argparse.Namespace) -> tuple[float, float]:
    """Seconds and peak memory in GB of one part in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.profiles_scale", "--part", part, "--folder", str(folder)]
    command += ["--threads", str(options.threads), "--memory-limit", options.memory_limit]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"The part {part} failed:\n{done.stderr[-2000:]}")
    seconds, memory = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"  {part}: {seconds:.1f} s, {memory:.2f} GB", file=sys.stderr, flush=True)
    return seconds, memory


def _rows(path: Path) -> int:
    found = duckdb.sql("SELECT num_rows FROM parquet_file_metadata(?)", params=[path.as_posix()]).fetchone()
    return int(found[0]) if found else 0


if __name__ == "__main__":
    main()
