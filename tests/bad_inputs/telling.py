"""What everyone may expect of a stage that cannot do its work: one clear message, and nothing touched."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from ecomine.cli import main
from tests.bad_inputs.spoil import Change

ROAD = (
    "ingest",
    "clean",
    "validate",
    "features",
    "frames recommendation",
    "select recommendation",
    "train recommendation",
)


@dataclass(frozen=True)
class Fault:
    """What is done, at which stage it shows, what the message says (a pattern)."""

    change: Change
    stage: str
    says: str


def files(workspace: Path) -> dict[str, bytes | None]:
    """Every file of a workspace with its bytes, and every hidden folder, as unfinished ones are."""
    return {
        path.relative_to(workspace).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(workspace.rglob("*"))
        if (path.is_file() or path.name.startswith(".")) and "__pycache__" not in path.parts
    }


def run(workspace: Path, stage: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and standard error of a stage; what the fixtures printed is let go first."""
    capsys.readouterr()
    code = main(["-w", str(workspace), "stage", *stage.split()])
    return code, capsys.readouterr().err


def refuse(workspace: Path, stage: str, says: str, capsys: pytest.CaptureFixture[str], code: int = 2) -> None:
    """The stage ends with this code and one paragraph that says what `says` (a pattern); every file stays as it was."""
    before = files(workspace)
    ended, told = run(workspace, stage, capsys)
    assert ended == code, told
    assert re.search(says, told), told
    assert told.startswith("ecomine: ")
    assert "\n\n" not in told.strip()
    assert "Traceback" not in told
    assert files(workspace) == before
