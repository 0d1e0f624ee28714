"""Workspaces to spoil: `fresh` has run nothing yet, `earlier` every stage up to training."""

import shutil
from pathlib import Path

import pytest

from ecomine.cli import main
from tests.bad_inputs.spoil import shop
from tests.bad_inputs.telling import ROAD
from tests.conftest import LENIENT, make_workspace

QUICK = {"max_rounds": 5, "train_periods": 2, "min_support": 2}


@pytest.fixture(scope="package")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which every stage up to training went well: copy it before a change."""
    workspace = make_workspace(tmp_path_factory.mktemp("sound") / "shop", shop(), recommendation=QUICK, gate=LENIENT)
    for stage in ROAD:
        assert main(["-w", str(workspace), "stage", *stage.split()]) == 0
    return workspace


@pytest.fixture
def earlier(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "earlier"))


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "fresh", shop(), recommendation=QUICK, gate=LENIENT)
