"""Simulated shops shared by the tests: `clean_shop` for laws and consistency, `dirty_shop` for dirt."""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from ecomine.params import Params, SimulationParams
from ecomine.simulation import simulate
from ecomine.sources import simulated


@dataclass(frozen=True)
class Made:
    """A shop on the disk and its canonical tables as the source reads them."""

    folder: Path
    params: SimulationParams
    connection: duckdb.DuckDBPyConnection

    @property
    def truth(self) -> Path:
        return self.folder / "truth"

    def ask(self, query: str) -> list[tuple]:
        """Rows of a query over the canonical tables and, as `truth_NAME`, those of the truth."""
        return self.connection.sql(query).fetchall()


def make(folder: Path, **settings: object) -> Made:
    params = SimulationParams(**settings)  # type: ignore[arg-type]
    simulate(params, folder / "data/raw", folder / "truth")
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    for name, relation in simulated.read(connection, Params(source="simulated"), folder):
        relation.create(name)
    for path in sorted((folder / "truth").iterdir()):
        if path.is_dir() and path.name != "checkpoint":
            connection.read_parquet(f"{path.as_posix()}/*.parquet").create_view(f"truth_{path.name}")
        elif path.suffix == ".parquet":
            connection.read_parquet(path.as_posix()).create_view(f"truth_{path.stem}")
    return Made(folder, params, connection)


@pytest.fixture(scope="session")
def clean_shop(tmp_path_factory: pytest.TempPathFactory) -> Made:
    settings = {"users": 800, "items": 150, "days": 112, "dirt": 0.0, "price_test_share": 0.4, "fraud_share": 0.1}
    return make(tmp_path_factory.mktemp("clean"), **settings)


@pytest.fixture(scope="session")
def dirty_shop(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("dirty"), users=150, items=150, days=60, dirt=2.0, seed=6)
