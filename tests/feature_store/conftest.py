"""A workspace whose clean tables are those of a tiny shop, features computed and materialised."""

from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
import yaml

from ecomine import feature_store
from ecomine.engine import connect
from ecomine.params import EngineParams
from ecomine.store import Store
from tests.conftest import PROJECT
from tests.shop import tiny_shop, write_raw

AS_OF = datetime(2024, 5, 20, 7, 30)


def make_features(folder: Path, tables: dict[str, pd.DataFrame], as_of: datetime = AS_OF, **features: object) -> Path:
    """A workspace with clean tables and feature tables as of a moment that is no midnight."""
    write_raw(folder / "data/clean", tables)
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    params["features"] |= features
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
