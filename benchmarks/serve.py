"""Requests a second, p50 and p99 of each address of the API, from SQLite and Redis, beside an empty and a Feast route.

Protocol: a shop of `--users` customers, the whole road walked, then `ecomine serve` as users run it: one process, keys
off, a receipt for every answer. A recommendation is asked for in three ways: the first ask of each customer, whose
answer was made ahead by the server's own process before the load began; asked again; and made when asked for, by a
server that makes none ahead and remembers none. Beside it an empty FastAPI route, and Feast's feature server (its own
SQLite online store, filled with the same features) with the same XGBoost model in a plain FastAPI route, which keeps
no receipts. All under uvicorn. A load of `--connections` connections that stay open, each asking as soon as it was
answered, other customers and products each time; `--seconds` for each address in each of `--rounds` rounds, all sides
in turn, and the median of the rounds. Where there are processors enough, the server has one and the load another.
References: the empty route for `of an empty route`, the plain route over Feast for `a recommendation beside Feast`.
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
from dataclasses import dataclass
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
LISTS = "GET /v1/recommendations/{id}"


@dataclass(frozen=True)
class Server:
    """Where it answers, and its process."""

    port: int
    process: int

    @property
    def processor_seconds(self) -> float:
        """Used so far."""
        spent = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, spent)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--workspace", type=Path, help="a deployed workspace, copied, in place of a simulated shop")
    parser.add_argument("--no-feast", action="store_true", help="leave the peer out, which takes a minute to start")
    parser.add_argument("--data", help="not needed: the data is simulated")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        workspace = folder / "sqlite"
        if options.workspace:
            shutil.copytree(options.workspace, workspace, ignore=shutil.ignore_patterns("raw", "receipts", "ahead"))
        else:
            make_workspace(workspace, tiny_shop(options.users, options.users // 2), gate=LENIENT, domains=DOMAINS)
            with quiet():
                walk(workspace)
        for copy in ("redis", "feast", "plain"):
            shutil.copytree(workspace, folder / copy, ignore=shutil.ignore_patterns("raw", "receipts", "ahead"))
        url = stack.enter_context(redis_server(redis_binary()))
        change_params(folder / "redis", online={"kind": "redis", "url": url})
        change_params(folder / "plain", serving={"ahead": False, "memory_mb": 0})
        with quiet():
            walk(folder / "redis", "materialize")
        servers = {
            "empty": stack.enter_context(_peer("empty", "/empty")),
            **{side: stack.enter_context(_ours(folder / side)) for side in ("sqlite", "redis", "plain")},
        }
        for side in ("sqlite", "redis"):
            _await(folder / side / "data/ahead/recommendation.db")
        if not options.no_feast:
            servers["feast"] = _feast(stack, folder / "feast")
        if len(os.sched_getaffinity(0)) > 1:
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        questions = {side: _questions(workspace, servers[side].port) for side in ("sqlite", "redis")}
        rows = _measure(servers, questions, options)
    text = f"{options.connections} connections, {options.seconds:g} s each, median of {options.rounds} rounds"
    report("serve", f"{text}; beside an empty FastAPI route, and Feast's server with the same model", rows)


def _feast(stack: ExitStack, workspace: Path) -> Server:
    features = stack.enter_context(_peer("features", "/health", "--workspace", str(workspace)))
    more = ("--workspace", str(workspace), "--features", f"http://127.0.0.1:{features.port}")
    return stack.enter_context(_peer("route", "/docs", *more))


def _await(file: Path) -> None:
    """Until answers are made ahead; they are put in their place as a whole."""
    deadline = time.monotonic() + 900
    while not file.exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"{file} was not made.")
        time.sleep(0.2)


def _questions(workspace: Path, port: int) -> dict[str, list[bytes]]:
    """Requests of each address."""
    lines = pd.read_parquet(workspace / "data/clean/order_lines.parquet", columns=["user_id", "item_id"])
    random = np.random.default_rng(7)
    users = random.permutation(np.array(sorted(lines["user_id"].unique()), object))[:5000].tolist()
    items = random.permutation(np.array(sorted(lines["item_id"].unique()), object)).tolist()
    baskets = [items[number : number + 3] for number in range(0, len(items) - 3, 3)]
    receipts = []
    for user in users[:100]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/recommendations/{user}?k=19") as answer:
            receipts.append(answer.headers["X-Receipt-ID"])

    def posted(path: str, bodies: list[dict]) -> list[bytes]:
        return [request("POST", path, json.dumps(body).encode()) for body in bodies]

    known = {"skip_unknown": True}
    return {
        LISTS: [request("GET", f"/v1/recommendations/{user}") for user in users],
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


FIRST, AGAIN, MADE = "a recommendation, first ask", "a recommendation, asked again", "a recommendation, made when asked"


def _measure(
    servers: dict[str, Server], questions: dict[str, dict[str, list[bytes]]], options: argparse.Namespace
) -> list[Row]:
    lists = questions["sqlite"].pop(LISTS)
    questions["redis"].pop(LISTS)
    asked = {("empty", "empty"): [request("GET", "/empty")]}
    for side in ("sqlite", "redis"):
        asked |= {(side, FIRST): lists, (side, AGAIN): lists}
    asked["plain", MADE] = lists
    if "feast" in servers:
        plain = [one.replace(b"/v1/recommendations/", b"/recommend/", 1) for one in lists]
        asked["feast", "plain route over Feast"] = plain
    asked |= {(side, name): bodies for side, own in questions.items() for name, bodies in own.items()}
    loads: dict[tuple[str, str], list[Load]] = {key: [] for key in asked}
    spent: dict[tuple[str, str], list[float]] = {key: [] for key in asked}
    share = len(lists) // options.rounds
    for number, (key, bodies) in itertools.product(range(options.rounds), asked.items()):
        server, connections = servers[key[0]], options.connections
        port = server.port
        if key[1] == FIRST:  # others each round, each of them once
            drive(port, [request("GET", "/v1/models")], 0.5, connections)
            fresh = bodies[number * share : (number + 1) * share]
            begun = server.processor_seconds
            load = drive(port, fresh, 600.0, connections, len(fresh))
        else:
            if key[1] == AGAIN:
                bodies = bodies[: (number + 1) * share]
            drive(port, bodies, 0.5, connections)  # what nobody has asked yet is loaded now
            begun = server.processor_seconds
            load = drive(port, bodies, options.seconds, connections)
        spent[key].append((server.processor_seconds - begun) / len(load.seconds) * 1e3)
        if load.failed:
            raise SystemExit(f"{key}: {load.statuses}")
        loads[key].append(load)
    rate = {key: float(np.median([load.rate for load in found])) for key, found in loads.items()}
    rows = []
    for key, found in loads.items():
        name = f"{key[0]}: {key[1]}" if key[0] != key[1] else key[0]
        rows.append(Row(f"{name}, requests/s", rate[key], None if key[0] == "empty" else rate["empty", "empty"]))
        for part in (50, 99):
            took = float(np.median([np.percentile(load.seconds, part) for load in found])) * 1e3
            rows.append(Row(f"{name}, p{part}, ms", took))
        processor = float(np.median(spent[key]))
        rows.append(Row(f"{name}, processor ms an answer", processor, float(np.median(spent["empty", "empty"]))))
    for side, way in ((side, way) for side in ("sqlite", "redis") for way in (FIRST, AGAIN)):
        rows.append(Row(f"{side}: {way}, of an empty route", rate[side, way], rate["empty", "empty"]))
        if "feast" in servers:
            feast = rate["feast", "plain route over Feast"]
            rows.append(Row(f"{side}: {way}, beside Feast", rate[side, way], feast))
    return rows


@contextmanager
def _ours(workspace: Path) -> Iterator[Server]:
    port = free_port()
    main_ = "import sys; from ecomine.cli import main; sys.exit(main())"
    with _process(
        ["-c", main_, "--workspace", str(workspace), "serve", "--port", str(port)], port, "/readyz"
    ) as server:
        yield server


@contextmanager
def _peer(side: str, path: str, *more: str) -> Iterator[Server]:
    port = free_port()
    with _process(["-m", "benchmarks.serve_peers", side, "--port", str(port), *more], port, path) as server:
        yield server


@contextmanager
def _process(arguments: list[str], port: int, path: str) -> Iterator[Server]:
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
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
