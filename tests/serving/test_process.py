import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

MAIN = "import sys; from ecomine.cli import main; sys.exit(main())"
PROJECT = Path(__file__).parents[2]


def test_ecomine_serve_answers_and_ends_quietly(walked: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", MAIN, "--workspace", str(walked), "serve", "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), *filter(None, sys.path)])}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server did not start"
                try:
                    answer = httpx.get(f"http://127.0.0.1:{port}/v1/recommendations/u0001", timeout=30)
                    break
                except httpx.ConnectError:
                    time.sleep(0.1)
            assert answer.status_code == 200
        finally:
            process.send_signal(signal.SIGINT)
            _, log = process.communicate(timeout=30)
    assert process.returncode in (0, 130)
    assert "Traceback" not in log
    assert "Warning" not in log
    assert "/v1/recommendations/{user_id:path}" in log
    assert "u0001" not in log
