"""The only reader and writer of data/, models/, metrics/, decisions/ and reports/ of a workspace.

What is written is first written beside its place and then renamed, so that a reader, or a run that was killed, never
sees half a file or half a folder.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from ecomine.errors import DamagedError, MissingInputError

ROW_GROUP = 122_880
"""Rows a Parquet row group; fixed, since it is part of the bytes."""


class Store:
    """The files of one workspace, by name.

    Names are paths relative to the workspace, as in the table of stages: `data/clean/items.parquet`.
    """

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace.resolve()

    def path(self, name: str) -> Path:
        return self.workspace / name

    def exists(self, name: str) -> bool:
        return self.path(name).exists()

    def require(self, name: str, made_by: str) -> Path:
        """The path of `name`; raises MissingInputError, naming the stage that makes it, where it is absent."""
        path = self.path(name)
        if not path.exists():
            raise MissingInputError(
                f"{name} is not there; run `ecomine stage {made_by}` (or the whole road: `ecomine run`)."
            )
        return path

    def tables(self, folder: str) -> list[str]:
        """Names of the Parquet tables in a folder, sorted."""
        return sorted(path.stem for path in self.path(folder).glob("*.parquet"))

    def relations(self, connection: duckdb.DuckDBPyConnection, folder: str) -> dict[str, duckdb.DuckDBPyRelation]:
        """A lazy relation for each Parquet table of a folder; raises DamagedError for a file that is none."""
        relations = {}
        for name in self.tables(folder):
            file = f"{folder}/{name}.parquet"
            try:
                relations[name] = connection.read_parquet(self.path(file).as_posix())
            except duckdb.Error as error:
                raise damaged(file, error) from error
        return relations

    def read_frame(self, name: str) -> pd.DataFrame:
        """The rows of a Parquet file; raises DamagedError where it is absent or none."""
        try:
            return pd.read_parquet(self.path(name))
        except (FileNotFoundError, pa.ArrowInvalid) as error:
            raise damaged(name, error) from error

    def read_json(self, name: str, *keys: str) -> Any:
        """The value in a JSON file; raises DamagedError where it is none, or no object that has `keys`."""
        try:
            value = json.loads(self.path(name).read_text())
        except ValueError as error:
            raise damaged(name, error) from error
        lacking = [key for key in keys if not isinstance(value, dict) or key not in value]
        if lacking:
            raise damaged(name, f"it lacks {', '.join(lacking)}")
        return value

    def write_json(self, name: str, value: Any) -> None:
        with self.replacing(name) as path:
            write_json(path, value)

    def write_frame(self, name: str, frame: pd.DataFrame) -> None:
        with self.replacing(name) as path:
            write_frame(path, frame)

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """A free path beside `name` to write a file or a folder at; it takes the place of `name` once all went well."""
        with replacing(self.path(name)) as path:
            yield path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A free path beside `target` to write a file or a folder at; it takes its place once all went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new, old = target.with_name(f".{target.name}.new"), moved_aside(target)
    _remove(new)
    if old.exists() and not target.exists():  # killed between the two renames below
        old.rename(target)
    try:
        yield new
    except BaseException:
        _remove(new)
        raise
    if new.is_dir():
        _remove(old)
        if target.exists():
            target.rename(old)
        new.rename(target)
        _remove(old)
    elif new.exists():
        os.replace(new, target)
    sync(target.parent)


def damaged(name: str, why: object) -> DamagedError:
    """The error about a file or a folder of the workspace that cannot be read back."""
    first = (str(why).splitlines() or [""])[0].rstrip(".!")
    return DamagedError(
        f"{name} cannot be read: {first}. Run the stage that writes it again, or the whole road: `ecomine run`."
    )


def moved_aside(target: Path) -> Path:
    """Where a folder lies for the moment in which another one takes its place."""
    return target.with_name(f".{target.name}.old")


def write_json(path: Path, value: Any) -> None:
    """JSON with sorted keys and a final newline; times as ISO text."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False, default=_plain, ensure_ascii=False)
    path.write_text(text + "\n")


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """A pandas DataFrame as Parquet, the same bytes for the same frame."""
    frame.to_parquet(path, index=False, compression="zstd", row_group_size=ROW_GROUP)


def write_relation(path: Path, relation: duckdb.DuckDBPyRelation, order_by: str) -> int:
    """Stream a DuckDB relation into a Parquet file, sorted by the SQL list `order_by`, which must name a full key.

    Returns the number of rows written.
    """
    relation.order(order_by).write_parquet(path.as_posix(), compression="zstd", row_group_size=ROW_GROUP)
    row = duckdb.sql("SELECT num_rows FROM parquet_file_metadata(?)", params=[path.as_posix()]).fetchone()
    return int(row[0]) if row else 0


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in a JSON file")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have the disk hold what was written to a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file or folder is exchanged for another of the same name; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino
