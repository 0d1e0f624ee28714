"""Filling the online store: rows a second against Feast's own `materialize`, into SQLite and into Redis.

Protocol: entities with 20 features, two snapshots each, the newer one wanted. Ours loads all of them, from the Parquet
file to the published version. Feast (its duckdb offline store, its own SQLite and Redis online stores) is given the
same file cut to fewer entities, since at its pace all would take the better part of an hour; it works row by row, so
rows a second are what can be compared. Both sides take turns in one run; the figures are medians.
"""

import argparse
import resource
import shutil
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from statistics import median

from benchmarks.report import Row, report
from benchmarks.wide import AS_OF, TABLE, quiet, redis_binary, stock_feast, stock_online, write
from ecomine.engine import connect
from ecomine.feature_store.materialization import Source, fill
from ecomine.feature_store.online_backend import backend_of
from ecomine.params import EngineParams, OnlineParams
from tests.servers import redis_server


def main() -> None:
    """Take turns and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=1_000_000)
    parser.add_argument("--peer-entities", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--data", help="not needed: the data is simulated")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name, redis_server(redis_binary()) as url:
        folder = Path(name)
        write(folder / "all.parquet", options.entities, 2)
        write(folder / "part.parquet", options.peer_entities, 2)
        for kind in ("sqlite", "redis"):
            ours, theirs = [], []
            for turn in range(options.turns):
                ours.append(_ours(folder, kind, url))
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
                theirs.append(_theirs(folder / f"{kind}{turn}", folder / "part.parquet", kind, url))
                if not turn and kind == "sqlite":
                    rows.append(Row("peak memory before Feast is loaded, GB", memory))
            rows += [
                Row(f"{kind}: seconds for {options.entities:,} entities", median(ours)),
                Row(f"{kind}: Feast, seconds for {options.peer_entities:,} entities", median(theirs)),
                Row(
                    f"{kind}: rows a second",
                    options.entities / median(ours),
                    options.peer_entities / median(theirs),
                ),
            ]
            ratios = [
                (options.entities / mine) / (options.peer_entities / peer)
                for mine, peer in zip(ours, theirs, strict=True)
            ]
            rows.append(Row(f"{kind}: smallest ratio of any turn", min(ratios)))
    report("materialize", f"{options.turns} turns; entities × 20 features; Feast on a cut of the same rows", rows)


def _ours(folder: Path, kind: str, url: str) -> float:
    """Seconds to load everything and publish it."""
    workspace = folder / "ours"
    shutil.rmtree(workspace, ignore_errors=True)
    (workspace / "data/online").mkdir(parents=True)
    settings = OnlineParams(kind=kind, url=None if kind == "sqlite" else url)
    started = time.monotonic()
    with connect(EngineParams(), workspace / "data/.spill") as connection:
        source = Source(TABLE, folder / "all.parquet")
        fill(connection, backend_of(settings, workspace), [source], AS_OF, workspace / "data/online", settings)
    return time.monotonic() - started


def _theirs(folder: Path, rows: Path, kind: str, url: str) -> float:
    """Seconds of Feast's `materialize` alone."""
    with quiet():
        store = stock_feast(folder, rows, stock_online(kind, folder, url))
        started = time.monotonic()
        store.materialize(AS_OF - timedelta(days=364), AS_OF + timedelta(seconds=1))
        return time.monotonic() - started


if __name__ == "__main__":
    main()
