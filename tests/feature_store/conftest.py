"""Workspaces whose clean tables are those of a tiny shop, features computed and materialised into any online store."""

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
import yaml

from ecomine import feature_store
from ecomine.engine import connect
from ecomine.params import EngineParams
from ecomine.store import Store
from tests.conftest import PROJECT, change_params
from tests.requirements import require, require_module
from tests.servers import postgres_server, redis_server
from tests.shop import tiny_shop, write_raw

AS_OF = datetime(2024, 5, 20, 7, 30)


def make_features(folder: Path, tables: dict[str, pd.DataFrame], as_of: datetime = AS_OF, **features: object) -> Path:
    """A workspace with clean tables and feature tables as of a moment that is no midnight."""
    write_raw(folder / "data/clean", tables)
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    params["features"] |= features
    params["domains"] = ["profiling", "recommendation"]
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / "features").mkdir()
    for file in [*(PROJECT / "features").glob("*.py"), PROJECT / "features/feature_store.yaml"]:
        (folder / "features" / file.name).write_text(file.read_text())
    store = Store(folder)
    with connect(EngineParams(), folder / "data/.spill") as connection:
        (folder / "data/features").mkdir()
        feature_store.compute(
            connection,
            store.relations(connection, "data/clean"),
            as_of,
            feature_store.catalogue.feature_params(folder),
            folder / "data/features",
        )
    (folder / "data/online").mkdir()
    feature_store.materialize(folder, folder / "data/online", as_of)
    return folder


@pytest.fixture(scope="session")
def shop() -> dict[str, pd.DataFrame]:
    return tiny_shop()


@pytest.fixture(scope="session")
def featured(tmp_path_factory: pytest.TempPathFactory, shop: dict[str, pd.DataFrame]) -> Path:
    return make_features(tmp_path_factory.mktemp("featured"), shop)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The address of a Redis server that lives as long as the tests."""
    require_module("redis", "ecomine[redis]")
    with redis_server(require("redis-server", "redis-server")) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of a PostgreSQL server that lives as long as the tests."""
    require_module("psycopg", "ecomine[postgres]")
    with postgres_server(require("initdb", "postgresql").parent) as url:
        yield url


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def online(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, object]:
    """The section `online` of params.yaml for each kind of store, under names of the test's own."""
    kind = str(request.param)
    url = None if kind == "sqlite" else request.getfixturevalue(f"{kind}_url")
    return {"kind": kind, "url": url, "prefix": "t_" + tmp_path.name[-24:].strip("_").lower()}


def materialize(workspace: Path, as_of: datetime = AS_OF) -> dict[str, int]:
    """As the stage does: into a folder that takes its place once all went well."""
    with Store(workspace).replacing("data/online") as folder:
        folder.mkdir()
        return feature_store.materialize(workspace, folder, as_of)


@pytest.fixture
def stored(featured: Path, tmp_path: Path, online: dict[str, object]) -> Path:
    """A workspace of one's own for each kind of online store, filled."""
    workspace = Path(shutil.copytree(featured, tmp_path / "stored"))
    change_params(workspace, online=online)
    materialize(workspace)
    return workspace
