"""Events in real time: accepted a second, p50 and p99 of the answer, lag until the online value shows them.

Protocol: `ecomine serve` as users run it, one process that takes events in and on, with the event log in a file (each
commit synced) and in Redis (`appendonly yes`, `appendfsync always`), beside an empty FastAPI route that reads its body;
all under uvicorn. Events have ids of their own, so all are new. Connections stay open, each sends as soon as it was
answered: 16 with one event a request, 4 with 100 and 1,000; `--seconds` each, all sides in turn, the median of
`--rounds`. Every answer must accept all it was sent. Lag: from the arrival of the answer to one payment until
`Recent` counts it, asked every two milliseconds, alone and while 1,000 other events a second come; then the time until
all events of the load are taken on. References: requests of the empty route for events a second, also where a request
holds many events; its p50 and p99 for those of the answer.
"""

import argparse
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.report import Row, report
from ecomine.streaming import Consumer, Recent
from tests.servers import free_port
from tests.serving.test_process import MAIN
from tests.streaming.shop import durable_redis, make

PROJECT = Path(__file__).parents[1]
CONNECTIONS = {1: 16, 100: 4, 1000: 4}
"""Events in a request → connections."""

EMPTY = """
import sys
import uvicorn
from fastapi import FastAPI, Request
app = FastAPI()
@app.post("/v1/events")
async def empty(request: Request) -> dict:
    await request.body()
    return {}
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="error")
"""

TOKEN = itertools.count()


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--payments", type=int, default=300, help="payments whose lag is measured, each time")
    parser.add_argument("--data", help="not needed: the events are made up")
    options = parser.parse_args()
    redis = shutil.which("redis-server")
    if redis is None:
        raise SystemExit("redis-server is not installed: apt-get install redis-server")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        server = stack.enter_context(durable_redis(Path(redis)))
        folders = {
            "file": make(Path(name) / "file"),
            "redis": make(Path(name) / "redis", kind="redis", url=server.url),
        }
        ports = {"empty": stack.enter_context(_serving([sys.executable, "-c", EMPTY]))}
        for side, folder in folders.items():
            serve = [sys.executable, "-c", MAIN, "--workspace", str(folder), "serve", "--port"]
            ports[side] = stack.enter_context(_serving(serve))
        rows = _rates(ports, options)
        for side, folder in folders.items():
            rows += _lags(side, ports[side], folder, options.payments)
    text = f"{options.seconds:g} s each, median of {options.rounds} rounds"
    report("events", f"events in real time, durable, {text}; beside an empty FastAPI route", rows)


@contextmanager
def _serving(command: list[str]) -> Iterator[int]:
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), *filter(None, sys.path)])}
    process = subprocess.Popen([*command, str(port)], stderr=subprocess.DEVNULL, env=environment)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{command[2][:40]} … did not start") from None
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def _rates(ports: dict[str, int], options: argparse.Namespace) -> list[Row]:
    found: dict[tuple[int, str], list[tuple[float, np.ndarray]]] = {}
    for _ in range(options.rounds):
        for size, connections in CONNECTIONS.items():
            for side, port in ports.items():
                drive(port, size, connections, 0.3)
                found.setdefault((size, side), []).append(drive(port, size, connections, options.seconds))
    rows = []
    for size in CONNECTIONS:
        empty = float(np.median([rate / size for rate, _ in found[size, "empty"]]))
        percentiles = {}
        for side in ports:
            runs = found[size, side]
            rate = float(np.median([one for one, _ in runs]))
            if side != "empty":
                rows.append(Row(f"{side}, {size} a request: accepted events/s", rate, empty))
            else:
                rows.append(Row(f"empty, {size} a request: requests/s", empty))
            for share in (50, 99):
                spent = float(np.median([np.percentile(seconds, share) for _, seconds in runs])) * 1e3
                percentiles[side, share] = spent
                reference = percentiles["empty", share] if side != "empty" else None
                rows.append(Row(f"{side}, {size} a request: p{share}, ms", spent, reference))
    return rows


