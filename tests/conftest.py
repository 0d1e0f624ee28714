"""Workspaces of a tiny shop: `workspace` is fresh for each test, holding its raw tables and settings, nothing run."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.shop import tiny_shop, write_raw

PROJECT = Path(__file__).parents[1]


def make_workspace(folder: Path, tables: dict | None = None, **changes: object) -> Path:
    """A workspace in `folder` over the tables of a tiny shop; `changes` replace top-level keys of params.yaml."""
    tables = tables if tables is not None else tiny_shop()
    write_raw(folder / "data/raw", tables)
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    params |= {
        "source": "sql",
        "project": str(PROJECT),
        "sql": {"database": None, "tables": {name: f"SELECT * FROM '{name}.parquet'" for name in tables}},
        **changes,
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    shutil.copy(PROJECT / "dvc.yaml", folder / "dvc.yaml")
    for name in ("expectations", "features"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "workspace")
