"""What is written is whole or not there."""

from pathlib import Path

import duckdb
import pandas as pd
import pytest

from ecomine.errors import MissingInputError
from ecomine.store import Store, replacing, write_relation


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_json("metrics/a.json", {"a": 1})
    with pytest.raises(ZeroDivisionError), store.replacing("metrics/a.json") as path:
        _die_halfway(path)
    assert store.read_json("metrics/a.json") == {"a": 1}
    assert sorted(path.name for path in (tmp_path / "metrics").iterdir()) == ["a.json"]


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    for names in (["old"], ["new", "newer"]):
        with replacing(tmp_path / "folder") as path:
            path.mkdir()
            for name in names:
                (path / name).touch()
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["new", "newer"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_run_killed_between_two_renames_is_mended(tmp_path: Path) -> None:
    (tmp_path / ".folder.old").mkdir()
    (tmp_path / ".folder.old" / "kept").touch()
    (tmp_path / ".folder.new").mkdir()
    with pytest.raises(RuntimeError), replacing(tmp_path / "folder"):
        raise RuntimeError
    assert (tmp_path / "folder" / "kept").exists()


def test_a_relation_is_written_sorted_and_the_same_each_time(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        relation = connection.sql("SELECT hash(i) % 100_000 AS a, i AS b FROM range(300_000) t(i)")
        rows = [write_relation(tmp_path / name, relation, "a, b") for name in ("one", "two")]
    assert rows == [300_000, 300_000]
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    frame = pd.read_parquet(tmp_path / "one")
    assert frame.equals(frame.sort_values(["a", "b"], ignore_index=True))


def test_what_is_not_there_names_the_stage_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="ecomine stage clean"):
        Store(tmp_path).require("data/clean", "clean")


def _die_halfway(path: Path) -> None:
    path.write_text("half")
    raise ZeroDivisionError
