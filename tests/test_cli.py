"""The command line answers at once, and says clearly what is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ecomine.cli import main

HEAVY = {"pandas", "numpy", "duckdb", "xgboost", "sklearn", "feast", "great_expectations", "prefect", "dvc", "fastapi"}


def test_help_imports_nothing_heavy() -> None:
    code = """
import json, sys
from ecomine.cli import main
try:
    main(["--help"])
except SystemExit:
    print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "run the whole road" in done.stdout
    assert not HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


def test_a_folder_without_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workspace", str(tmp_path), "run"]) == 2
    assert "There is no params.yaml" in capsys.readouterr().err


def test_an_unknown_domain(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workspace", str(workspace), "rollback", "astrology"]) == 2
    assert "no domain 'astrology'; the domains are recommendation" in capsys.readouterr().err


def test_nothing_to_roll_back_to(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workspace", str(workspace), "rollback", "recommendation"]) != 0
    assert "recommendation" in capsys.readouterr().err


def test_status_before_anything_ran(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workspace", str(workspace), "status"]) == 0
    assert "recommendation" in capsys.readouterr().out
