"""A long history, computed a part of its users or items at a time, so that memory and spilled data stay bounded.

Windows see each line once for every snapshot that knows it. All at once, ten million lines make DuckDB spill twenty
gigabytes; a block of them fits into memory. The lines are written once, in files by the block of their user and of
their item; a feature table that says which of the two it can be cut by (`FeatureTable.apart`) then reads only its own.
Blocks follow the order of the ids, so that sorted blocks one after the other are sorted as a whole.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

import duckdb
import pyarrow as pa

from ecomine.feature_store.declaration import EVENT_TIMESTAMP
from ecomine.store import ROW_GROUP

LINES = "features_lines"
ORDER_LINES = "features_order_lines"
WHOLE = "features_all_order_lines"
ORDERED = "features_lines_of_block"

BLOCK = 1_000_000
"""Order lines of a block, about."""

GROUP = 8
"""Blocks of users whose lines are gathered at once: each group reads all order lines anew."""

SAMPLE = 100_000
"""Order lines from which the cuts are found."""

Cuts = Mapping[str, Sequence[str]]
"""By `user_id` and by `item_id` the ids, in order, at which a new block begins; empty for a short history."""


def cuts(connection: duckdb.DuckDBPyConnection, since: datetime | None, until: datetime) -> Cuts:
    """Where to cut the users and items of the order lines up to `until`, after `since` where that is given."""
    late = f" AND {EVENT_TIMESTAMP} > '{since}'" if since is not None else ""
    lines = f"(FROM {WHOLE} WHERE {EVENT_TIMESTAMP} <= '{until}'{late})"
    count = int(connection.sql(f"SELECT count(*) FROM {lines}").fetchall()[0][0])
    parts, step = -(-count // BLOCK), max(count // SAMPLE, 1)
    return {key: _cuts(connection, lines, key, parts, step) for key in ("user_id", "item_id")} if parts > 1 else {}


def _cuts(connection: duckdb.DuckDBPyConnection, lines: str, key: str, parts: int, step: int) -> list[str]:
    numbered = f"SELECT {key}, row_number() OVER () AS number FROM {lines}"
    query = f"SELECT {key} FROM ({numbered}) WHERE number % {step} = 0 AND {key} IS NOT NULL ORDER BY {key}"
    found = [str(row[0]) for row in connection.sql(query).fetchall()]
    return list(dict.fromkeys(found[part * len(found) // parts] for part in range(1, parts))) if found else []


def chosen(cuts: Sequence[str], key: str, start: int, count: int = 1) -> str:
    """The SQL condition of `count` blocks from `start` on; nulls are of the last one, as they are last in the order."""
    limits = [f"{key} >= {_text(cuts[start - 1])}"] if start else []
    if start + count > len(cuts):
        return f"({' AND '.join(limits)} OR {key} IS NULL)" if limits else "true"
    return " AND ".join([*limits, f"{key} < {_text(cuts[start + count - 1])}"])


def number(cuts: Sequence[str], key: str, first: int = 0) -> str:
    """SQL for the block of a row, found by halves."""
    if not cuts:
        return str(first)
    middle = len(cuts) // 2
    below, above = number(cuts[:middle], key, first), number(cuts[middle + 1 :], key, first + middle + 1)
    return f"CASE WHEN {key} < {_text(cuts[middle])} THEN {below} ELSE {above} END"


@dataclass(frozen=True)
class Blocks:
    """The lines of a long history in files, and the cuts by which they were written."""

    connection: duckdb.DuckDBPyConnection
    cuts: Cuts
    folder: Path

    def write_lines(self, lines: str) -> None:
        """Run the SQL `lines`, which needs all order lines of a user and no other's, some blocks of users at a time."""
        users, items = self.cuts["user_id"], self.cuts["item_id"]
        for start in range(0, len(users) + 1, GROUP):
            narrow(self.connection, ORDER_LINES, WHOLE, chosen(users, "user_id", start, GROUP))
            places = f"{number(users, 'user_id')} AS user_block, {number(items, 'item_id')} AS item_block"
            self.connection.execute(
                f"COPY (SELECT *, {places} FROM ({lines})) TO {_text((self.folder / str(start)).as_posix())} "
                "(FORMAT parquet, PARTITION_BY (user_block, item_block))"
            )
        self.choose(None, 0)

    def count(self, key: str | None) -> int:
        """Blocks of a feature table that can be cut by `key`."""
        return len(self.cuts[key]) + 1 if key else 1

    def choose(self, key: str | None, block: int) -> str:
        """Have the views of lines and of order lines hold a block; returns its SQL condition."""
        condition = chosen(self.cuts[key], key, block) if key else "true"
        narrow(self.connection, ORDER_LINES, WHOLE, condition)
        part = {"user_id": f"user_block={block}/*", "item_id": f"*/item_block={block}"}.get(key or "", "*/*")
        found = any(self.folder.glob(f"*/{part}/*.parquet"))
        files = f"{self.folder.as_posix()}/*/{part if found else '*/*'}/*.parquet"
        lines, there = f"read_parquet({_text(files)}, hive_partitioning = false)", "true" if found else "false"
        if key == "item_id":
            # In order, the lines that windows repeat meet their groups together, which saves more than the order costs.
            ordered = f"SELECT * FROM {lines} WHERE {there} ORDER BY item_id"
            self.connection.execute(f"CREATE OR REPLACE TABLE {ORDERED} AS {ordered}")
            lines, there = ORDERED, "true"
        narrow(self.connection, LINES, lines, there)
        if key is None:
            self.connection.execute(f"DROP TABLE IF EXISTS {ORDERED}")
        return condition


def narrow(connection: duckdb.DuckDBPyConnection, view: str, rows: str, condition: str) -> None:
    """Have a view hold the rows that fulfil a condition."""
    connection.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT * FROM {rows} WHERE {condition}")


def write_joined(connection: duckdb.DuckDBPyConnection, parts: Iterable[pa.RecordBatchReader], path: Path) -> int:
    """One Parquet file of sorted parts, to the bytes of all rows written at once; returns the rows.

    Parts are read one after the other, on other connections than this one.
    """
    parts, counts = iter(parts), [0]
    first = next(parts)

    def batches() -> Iterator[pa.RecordBatch]:
        # DuckDB makes a row group of each batch; of batches of any size it would make some of one and a bit.
        rest = first.schema.empty_table()
        for batch in chain(first, chain.from_iterable(parts)):
            rest = pa.concat_tables([rest, pa.Table.from_batches([batch])])
            while rest.num_rows >= ROW_GROUP:
                yield _batch(rest.slice(0, ROW_GROUP))
                counts.append(ROW_GROUP)
                rest = rest.slice(ROW_GROUP)
        if rest.num_rows:
            yield _batch(rest)
            counts.append(rest.num_rows)

    rows = pa.RecordBatchReader.from_batches(first.schema, batches())
    connection.from_arrow(rows).write_parquet(path.as_posix(), compression="zstd", row_group_size=ROW_GROUP)
    return sum(counts)


def _batch(table: pa.Table) -> pa.RecordBatch:
    return table.combine_chunks().to_batches()[0]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
