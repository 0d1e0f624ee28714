"""What can be done to a workspace before its stages run: to the shop's files, to params.yaml, to anything."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import yaml

from tests.shop import tiny_shop, write_raw

Change = Callable[[Path], object]
Frame = pd.DataFrame


def shop(**size: int) -> dict[str, Frame]:
    return tiny_shop(**{"users": 40, "items": 30, "days": 70, **size})


# What is done to a workspace before its stages run.


def rows(table: str, change: Callable[[Frame], Frame]) -> Change:
    """Change the rows of one of the shop's files."""

    def apply(workspace: Path) -> None:
        path = workspace / f"data/raw/{table}.parquet"
        change(pd.read_parquet(path)).to_parquet(path, index=False)

    return apply


def replaced(**tables: Frame) -> Change:
    """Bring or replace tables of the shop, and map them."""

    def apply(workspace: Path) -> None:
        write_raw(workspace / "data/raw", tables)
        for name in tables:
            mapped(name, f"SELECT * FROM '{name}.parquet'")(workspace)

    return apply


def only(**tables: Frame) -> Change:
    """Let the shop have these tables and no other."""

    def apply(workspace: Path) -> None:
        setting("sql.tables", {})(workspace)
        replaced(**tables)(workspace)

    return apply


def mapped(table: str, select: str) -> Change:
    """Map a canonical table by another SELECT."""
    return setting(f"sql.tables.{table}", select)


def setting(place: str, value: object) -> Change:
    """Set a key of params.yaml, given as `section.key`."""

    def apply(workspace: Path) -> None:
        file = workspace / "params.yaml"
        document = yaml.safe_load(file.read_text())
        *sections, key = place.split(".")
        inner = document
        for section in sections:
            inner = inner[section]
        inner[key] = value
        file.write_text(yaml.safe_dump(document, sort_keys=False))

    return apply


def line(text: str) -> Change:
    """Add a line to params.yaml as it would be typed."""

    def apply(workspace: Path) -> None:
        file = workspace / "params.yaml"
        file.write_text(f"{file.read_text()}{text}\n")

    return apply


def content(name: str, value: bytes) -> Change:
    """Write a file of the workspace."""
    return lambda workspace: (workspace / name).write_bytes(value)


def cut(name: str) -> Change:
    """Lose the second half of a file."""

    def apply(workspace: Path) -> None:
        whole = (workspace / name).read_bytes()
        (workspace / name).write_bytes(whole[: len(whole) // 2])

    return apply


def gone(name: str) -> Change:
    """Remove a file or a folder."""

    def apply(workspace: Path) -> None:
        path = workspace / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return apply


def as_text(column: str, every: int, text: str) -> Callable[[Frame], Frame]:
    """The column as text, in each row number divisible by `every` the given one."""

    def change(frame: Frame) -> Frame:
        values = frame[column].astype(str).to_numpy(object)
        values[::every] = text
        return frame.assign(**{column: values})

    return change


def first(count: int, **values: object) -> Callable[[Frame], Frame]:
    """Other values in the first rows."""

    def change(frame: Frame) -> Frame:
        frame = frame.copy()
        for column, value in values.items():
            frame.loc[: count - 1, column] = value
        return frame

    return change


def expecting(table: str, **expectation: object) -> Change:
    """Let the suite of a table hold this one expectation."""
    suite = {"name": table, "expectations": [expectation]}
    return content(f"expectations/{table}.json", json.dumps(suite).encode())
