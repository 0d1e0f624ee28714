"""Killed at many lines of taking events in and on, in processes of their own: nothing lost, nothing doubled."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[2]
MEMORY = Path("/dev/shm")


def test_a_kill_at_any_line_loses_and_doubles_nothing() -> None:
    # In memory where that can be: what a killed process has written stays either way, and syncs cost nothing.
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), *filter(None, sys.path)])}
        command = [sys.executable, "-m", "tests.streaming.killing", folder, "29", "101"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=PROJECT, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    killed = json.loads(done.stdout.splitlines()[-1])
    assert killed["intake"] >= 20
    assert killed["consuming"] >= 20
