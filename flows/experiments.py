"""What a search found, handed to DVC as an experiment that waits to be run."""

import subprocess
from collections.abc import Iterable
from pathlib import Path


def queue(workspace: Path, changes: Iterable[str]) -> str | None:
    """Queue an experiment with `changes` (`section.key=value`); its name, or None where the workspace is not in git."""
    # `++` also adds a key that params.yaml leaves at its default.
    options = [option for change in changes for option in ("-S", "++" + change.replace("'", ""))]
    done = subprocess.run(
        ["dvc", "exp", "run", "--queue", *options], cwd=workspace, capture_output=True, text=True, check=False
    )
    quoted = [part for line in done.stdout.splitlines() if "Queued experiment" in line for part in line.split("'")]
    return quoted[1] if done.returncode == 0 and len(quoted) > 1 else None