def drive(port: int, size: int, connections: int, seconds: float) -> tuple[float, np.ndarray]:
    """(events a second, seconds of each answer) of so many connections at once."""
    spent: list[float] = []
    until = time.perf_counter() + seconds

    def send() -> None:
        ask, own = sender(port), _bodies(size)
        while time.perf_counter() < until:
            body = next(own)
            start = time.perf_counter()
            answer = ask(body)
            spent.append(time.perf_counter() - start)
            if answer.count(b'"e-') != size and b"accepted" in answer:
                raise SystemExit(f"not all were accepted: {answer[:300]!r}")

    start = time.perf_counter()
    threads = [threading.Thread(target=send) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(spent) * size / (time.perf_counter() - start), np.array(spent)


def _bodies(size: int) -> Iterator[bytes]:
    """Requests of so many events, each with new ids."""
    now = datetime.now(UTC).isoformat()
    one = (
        '{{"kind":"events","event_id":"e-@@-{0}","user_id":"u{1}","session_id":"s{1}","item_id":"i{0}",'
        '"event_type":"view","event_timestamp":"' + now + '","device":"mobile"}}'
    )
    text = ",".join(one.format(number, number * 7919 % 100_000) for number in range(size))
    body = ('{"events":[' + text + "]}" if size > 1 else text).encode()
    while True:
        yield body.replace(b"@@", b"%d" % next(TOKEN))


def sender(port: int) -> Callable[[bytes], bytes]:
    """A function that posts a body over one connection and returns the answer's body; anything but 200 ends all."""
    line = socket.create_connection(("127.0.0.1", port))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(body: bytes) -> bytes:
        line.sendall(b"POST /v1/events HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        given = b""
        while b"\r\n\r\n" not in given:
            given += line.recv(1 << 16)
        head, _, rest = given.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(rest) < length:
            rest += line.recv(1 << 16)
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise SystemExit(f"{head.splitlines()[0]!r}: {rest[:300]!r}")
        return rest

    return ask


def _lags(side: str, port: int, folder: Path, count: int) -> list[Row]:
    consumer, rows = Consumer(folder), []
    start = time.perf_counter()
    behind, _ = consumer.log.waiting(consumer.state.position)
    while consumer.log.waiting(consumer.state.position)[0]:
        time.sleep(0.01)
    rows.append(Row(f"{side}: events that waited after the load", float(behind)))
    rows.append(Row(f"{side}: until they are taken on, s", time.perf_counter() - start))
    for load in (0, 1000):
        lags = _lag(port, folder, count, load)
        for share in (50, 99):
            rows.append(
                Row(f"{side}, beside {load} events/s: lag p{share}, ms", float(np.percentile(lags, share)) * 1e3)
            )
    return rows


def _lag(port: int, folder: Path, count: int, load: int) -> np.ndarray:
    stop, recent, ask = threading.Event(), Recent(folder), sender(port)

    def others() -> None:
        own, post = _bodies(100), sender(port)
        while not stop.wait(100 / load):
            post(next(own))

    thread = threading.Thread(target=others) if load else None
    if thread:
        thread.start()
    lags = []
    for _ in range(count):
        key, now = f"c{next(TOKEN)}", datetime.now(UTC)
        ask(
            f'{{"kind":"payments","payment_id":"{key}","user_id":"u","card_id":"{key}","amount":1.5,'
            f'"event_timestamp":"{now.isoformat()}"}}'.encode()
        )
        answered = time.perf_counter()
        while not recent("card_velocity", key, now)["card_velocity__attempts_10m"]:
            time.sleep(0.002)
        lags.append(time.perf_counter() - answered)
        time.sleep(0.005)
    stop.set()
    if thread:
        thread.join()
    return np.array(lags)


if __name__ == "__main__":
    main()
