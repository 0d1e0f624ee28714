"""Several processes that answer on one address."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ecomine.serving.receipts import Receipts
from ecomine.serving.replay import Replayer
from ecomine.store import Store
from tests.servers import free_port
from tests.serving.test_process import MAIN, PROJECT

ROUTE = "/v1/recommendations/{user_id:path}"


@contextmanager
def two_workers(workspace: Path) -> Iterator[tuple[str, int]]:
    """Address and process id of `ecomine serve --workers 2`, once both answer."""
    port = free_port()
    command = [sys.executable, "-c", MAIN, "--workspace", str(workspace), "serve", "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), *filter(None, sys.path)])}
    with subprocess.Popen([*command, "--workers", "2"], stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            deadline = time.monotonic() + 90
            while True:
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server did not start"
                try:
                    httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=60)
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.send_signal(signal.SIGINT)
            _, log = process.communicate(timeout=60)
            assert "Traceback" not in log, log[-3000:]


def children(process: int) -> list[int]:
    """The workers: children that import the package, not multiprocessing's own."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(one) for one in listed if "spawn_main" in Path(f"/proc/{one}/cmdline").read_text()]


def counted(address: str) -> float:
    text = httpx.get(f"{address}/metrics", timeout=60).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert [sample for sample in samples if sample.name == "ecomine_model_info"]
    wanted = {"route": ROUTE, "method": "GET", "status": "200"}
    return sum(one.value for one in samples if one.name == "ecomine_requests_total" and one.labels == wanted)


def test_two_workers_count_together_keep_receipts_and_outlive_each_other(walked: Path, tmp_path: Path) -> None:
    workspace = Path(
        shutil.copytree(walked, tmp_path / "w", ignore=shutil.ignore_patterns("receipts", "raw", "frames"))
    )
    with two_workers(workspace) as (address, process):

        def ask(count: int) -> list[str]:
            answers = [httpx.get(f"{address}/v1/recommendations/u{number:04d}", timeout=60) for number in range(count)]
            assert {answer.status_code for answer in answers} == {200}
            return [answer.headers["x-receipt-id"] for answer in answers]

        ids = ask(24)
        assert len(set(ids)) == 24
        assert {counted(address) for _ in range(6)} == {24.0}, "whoever is asked tells of all"
        receipts, replayer = Receipts(Store(workspace), days=30), Replayer(Store(workspace))
        assert [replayer.differences(receipts.get(id_)) for id_ in ids] == [[]] * 24

        first, *_ = workers = children(process)
        assert len(workers) == 2
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(found := set(children(process)) - {first}) < 2:
            assert time.monotonic() < deadline, "nobody took the place of the worker that was killed"
            time.sleep(0.1)
        assert found != set(workers)
        time.sleep(0.5)
        done = 0
        while done < 12:  # who is killed takes its open connections with it, nothing else
            try:
                done += len(ask(1))
            except httpx.TransportError:
                assert time.monotonic() < deadline
        assert counted(address) == 24.0 + done
