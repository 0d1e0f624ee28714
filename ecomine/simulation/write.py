"""Streams of Parquet: each table a folder of files, a file a block of days, row groups of a fixed size.

What a block of days holds depends on nothing outside it, so that continuing a shop rewrites at most its last block.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ecomine.store import ROW_GROUP

BLOCK_DAYS = 28


def nullable(values: np.ndarray, valid: np.ndarray | None = None) -> pa.Array:
    """An array with nulls where `valid` is false; without it, where a number is below 0."""
    valid = values >= 0 if valid is None else valid
    return pa.array(values, mask=~valid)


def text(codes: np.ndarray, words: "Sequence[str] | pa.Array") -> pa.DictionaryArray:
    """Words by number, kept as numbers; null below 0. The words differ: Arrow writes equal ones in changing bytes."""
    dictionary = words if isinstance(words, pa.Array) else pa.array(words, pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), dictionary)


class BlockWriter:
    """The files of one block of days under `folder`, a table each; they appear when the block is left without error."""

    def __init__(self, folder: Path, first_day: int) -> None:
        self.folder, self.name = folder, f"day-{first_day:06d}.parquet"
        self.waiting: dict[str, list[pa.Table]] = {}
        self.writers: dict[str, pq.ParquetWriter] = {}

    def __enter__(self) -> "BlockWriter":
        return self

    def write(self, name: str, table: pa.Table) -> None:
        """Add rows to a table; full row groups go to the disk at once."""
        if not table.num_rows:
            return
        parts = self.waiting.setdefault(name, [])
        parts.append(table)
        if sum(part.num_rows for part in parts) >= ROW_GROUP:
            rows = pa.concat_tables(parts)
            full = rows.num_rows - rows.num_rows % ROW_GROUP
            self._writer(name, rows.schema).write_table(rows.slice(0, full), row_group_size=ROW_GROUP)
            # A copy, so that the large arrays behind a small rest are let go.
            rest = rows.slice(full)
            self.waiting[name] = [rest.take(pa.array(np.arange(rest.num_rows)))] if rest.num_rows else []

    def _writer(self, name: str, schema: pa.Schema) -> pq.ParquetWriter:
        if name not in self.writers:
            path = self.folder / name / f".{self.name}.new"
            path.parent.mkdir(parents=True, exist_ok=True)
            words = [
                field.name for field in schema if pa.types.is_dictionary(field.type) or pa.types.is_string(field.type)
            ]
            self.writers[name] = pq.ParquetWriter(
                path, schema, compression="snappy", use_dictionary=words, store_schema=False
            )
        return self.writers[name]

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            for name, parts in self.waiting.items():
                if parts:
                    rows = pa.concat_tables(parts)
                    self._writer(name, rows.schema).write_table(rows, row_group_size=ROW_GROUP)
        for name, writer in self.writers.items():
            writer.close()
            path = self.folder / name / f".{self.name}.new"
            if kind is None:
                os.replace(path, self.folder / name / self.name)
            else:
                path.unlink(missing_ok=True)
