"""Requests a second, p50 and p99 of each address of the API, from SQLite and Redis, beside an empty and a Feast route.

Protocol: a shop of `--users` customers, the whole road walked, then `ecomine serve` as users run it: one process, keys
off, a receipt for every answer. Beside it an empty FastAPI route, and Feast's feature server (its own SQLite online
store, filled with the same features) with the same XGBoost model in a plain FastAPI route, which keeps no receipts. All
under uvicorn. A load of `--connections` connections that stay open, each asking as soon as it was answered, other
customers and products each time; `--seconds` for each address in each of `--rounds` rounds, all sides in turn, and the
median of the rounds. Where there are processors enough, the server has one and the load another. References: the empty
route for `of an empty route`, the plain route over Feast for `a recommendation beside Feast`.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.load import Load, drive, request
from benchmarks.report import Row, report
from benchmarks.wide import quiet, redis_binary
from benchmarks.workspaces import PROJECT
from tests.conftest import LENIENT, change_params, make_workspace, walk
from tests.servers import free_port, redis_server
from tests.shop import tiny_shop

DOMAINS = ["profiling", "recommendation", "pricing"]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--workspace", type=Path, help="a deployed workspace, copied, in place of a simulated shop")
    parser.add_argument("--data", help="not needed: the data is simulated")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        workspace = folder / "sqlite"
        if options.workspace:
            shutil.copytree(options.workspace, workspace, ignore=shutil.ignore_patterns("raw", "receipts"))
        else:
            make_workspace(workspace, tiny_shop(options.users, options.users // 2), gate=LENIENT, domains=DOMAINS)
            with quiet():
                walk(workspace)
        for copy in ("redis", "feast"):
            shutil.copytree(workspace, folder / copy, ignore=shutil.ignore_patterns("raw", "receipts"))
        url = stack.enter_context(redis_server(redis_binary()))
        change_params(folder / "redis", online={"kind": "redis", "url": url})
        with quiet():
            walk(folder / "redis", "materialize")
        ports = {
            "empty": stack.enter_context(_peer("empty", "/empty")),
            **{side: stack.enter_context(_ours(folder / side)) for side in ("sqlite", "redis")},
        }
        features = stack.enter_context(_peer("features", "/health", "--workspace", str(folder / "feast")))
        address = f"http://127.0.0.1:{features}"
        more = ("--workspace", str(folder / "feast"), "--features", address)
        ports["feast"] = stack.enter_context(_peer("route", "/docs", *more))
        if len(os.sched_getaffinity(0)) > 1:
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        rows = _measure(ports, _questions(workspace, ports["sqlite"]), options)
    text = f"{options.connections} connections, {options.seconds:g} s each, median of {options.rounds} rounds"
    report("serve", f"{text}; beside an empty FastAPI route, and Feast's server with the same model", rows)


def _questions(workspace: Path, port: int) -> dict[str, list[bytes]]:
    """Requests of each address."""
    lines = pd.read_parquet(workspace / "data/clean/order_lines.parquet", columns=["user_id", "item_id"])
    random = np.random.default_rng(7)
    users = random.permutation(np.array(sorted(lines["user_id"].unique()), object))[:5000].tolist()
    items = random.permutation(np.array(sorted(lines["item_id"].unique()), object)).tolist()
    baskets = [items[number : number + 3] for number in range(0, len(items) - 3, 3)]
    receipts = []
    for user in users[:100]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/recommendations/{user}") as answer:
            receipts.append(answer.headers["X-Receipt-ID"])

    def posted(path: str, bodies: list[dict]) -> list[bytes]:
        return [request("POST", path, json.dumps(body).encode()) for body in bodies]

    known = {"skip_unknown": True}
    return {
        "GET /v1/recommendations/{id}": [request("GET", f"/v1/recommendations/{user}") for user in users],
        "POST /v1/recommendations, 100": posted(
            "/v1/recommendations", [{"user_ids": users[at : at + 100]} for at in range(0, len(users) - 99, 100)]
        ),
        "POST /v1/recommendations/basket": posted("/v1/recommendations/basket", [{"item_ids": b} for b in baskets]),
        "POST /v1/recommendations/similar": posted("/v1/recommendations/similar", [{"item_ids": b} for b in baskets]),
        "POST /v1/recommendations/visit": posted("/v1/recommendations/visit", [{"item_ids": b} for b in baskets]),
        "GET /v1/profiles/{id}": [request("GET", f"/v1/profiles/{user}") for user in users],
        "POST /v1/prices, 1": posted("/v1/prices", [{"items": [{"item_id": item}], **known} for item in items]),
        "GET /v1/receipts/{id}": [request("GET", f"/v1/receipts/{one}") for one in receipts],
        "GET /v1/models": [request("GET", "/v1/models")],
        "GET /readyz": [request("GET", "/readyz")],
        "GET /metrics": [request("GET", "/metrics")],
        "GET /healthz": [request("GET", "/healthz")],
    }


def _measure(ports: dict[str, int], questions: dict[str, list[bytes]], options: argparse.Namespace) -> list[Row]:
    first = next(iter(questions))
    plain = [one.replace(b"/v1/recommendations/", b"/recommend/", 1) for one in questions[first]]
    asked = {("empty", "empty"): [request("GET", "/empty")], ("feast", "plain route over Feast"): plain}
    asked |= {(side, name): bodies for side in ("sqlite", "redis") for name, bodies in questions.items()}
    loads: dict[tuple[str, str], list[Load]] = {key: [] for key in asked}
    for _, (key, bodies) in itertools.product(range(options.rounds), asked.items()):
        drive(ports[key[0]], bodies, 0.5, options.connections)  # what nobody has asked yet is loaded now
        load = drive(ports[key[0]], bodies, options.seconds, options.connections)
        if load.failed:
            raise SystemExit(f"{key}: {load.statuses}")
        loads[key].append(load)
    rate = {key: float(np.median([load.rate for load in found])) for key, found in loads.items()}
    rows = []
    for key, found in loads.items():
        name = f"{key[0]}: {key[1]}" if key[0] != key[1] else key[0]
        rows.append(Row(f"{name}, requests/s", rate[key], None if key[0] == "empty" else rate["empty", "empty"]))
        for share in (50, 99):
            spent = float(np.median([np.percentile(load.seconds, share) for load in found])) * 1e3
            rows.append(Row(f"{name}, p{share}, ms", spent))
    feast = rate["feast", "plain route over Feast"]
    for side in ("sqlite", "redis"):
        rows.append(Row(f"{side}: a recommendation of an empty route", rate[side, first], rate["empty", "empty"]))
        rows.append(Row(f"{side}: a recommendation beside Feast", rate[side, first], feast))
    return rows


@contextmanager
def _ours(workspace: Path) -> Iterator[int]:
    port = free_port()
    main_ = "import sys; from ecomine.cli import main; sys.exit(main())"
    with _process(["-c", main_, "--workspace", str(workspace), "serve", "--port", str(port)], port, "/readyz"):
        yield port


@contextmanager
def _peer(side: str, path: str, *more: str) -> Iterator[int]:
    port = free_port()
    with _process(["-m", "benchmarks.serve_peers", side, "--port", str(port), *more], port, path):
        yield port


@contextmanager
def _process(arguments: list[str], port: int, path: str) -> Iterator[None]:
    """A server on a processor of its own, until it answers."""
    processors = sorted(os.sched_getaffinity(0))
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {processors[0]}),
    )
    try:
        deadline = time.monotonic() + 180
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10).close()
                break
            except (urllib.error.URLError, OSError):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{' '.join(arguments)} does not answer on port {port}.") from None
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
