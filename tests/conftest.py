"""Workspaces of a tiny shop: `workspace` has run nothing yet, `deployed_workspace` the whole road."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ecomine.stages import Context, run, steps
from tests.inventory.shop import stocked_shop
from tests.risk.paying_shop import RISK, paying_shop
from tests.shop import tiny_campaigns, tiny_shop, write_raw

PROJECT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, so that two workers end at about the same time."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def make_workspace(folder: Path, tables: dict | None = None, **changes: object) -> Path:
    """A workspace in `folder` over the tables of a tiny shop; `changes` replace keys of its params.yaml."""
    tables = tables if tables is not None else tiny_shop()
    write_raw(folder / "data/raw", tables)
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    params |= {
        "source": "sql",
        "project": str(PROJECT),
        "domains": ["profiling", "recommendation"],
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


LENIENT = {"min_gain": -1000.0, "champion_tolerance": 1.0, "max_latency_ms": 10_000.0}
"""A gate for a shop so small, on machines so busy, that figures mean little."""


def walk(workspace: Path, *names: str) -> None:
    """Run the named stages, or all but the pages, for every domain of the workspace."""
    context = Context.of(workspace)
    for stage, domain in steps(context.params.domains):
        if stage.name in names or (not names and stage.name != "report"):
            run(stage.name, domain, context)


def change_params(workspace: Path, **changes: object) -> None:
    """Replace top-level keys of a workspace's params.yaml."""
    file = workspace / "params.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | changes, sort_keys=False))


def bring_candidate(workspace: Path, other: Path) -> None:
    """The candidate of the `other` workspace, with evaluation and proposals, in place of the one there."""
    for name in ("models", "metrics", "data/proposals"):
        shutil.rmtree(workspace / name)
        shutil.copytree(other / name, workspace / name)
    domain = {"recommendation": yaml.safe_load((other / "params.yaml").read_text())["recommendation"]}
    change_params(workspace, **domain)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A workspace of this process, of which only the first process that needs it makes the original."""
    base = factory.getbasetemp()
    originals = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "originals"
    originals.mkdir(exist_ok=True)
    original, done = originals / name, originals / f"{name}.done"
    with (originals / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(original)
            done.touch()
    return Path(shutil.copytree(original, factory.mktemp(name) / "workspace"))


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the whole road was walked, shared by all tests: copy it before a change."""

    def make(folder: Path) -> None:
        shop = tiny_shop()
        walk(make_workspace(folder, shop | tiny_campaigns(shop), gate=LENIENT))

    return made_once(tmp_path_factory, "walked", make)


def with_domain(walked: Path, folder: Path, domain: str) -> None:
    """A copy of the walked workspace in `folder`, with one more domain, deployed."""
    shutil.copytree(walked, folder)
    change_params(folder, domains=["profiling", "recommendation", domain])
    walk(folder, "features", "materialize")
    context = Context.of(folder)
    for stage, name in steps([domain]):
        if name:
            run(stage.name, name, context)


@pytest.fixture(scope="session")
def priced(walked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The walked workspace with pricing among its domains, and deployed; shared by all tests."""
    return made_once(tmp_path_factory, "priced", lambda folder: with_domain(walked, folder, "pricing"))


@pytest.fixture(scope="session")
def placed(walked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The walked workspace with ads among its domains, and deployed; shared by all tests."""
    return made_once(tmp_path_factory, "placed", lambda folder: with_domain(walked, folder, "ads"))


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose shop has payments with labels, with risk control deployed; shared by all tests."""

    def make(folder: Path) -> None:
        settings = {"gate": LENIENT, "domains": ["risk"], "risk": RISK, "engine": {"threads": 1}}
        walk(make_workspace(folder, paying_shop(), **settings))

    return made_once(tmp_path_factory, "watched", make)


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of a shop that counts its stock, with inventory deployed; shared by all tests."""
    folder = tmp_path_factory.mktemp("stocked") / "workspace"
    workspace = make_workspace(folder, stocked_shop(), domains=["inventory"], gate=LENIENT)
    quick = {"rows": 8000, "rounds": 40, "max_depth": 4, "classics": ["tsb"], "identities": False}
    change_params(workspace, inventory={"forecast": {"method": "direct", "likelihood": "counts", **quick}})
    walk(workspace)
    return workspace


@pytest.fixture(scope="session")
def challenger(walked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with another candidate, a simpler model, that passed its gate; shared by all tests."""

    def make(folder: Path) -> None:
        shutil.copytree(walked, folder)
        change_params(folder, recommendation={"max_depth": 1, "max_rounds": 3})
        walk(folder, "train", "evaluate", "decide", "gate")

    return made_once(tmp_path_factory, "challenger", make)


@pytest.fixture
def deployed_workspace(walked: Path, tmp_path: Path) -> Path:
    """A workspace of one's own in which the whole road was walked and a model is deployed."""
    return Path(shutil.copytree(walked, tmp_path / "deployed"))
