"""DuckDB within its memory limit: it spills to disk and gives the same features."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from benchmarks.features import AS_OF, simulate
from ecomine import feature_store
from ecomine.engine import check_kind, connect
from ecomine.errors import SettingsError
from ecomine.params import EngineParams, FeatureParams
from ecomine.store import Store


def computed(workspace: Path, memory_limit: str, out: str, as_of: datetime = AS_OF) -> Path:
    folder = workspace / out
    folder.mkdir()
    with connect(EngineParams(memory_limit=memory_limit), workspace / f"spill {out}") as connection:
        relations = Store(workspace).relations(connection, "data/clean")
        feature_store.compute(connection, relations, as_of, FeatureParams(windows=[30]), folder)
    return folder


@contextmanager
def watching(folder: Path) -> Iterator[set[str]]:
    """The names of the files that lay in a folder meanwhile."""
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.01):
            seen.update(path.name for path in folder.glob("*"))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        done.set()
        looking.join()


@pytest.mark.slow
def test_a_small_memory_limit_spills_and_changes_nothing(tmp_path: Path) -> None:
    simulate(tmp_path / "data/clean/order_lines.parquet", 400_000)
    ample = computed(tmp_path, "3GB", "ample")
    with watching(tmp_path / "spill scarce") as seen:
        scarce = computed(tmp_path, "160MB", "scarce")
    assert seen
    for path in ample.iterdir():
        assert path.read_bytes() == (scarce / path.name).read_bytes(), path.name


def test_an_engine_that_does_not_exist() -> None:
    with pytest.raises(SettingsError, match="'hive'; expected one of duckdb, spark"):
        check_kind(EngineParams(kind="hive"))
