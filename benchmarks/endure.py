"""Requests while versions and features are exchanged all the time, and the answers made again from their receipts.

Protocol: a shop of `--users` customers, two versions of recommendation, `ecomine serve`. `--requests` requests for
lists, other customers and lengths each time, over `--connections` connections that stay open; meanwhile, without a
pause, one version is deployed, rolled back, tried as a canary for 30 % of the customers, promoted, rolled back, and the
online store loaded anew. A request fails whose status is not 200 or whose connection breaks. Then the last `--receipts`
receipts are replayed as `ecomine replay --last` does: each different one once, by version.
"""

import argparse
import shutil
import tempfile
import time
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from benchmarks.load import Load, drive, request
from benchmarks.report import Row, report
from benchmarks.serve import _ours
from benchmarks.wide import quiet
from ecomine import deployment
from ecomine.domains import DOMAINS
from ecomine.serving.receipts import Receipts
from ecomine.serving.replay import Replayer
from ecomine.stages import Context, run
from ecomine.store import Store
from tests.conftest import LENIENT, bring_candidate, change_params, make_workspace, walk
from tests.shop import tiny_shop

DOMAIN = DOMAINS["recommendation"]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=250)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--receipts", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--data", help="not needed: the data is simulated")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        workspace = Path(name) / "shop"
        with quiet():
            _two_versions(workspace, options.users)
        with _ours(workspace) as server, ProcessPoolExecutor(1, get_context("spawn")) as pool:
            asked = _questions(workspace)
            future = pool.submit(drive, server.port, asked, 3600.0, options.connections, options.requests)
            with quiet():
                exchanges = _exchange(workspace, future)
            load = future.result()
        rows = [
            Row("requests", float(len(load.seconds))),
            Row("requests that failed", float(load.failed)),
            Row("versions and features exchanged", float(exchanges)),
            Row("requests/s meanwhile", load.rate),
            *_replayed(workspace, options.receipts),
        ]
    report("endure", f"{options.connections} connections, {options.users} customers", rows)


def _two_versions(workspace: Path, users: int) -> None:
    """A deployed version, and another one that passed its gate."""
    make_workspace(
        workspace, tiny_shop(users, users // 2), gate=LENIENT, domains=["recommendation"], engine={"threads": 1}
    )
    walk(workspace)
    other = Path(shutil.copytree(workspace, workspace.with_name("other")))
    change_params(other, recommendation={"max_depth": 1, "max_rounds": 3})
    walk(other, "train", "evaluate", "decide", "gate")
    bring_candidate(workspace, other)


def _questions(workspace: Path) -> list[bytes]:
    lines = pd.read_parquet(workspace / "data/clean/order_lines.parquet", columns=["user_id"])
    users = sorted(lines["user_id"].unique())
    return [request("GET", f"/v1/recommendations/{user}?k={k}") for k in range(1, 21) for user in users]


def _exchange(workspace: Path, future: "Future[Load]") -> int:
    """Exchange what answers until the load is over; returns how often."""
    context, count = Context.of(workspace), 0
    steps = (
        lambda: deployment.promote(context, DOMAIN),
        lambda: deployment.rollback(context, DOMAIN),
        lambda: deployment.challenge(context, DOMAIN, 0.3),
        lambda: deployment.promote_challenger(context, DOMAIN),
        lambda: deployment.rollback(context, DOMAIN),
        lambda: run("materialize", None, context),
    )
    while not future.done():
        steps[count % len(steps)]()
        count += 1
        time.sleep(0.5)  # some answers by each
    return count


def _replayed(workspace: Path, last: int) -> list[Row]:
    receipts, replayer = Receipts(Store(workspace), 30.0), Replayer(Store(workspace))
    count = equal = different = 0
    begun = time.perf_counter()
    for receipt, same in receipts.alike(last):
        differences = replayer.differences(receipt)
        count, different = count + len(same), different + 1
        equal += 0 if differences else len(same)
    seconds = time.perf_counter() - begun
    size = sum(path.stat().st_size for path in (workspace / "data/receipts").glob("receipts.db*"))
    return [
        Row("receipts replayed", float(count)),
        Row("receipts replayed, equal", float(equal), float(count)),
        Row("receipts replayed, different answers", float(different)),
        Row("receipts replayed, seconds", seconds),
        Row("bytes a receipt, all of the file", size / max(receipts.count(), 1)),
    ]


if __name__ == "__main__":
    main()
