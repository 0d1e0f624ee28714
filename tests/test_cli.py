"""The command line answers at once, and says clearly what is wrong."""

import json
import socket
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
    assert "no domain 'astrology'; the domains are profiling, recommendation" in capsys.readouterr().err


def test_nothing_to_roll_back_to(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workspace", str(workspace), "rollback", "recommendation"]) != 0
    assert "recommendation" in capsys.readouterr().err


def test_status_before_anything_ran(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workspace", str(workspace), "status"]) == 0
    assert "recommendation" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["serve", "--port", "99999"], ["up", "--port", "0"], ["serve", "--port", "http"]]
)
def test_a_port_that_is_none(arguments: list[str], workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--workspace", str(workspace), *arguments])
    assert f"'{arguments[-1]}' is no port; expected a whole number from 1 to 65535" in capsys.readouterr().err


def test_a_port_that_is_taken(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--workspace", str(workspace), "serve", "--port", str(port)]) == 2
    assert f"Nothing can listen on port {port} of 127.0.0.1: Address already in use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "astrology"], "no domain 'astrology'"),
        (["stage", "polish"], "no stage 'polish'; the stages are ingest, clean"),
        (["stage", "train"], "needs a domain"),
        (["stage", "train", "astrology"], "needs a domain; 'astrology' is none of profiling, recommendation"),
        (["stage", "ingest", "recommendation"], "for all domains at once"),
        (["quarantine"], "run `ecomine stage clean`"),
        (["init", "data/raw"], "is there already and stays"),
    ],
)
def test_what_cannot_be_meant(
    arguments: list[str], message: str, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--workspace", str(workspace), *arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("folder", "message"),
    [("nowhere", "There is no folder"), ("empty", "holds no CSV, Parquet or JSON file with rows")],
)
def test_init_on_a_folder_without_tables(
    folder: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["--workspace", str(tmp_path / "shop"), "init", str(tmp_path / folder)]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "shop").exists()


def test_a_workspace_that_cannot_be_written_to(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the place of the folder is a file, which stops root as well."""
    (workspace / "taken").write_text("")
    assert main(["--workspace", str(workspace / "taken"), "init", str(workspace / "data/raw")]) == 2
    told = capsys.readouterr().err
    assert str(workspace / "taken") in told
    assert "who may write there" in told
    assert (workspace / "taken").read_text() == ""
