"""Receipts: what an answer was made of, kept so that it can be shown and made again.

A receipt holds the question with its arguments, the version that answered, every feature value as it was read, with its
age, and the answer. It is in the file before the answer leaves. The file belongs to its owner alone, since making an
answer again needs the customer's id; what is shown to others has a keyed hash in place of it.
"""

import asyncio
import logging
import secrets
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ecomine import layout
from ecomine.errors import MissingInputError
from ecomine.serving.packing import Packed, Packer, Read, Receipt, answered_by, unpacked
from ecomine.serving.receipt_file import HOUR, ReceiptFile
from ecomine.store import Store

log = logging.getLogger("ecomine.serving")


PAUSE = 5.0
"""Seconds for which receipts are not kept after they could not be."""

AWAY = "a moment ago it could not be written to"

COMMITS = 1_000
"""Transactions after which the journal is brought into the database."""

OPENED = 512
"""Parts that stay in memory while receipts are read one after the other."""

EPOCH = datetime(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)

Waiting = list[tuple[Packed, "asyncio.Future[str]"]]


class Receipts:
    """The receipts of a workspace; safe from several threads and processes.

    days: how long receipts are kept; 0 keeps none. Raises MissingInputError where an id is not there.
    """

    def __init__(self, store: Store, days: float) -> None:
        self._file, self._days = ReceiptFile(store.path(layout.RECEIPTS)), days
        self.packer = Packer()
        self._waiting: Waiting = []
        self._writing = False
        self._commits = 0
        self._looked: float | None = None
        self._failed: float | None = None
        self._latest = 0
        self._numbering = threading.Lock()
        self._parts: OrderedDict[bytes, bytes] = OrderedDict()

    @property
    def kept(self) -> bool:
        return self._days > 0

    def open(self) -> None:
        """Make ready what the first answer would otherwise wait for."""
        if self.kept:
            with suppress(OSError, sqlite3.Error):  # whoever wants a receipt kept is told
                self._file.open()

    def add(self, receipt: Receipt) -> str:
        """Keep a receipt and return its id, which grows with time."""
        (id_,) = self._write([self.packer.pack(receipt)])
        if self._due():
            self._tidy()
        return id_

    async def note(self, packed: Packed) -> str:
        """Keep a receipt and return its id; those that come at the same moment share a transaction."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        self._waiting.append((packed, future))
        if len(self._waiting) == 1 and not self._writing:
            loop.call_soon(self._flush, loop)
        return await future

    def get(self, id_: str) -> Receipt:
        """A receipt by its id."""
        head = self._file.head(id_)
        if head is None:
            raise MissingInputError(
                f"There is no receipt {id_}; they are kept for {self._days:g} days (`serving.receipt_days`)."
            )
        return self._opened(id_, head)

    def newest(self, count: int) -> Iterator[Receipt]:
        """The last `count` receipts, the newest first."""
        for id_, head in self._file.newest(count):
            yield self._opened(id_, self._file.part(head))

    def alike(self, count: int) -> Iterator[tuple[Receipt, list[str]]]:
        """Of the last `count` receipts those that say different things, each with the ids of all that say the same.

        Those of one version come one after the other.
        """
        ids: dict[bytes, list[str]] = {}
        for id_, head in self._file.newest(count):
            ids.setdefault(head, []).append(id_)
        versions: dict[str, list[bytes]] = {}
        for head in ids:
            versions.setdefault(answered_by(self._file.part(head)), []).append(head)
        for head in (head for heads in versions.values() for head in heads):
            yield self._opened(ids[head][0], self._file.part(head)), ids[head]

    def count(self) -> int:
        """How many there are."""
        return self._file.count()

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keep what waits, on the loop itself unless others hold the file."""
        batch, self._waiting = self._waiting, []
        try:
            self._refuse_away()
            if self._file.ready:
                _tell(batch, self._numbered([packed for packed, _ in batch], self._file.write_now))
                self._after(loop)
                return
        except sqlite3.OperationalError as error:
            if str(error) == AWAY or not self._held(error):
                self._give_up(batch, error)
                return
        except Exception as error:
            self._give_up(batch, error)
            return
        self._writing = True
        done = loop.run_in_executor(None, self._write, [packed for packed, _ in batch])
        done.add_done_callback(lambda done: self._written(loop, batch, done))

    def _written(self, loop: asyncio.AbstractEventLoop, batch: Waiting, done: "asyncio.Future[list[str]]") -> None:
        self._writing = False
        error = done.exception()
        if error is None:
            _tell(batch, done.result())
            self._after(loop)
        else:
            self._give_up(batch, error)
        if self._waiting:
            loop.call_soon(self._flush, loop)

    def _after(self, loop: asyncio.AbstractEventLoop) -> None:
        """What is to be done once in a while, by a thread of its own."""
        self._commits += 1
        if self._commits % COMMITS == 0:
            loop.run_in_executor(None, self._file.checkpoint)
        if self._due():
            loop.run_in_executor(None, self._tidy)

    def _give_up(self, batch: Waiting, error: BaseException) -> None:
        if str(error) != AWAY:
            self._failed = time.monotonic()
        for _, future in batch:
            if not future.done():
                future.set_exception(error)

    def _write(self, packed: Sequence[Packed]) -> list[str]:
        """Keep receipts, waiting for others who write; for any thread."""
        self._refuse_away()
        try:
            return self._numbered(packed, self._file.write)
        except (OSError, sqlite3.Error):
            if not self._away():
                self._failed = time.monotonic()
            raise

    def _numbered(self, packed: Sequence[Packed], write: Any) -> list[str]:
        now = _now()
        with self._numbering:
            # Of two in one microsecond, or where the clock was set back a little, the later one has the greater id.
            first = self._latest + 1 if 0 <= self._latest + 1 - now < 1_000_000 else now
            self._latest = first + len(packed) - 1
        ids = [f"{first + number:014x}{secrets.token_hex(8)}" for number in range(len(packed))]
        write(list(zip(ids, packed, strict=True)), now)
        return ids

    @staticmethod
    def _held(error: sqlite3.OperationalError) -> bool:
        return "locked" in str(error) or "busy" in str(error)

    def _refuse_away(self) -> None:
        if self._away():
            raise sqlite3.OperationalError(AWAY)

    def _away(self) -> bool:
        """Whether the file could not be written to a moment ago: answers must not queue up behind it."""
        return self._failed is not None and time.monotonic() - self._failed < PAUSE

    def _due(self) -> bool:
        if self._looked is not None and time.monotonic() - self._looked < HOUR:
            return False
        self._looked = time.monotonic()
        return True

    def _tidy(self) -> None:
        try:
            self._file.tidy(_now(), self._days)
        except (OSError, sqlite3.Error) as error:
            log.error("receipts that are too old cannot be taken away: %s", error)

    def _opened(self, id_: str, head: bytes) -> Receipt:
        when = EPOCH + timedelta(microseconds=int(id_[:14], 16))
        return replace(unpacked(head, self._part), id=id_, when=when)

    def _part(self, digest: bytes) -> bytes:
        content = self._parts.get(digest)
        if content is None:
            try:
                content = self._parts[digest] = self._file.part(digest)
            except KeyError:
                raise MissingInputError(f"The file of receipts is damaged: it lacks part {digest.hex()}.") from None
            while len(self._parts) > OPENED:
                with suppress(KeyError):  # another thread took it
                    self._parts.popitem(last=False)
        return content


def _tell(batch: Waiting, ids: Sequence[str]) -> None:
    for (_, future), id_ in zip(batch, ids, strict=True):
        if not future.done():  # whoever asked may have gone away
            future.set_result(id_)


def _now() -> int:
    """Microseconds since 1970."""
    return (datetime.now(UTC).replace(tzinfo=None) - EPOCH) // MICROSECOND


__all__ = ["Packed", "Read", "Receipt", "Receipts"]
