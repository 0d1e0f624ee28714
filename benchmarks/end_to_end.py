"""What the shells cost: `ecomine run` (Prefect flow, DVC record) against the bare stage functions in one process.

Protocol: The Complete Journey, two fresh workspaces with no model deployed before. The bare side imports the stages and
runs each function of the table in order, in a process of its own. The flow side is `ecomine run`, in a process of its
own. The start of Prefect's temporary server is measured by itself, as an empty flow in a third process, and taken off.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import Row, report
from benchmarks.workspaces import PROJECT, workspace

BARE = """
import time
started = time.monotonic()
from pathlib import Path
from ecomine.stages import Context, run, steps
for stage, domain in steps(Context.of(Path(".")).params.domains):
    begun = time.monotonic()
    run(stage.name, domain, Context.of(Path(".")))
    print(f"  {stage.name:12} {time.monotonic() - begun:7.1f} s", flush=True)
print(time.monotonic() - started)
"""

EMPTY = """
from prefect import flow
@flow
def empty() -> None:
    pass
empty()
"""


def main() -> None:
    """Run both sides in turn and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the data comes with a package")
    parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server, _ = _timed(_workspace(Path(folder) / "empty"), [sys.executable, "-c", EMPTY])
        bare, _ = _timed(_workspace(Path(folder) / "bare"), [sys.executable, "-c", BARE])
        flow, memory = _timed(_workspace(Path(folder) / "flow"), ["ecomine", "run"])
    report(
        "end_to_end",
        "wall seconds, whole processes; Complete Journey",
        [
            Row("bare stage functions, seconds", bare),
            Row("start of Prefect's server, seconds", server),
            Row("flow, seconds", flow, bare),
            Row("flow without the server's start, seconds", flow - server, bare),
            Row("peak memory of any process, GB", memory),
        ],
    )


def _workspace(folder: Path) -> Path:
    """A workspace that records with DVC."""
    workspace(folder)
    subprocess.run(["dvc", "init", "--quiet", "--no-scm"], cwd=folder, check=True)
    return folder


def _timed(place: Path, command: list[str]) -> tuple[float, float]:
    """Wall seconds of a command, and the peak memory in GB of the largest process so far."""
    quiet = {"PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL", "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL"}
    environment = {**os.environ, **quiet, "PREFECT_HOME": str(place.parent / "prefect"), "PYTHONPATH": str(PROJECT)}
    started = time.monotonic()
    subprocess.run(command, cwd=place, env=environment, check=True)
    seconds = time.monotonic() - started
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
