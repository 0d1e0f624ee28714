"""Seconds to make all pages, for a workspace that was walked and for a made-up shop of a million customers.

Protocol: a copy of the workspace (`ecomine run` first; no page may be there, its scripts neither) gets its pages in a
process of its own, both languages, from a cold start and an empty cache, so that Vega is bundled each time. The large
shop is the same workspace with its customers repeated until they are a million: decisions about customers, money by
customer, and the last 30 order lines of each, so that aggregates run over tables of that length; models, metrics and
the other tables stay as they are.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks.report import Row, report
from ecomine import layout

SAMPLE_SECONDS, LARGE_SECONDS = 20.0, 60.0
LINES = 30
"""Order lines of each customer of the large shop."""

MAKE = """
import sys
from pathlib import Path
from ecomine.stages import Context, run
run("report", None, Context.of(Path(sys.argv[1]), print))
"""


def main() -> None:
    """Copy, make, enlarge, make again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="not needed: a workspace is what is measured")
    parser.add_argument("--workspace", type=Path, default=Path(), help="where the road was walked; here by default")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    options = parser.parse_args()
    decided = options.workspace / layout.DECISIONS.format(domain="profiling")
    if not decided.exists():
        raise SystemExit(f"{decided} is not there; walk the road first (`ecomine run`), or name a --workspace.")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        workspace = Path(name) / "workspace"
        copy(options.workspace, workspace)
        small = seconds(workspace)
        largest = max(page.stat().st_size for page in (workspace / layout.REPORTS).glob("*.html"))
        loaded = sum(file.stat().st_size for file in (workspace / f"{layout.REPORTS}/assets").iterdir())
        shutil.rmtree(workspace / layout.REPORTS)
        people = enlarge(workspace, options.users)
        large = seconds(workspace)
    rows = [
        Row("all pages: seconds", small, SAMPLE_SECONDS),
        Row(f"all pages, {people:,} customers: seconds", large, LARGE_SECONDS),
        Row("largest page with what it loads, MB", (largest + loaded) / 1e6, 3.0),
    ]
    report("reports", "every page in two languages; references are the limits", rows)


def copy(source: Path, workspace: Path) -> None:
    """What pages are made of, without the pages that are there."""
    workspace.mkdir()
    for name in ("data", "metrics", "models", "decisions", "deployments", "features", "expectations"):
        shutil.copytree(source / name, workspace / name, ignore=shutil.ignore_patterns("raw", "canonical", "online"))
    shutil.copy(source / "params.yaml", workspace)


def seconds(workspace: Path) -> float:
    """Time of the stage `report` in a fresh process that finds nothing cached."""
    with tempfile.TemporaryDirectory(dir=workspace.parent) as caches:
        environment = os.environ | {"XDG_CACHE_HOME": caches}
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", MAKE, str(workspace)], check=True, stdout=sys.stderr, env=environment)
        return time.monotonic() - started


def enlarge(workspace: Path, users: int) -> int:
    """Repeat the customers until there are so many; returns their number."""
    connection = duckdb.connect()
    decided = workspace / layout.DECISIONS.format(domain="profiling")
    count = connection.execute("SELECT count(*) FROM read_parquet(?)", [str(decided)]).fetchall()[0][0]
    times = -(-users // count)
    files = [workspace / layout.DECISIONS.format(domain=name) for name in ("profiling", "recommendation")]
    files += [workspace / layout.VALUES.format(domain=name) for name in ("profiling", "recommendation")]
    for file in files:
        named = "user_id || '-' || time AS user_id"
        _repeat(connection, file, f"SELECT * REPLACE ({named}) FROM old, range({times}) r(time)")
    newest = "row_number() OVER (PARTITION BY user_id ORDER BY event_timestamp DESC, order_id, item_id)"
    _repeat(
        connection,
        workspace / f"{layout.CLEAN}/order_lines.parquet",
        f"""WITH kept AS (SELECT * FROM old QUALIFY {newest} <= {LINES})
        SELECT * REPLACE (user_id || '-' || time AS user_id, order_id || '-' || time AS order_id)
        FROM kept, range({times}) r(time)""",
    )
    return int(times * count)


def _repeat(connection: duckdb.DuckDBPyConnection, file: Path, query: str) -> None:
    if not file.exists():
        return
    new = file.with_suffix(".new")
    connection.read_parquet(str(file)).create_view("old", replace=True)
    columns = ", ".join(f'"{name}"' for name in connection.sql("SELECT * FROM old LIMIT 0").columns)
    connection.sql(f"SELECT {columns} FROM ({query})").write_parquet(str(new), compression="zstd")
    new.replace(file)


if __name__ == "__main__":
    main()
