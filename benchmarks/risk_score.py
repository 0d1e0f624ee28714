"""Scoring payments that are happening: time of one answer under a load of 200 requests a second.

Protocol: a simulated shop walks the road with risk control alone and is served by uvicorn in a process of its own, as
`ecomine serve` does it, receipts on; each payment is written to the event log, which is taken on beside. Payments are
sent one by one at Poisson times of the given rate over keep-alive connections, whatever the server does meanwhile (an
open load: a slow answer delays none of the others), so that times hold the queueing; a payment's clock starts when it
is due. Every second payment is of customers, cards and devices of the shop, so that memory, event log and online store
all have something to tell. The first seconds warm up and do not count. CPU is that of the whole server, over all that
it does meanwhile; where others use the machine, it says more than the times.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from benchmarks.workspaces import walk, workspace
from ecomine.params import SimulationParams
from ecomine.simulation import simulate

SHOP = SimulationParams(users=1200, items=200, days=200, dirt=0.0, seed=11, visits_per_year=60)
MAIN = "import sys; from ecomine.cli import main; sys.exit(main())"
CONNECTIONS = 64
HEAD = b"POST /v1/risk/score HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
WARM_SECONDS = 5.0
SETTINGS = {"maturity_days": 45, "train_days": 100, "test_days": 21}


def payments(folder: Path, count: int, seed: int) -> list[dict[str, object]]:
    """Payments to send: every second one with the ids of a known payment, the others of strangers."""
    random = np.random.default_rng(seed)
    known = pd.read_parquet(folder / "data/clean/payments.parquet")
    rows = known.iloc[random.integers(0, len(known), count)]
    sent = []
    for number, row in enumerate(rows.to_dict("records")):
        strange = number % 2 == 1
        ids = {
            name: f"new-{random.integers(0, 500)}" if strange or pd.isna(row[name]) else row[name]
            for name in ("card_id", "device_id", "address_id", "ip", "user_id")
        }
        sent.append({"payment_id": f"load-{number}", "amount": float(row["amount"]), "method": "card", **ids})
    return sent


async def load(port: int, sent: list[dict[str, object]], rate: float, seed: int) -> tuple[np.ndarray, int, float]:
    """Seconds from when each payment was due to its answer, answers that were none, and requests a second."""
    due = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, len(sent)))
    bodies = [json.dumps(one).encode() for one in sent]
    taken, failures = np.empty(len(sent)), 0
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    begun = time.perf_counter()

    async def one(number: int) -> None:
        nonlocal failures
        reader, writer = await free.get()
        body = bodies[number]
        writer.write(HEAD % len(body) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        taken[number] = time.perf_counter() - begun - due[number]
        failures += not head.startswith(b"HTTP/1.1 200")
        free.put_nowait((reader, writer))

    tasks = []
    for number, moment in enumerate(due):
        wait = moment - (time.perf_counter() - begun)
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)
    reached = len(sent) / (time.perf_counter() - begun)
    while not free.empty():
        free.get_nowait()[1].close()
    return taken[due > min(WARM_SECONDS, due[-1] / 4)], failures, reached


def spent(process: subprocess.Popen[bytes]) -> float:
    """Seconds of CPU that a process has used, all of its threads together."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def served(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """The server's process and port, once it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", MAIN, "serve", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        if process.poll() is not None:
            sys.exit(f"The server ended at once ({process.returncode}); `ecomine serve` in {folder} tells why.")
        try:
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                return process, port
        except httpx.TransportError:
            time.sleep(0.2)
    process.kill()
    sys.exit("The server did not become ready within two minutes.")


def main() -> None:
    """Simulate, walk the road, serve, load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the shop is simulated")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=25.0)
    parser.add_argument("--workspace", type=Path, help="a workspace in which risk is deployed, in place of a new one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.workspace or made(Path(name))
        sent = payments(folder, int(options.rate * options.seconds), 3)
        process, port = served(folder)
        try:
            alone, _, _ = asyncio.run(load(port, sent[: int(options.rate * 6)], 20.0, 4))
            fresh = [{**one, "payment_id": f"{one['payment_id']}-loaded"} for one in sent]
            before = spent(process)
            taken, failures, reached = asyncio.run(load(port, fresh, options.rate, 5))
            cpu = (spent(process) - before) / len(fresh)
            busy = os.getloadavg()[0]
        finally:
            process.terminate()
            process.wait(20)
    rows = [
        Row("ms at 20 requests a second, p50", float(np.quantile(alone, 0.5) * 1e3)),
        Row("ms at 20 requests a second, p99", float(np.quantile(alone, 0.99) * 1e3), 20.0),
        Row(f"ms at {options.rate:g} requests a second, p50", float(np.quantile(taken, 0.5) * 1e3)),
        Row(f"ms at {options.rate:g} requests a second, p95", float(np.quantile(taken, 0.95) * 1e3)),
        Row(f"ms at {options.rate:g} requests a second, p99", float(np.quantile(taken, 0.99) * 1e3), 20.0),
        Row("requests a second answered", reached, options.rate),
        Row("answers that failed", float(failures), None),
        Row("ms of CPU a score, the whole server", cpu * 1e3),
        Row("processes that wanted to run, of the machine", busy),
    ]
    report("risk_score", f"{len(sent):,} payments, one uvicorn process, load from the same machine", rows)


def made(folder: Path) -> Path:
    """A workspace of a simulated shop with risk control deployed."""
    place = workspace(folder / "workspace", source="simulated", domains=["risk"], risk=SETTINGS)
    simulate(SHOP, place / "data/raw", place / "truth")
    walk(place, "deploy")
    return place


if __name__ == "__main__":
    main()
