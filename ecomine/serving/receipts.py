"""Receipts: what an answer was made of, kept so that it can be shown and made again.

A receipt holds the question with its arguments, the version that answered, every feature value as it was read, with its
age, and the answer. It is in the file before the answer leaves. The file belongs to its owner alone, since making an
answer again needs the customer's id; what is shown to others has a keyed hash in place of it.
"""

import json
import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from ecomine import layout
from ecomine.errors import MissingInputError
from ecomine.store import Store

log = logging.getLogger("ecomine.serving")

WAIT = 1.0
"""Seconds that an answer waits for a file that another process has locked."""

PAUSE = 5.0
"""Seconds for which receipts are not kept after they could not be."""

AWAY = "a moment ago it could not be written to"

HOUR = 3600.0
"""Seconds between two looks for receipts that are too old."""

CODEC = pa.Codec("zstd", compression_level=1)


@dataclass(frozen=True)
class Read:
    """Features as they were read online: keys by column, values (rows, features), ages in seconds (rows, tables)."""

    keys: dict[str, list[str]]
    features: list[str]
    tables: list[str]
    values: np.ndarray
    ages: np.ndarray


@dataclass(frozen=True)
class Receipt:
    """What was asked, what answered, what it had read, what it said; which versions of other domains it minded.

    step: by which step of the line-up the answer came.
    """

    domain: str
    model: str
    question: str
    arguments: dict[str, Any]
    answer: dict[str, Any]
    reads: list[Read] = field(default_factory=list)
    id: str = ""
    when: datetime = datetime.min
    heeded: dict[str, str] = field(default_factory=dict)
    step: str = "deployed"


class Receipts:
    """The receipts of a workspace, in one SQLite file; safe from several threads and processes.

    days: how long receipts are kept; 0 keeps none. Raises MissingInputError where an id is not there.
    """

    def __init__(self, store: Store, days: float) -> None:
        self._path, self._days = store.path(layout.RECEIPTS), days
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._looked = 0.0
        self._failed: float | None = None

    @property
    def kept(self) -> bool:
        return self._days > 0

    def add(self, receipt: Receipt) -> str:
        """Keep a receipt and return its id, which grows with time."""
        now = datetime.now(UTC).replace(tzinfo=None)
        moment = (now - datetime(1970, 1, 1)) // timedelta(microseconds=1)
        id_ = f"{moment:014x}{secrets.token_hex(8)}"
        if self._away():
            raise sqlite3.OperationalError(AWAY)
        try:
            with self._open() as connection:
                if self._away():  # found out by another answer, while this one was waiting for its turn
                    raise sqlite3.OperationalError(AWAY)
                connection.execute("INSERT INTO receipts VALUES (?, ?, ?)", (id_, receipt.domain, _packed(receipt)))
                if time.monotonic() - self._looked > HOUR or not self._looked:
                    oldest = (now - timedelta(days=self._days) - datetime(1970, 1, 1)) // timedelta(microseconds=1)
                    connection.execute("DELETE FROM receipts WHERE id < ?", (f"{oldest:014x}",))
                    self._looked = time.monotonic()
        except (OSError, sqlite3.Error):
            if not self._away():
                self._failed = time.monotonic()
            raise
        return id_

    def _away(self) -> bool:
        """Whether the file could not be written to a moment ago: answers must not queue up behind it."""
        return self._failed is not None and time.monotonic() - self._failed < PAUSE

    def get(self, id_: str) -> Receipt:
        """A receipt by its id."""
        with self._open() as connection:
            row = connection.execute("SELECT id, body FROM receipts WHERE id = ?", (id_,)).fetchone()
        if row is None:
            raise MissingInputError(
                f"There is no receipt {id_}; they are kept for {self._days:g} days (`serving.receipt_days`)."
            )
        return _unpacked(*row)

    def newest(self, count: int) -> Iterator[Receipt]:
        """The last `count` receipts, the newest first."""
        with self._open() as connection:
            ids = connection.execute("SELECT id FROM receipts ORDER BY id DESC LIMIT ?", (count,)).fetchall()
        for (id_,) in ids:
            yield self.get(id_)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The connection in a transaction of its own, for one thread at a time."""
        with self._lock:
            if self._connection is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.touch(mode=0o600)
                made = sqlite3.connect(self._path, timeout=WAIT, check_same_thread=False)
                made.execute("PRAGMA journal_mode = WAL")
                made.execute("PRAGMA synchronous = NORMAL")
                made.execute(
                    "CREATE TABLE IF NOT EXISTS receipts (id TEXT PRIMARY KEY, domain TEXT, body BLOB) WITHOUT ROWID"
                )
                self._connection = made
            with self._connection:
                yield self._connection


def _packed(receipt: Receipt) -> bytes:
    """JSON on one line, then the numbers column by column, since columns are what repeats; compressed."""
    said = {
        "domain": receipt.domain, "model": receipt.model, "question": receipt.question,
        "arguments": receipt.arguments, "answer": receipt.answer, "heeded": receipt.heeded,
        "step": receipt.step,
        "reads": [{"keys": one.keys, "features": one.features, "tables": one.tables} for one in receipt.reads],
    }  # fmt: skip
    parts = [json.dumps(said, allow_nan=False).encode(), b"\n"]
    for one in receipt.reads:
        parts += [np.ascontiguousarray(matrix.T, dtype="<f8").tobytes() for matrix in (one.values, one.ages)]
    whole = b"".join(parts)
    return len(whole).to_bytes(8, "little") + CODEC.compress(whole, asbytes=True)


def _unpacked(id_: str, body: bytes) -> Receipt:
    whole = CODEC.decompress(body[8:], int.from_bytes(body[:8], "little"), asbytes=True)
    end = whole.index(b"\n")
    said = json.loads(whole[:end])
    at, reads = end + 1, []
    for one in said["reads"]:
        rows = len(next(iter(one["keys"].values()), []))
        matrices = []
        for width in (len(one["features"]), len(one["tables"])):
            numbers = np.frombuffer(whole, dtype="<f8", count=rows * width, offset=at)
            matrices.append(numbers.reshape(width, rows).T)
            at += rows * width * 8
        reads.append(Read(one["keys"], one["features"], one["tables"], *matrices))
    when = datetime(1970, 1, 1) + timedelta(microseconds=int(id_[:14], 16))
    return Receipt(**{**said, "reads": reads}, id=id_, when=when)
