"""A receipt as parts, each of them kept once, under the digest of its bytes, however many receipts it belongs to.

A receipt is the digest of a part that says what was asked and answered. That part names two others: what answered (the
version, those that it minded, the step), which thousands share, and the features that were read. Of these, rows that
are the customer's own stand in their part; rows of other entities, such as products, stand in pages that all share.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

CODEC = pa.Codec("zstd", compression_level=1)

DIGEST = 16
"""Bytes of a part's name."""

PAGE = 512
"""Rows a page at most."""

REMEMBERED = 100_000
"""Rows whose page is remembered; with one more all are forgotten, and stand in new pages from then on."""


@dataclass(frozen=True)
class Read:
    """Features as they were read online: keys by column, values (rows, features), ages in seconds (rows, tables).

    shared: those of the tables whose rows are not of one customer.
    """

    keys: dict[str, list[str]]
    features: list[str]
    tables: list[str]
    values: np.ndarray
    ages: np.ndarray
    shared: tuple[str, ...] = ()


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


class Part:
    """Bytes under their digest.

    content: None once they are on disk. kept: when they were last known to be there, by a steady clock.
    """

    __slots__ = ("content", "digest", "kept")

    def __init__(self, content: bytes) -> None:
        self.digest = blake2b(content, digest_size=DIGEST).digest()
        self.content: bytes | None = content
        self.kept = 0.0


@dataclass(frozen=True)
class Packed:
    """A receipt to keep: the part that stands for it, and all that it needs, itself included."""

    head: Part
    parts: tuple[Part, ...]


class Packer:
    """Makes parts of receipts; remembers which it has made. Safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: dict[bytes, tuple[Part, int]] = {}
        self._small: dict[bytes, Part] = {}

    def pack(self, receipt: Receipt) -> Packed:
        """A whole receipt; raises ValueError for a number in its answer that JSON does not have."""
        answer = json.dumps(receipt.answer, allow_nan=False).encode()
        reads = self.reads(receipt.reads) if receipt.reads else None
        about = self.about(receipt.domain, receipt.model, receipt.question, receipt.heeded, receipt.step)
        return said(about, reads, receipt.arguments, answer)

    def about(self, domain: str, model: str, question: str, heeded: Mapping[str, str], step: str) -> Part:
        """What answers a question."""
        told = {"domain": domain, "model": model, "question": question, "heeded": dict(heeded), "step": step}
        return self._once(told)

    def reads(self, reads: Sequence[Read]) -> Packed:
        """The features that were read."""
        needed: dict[bytes, Part] = {}
        described, blocks = [], []
        for one in reads:
            form = self._once({"features": one.features, "tables": one.tables, "shared": one.shared})
            needed[form.digest] = form
            tables: list[Any] = []
            for number, (table, columns) in enumerate(places(tuple(one.features), tuple(one.tables))):
                block = _block(one, number, columns)
                if table in one.shared:
                    pages, which = self._on_pages(block)
                    tables.append([page.digest.hex() for page in pages])
                    needed |= {page.digest: page for page in pages}
                    blocks.append(which.astype("<u4").T.tobytes())
                else:
                    rows, codes = _distinct(block)
                    tables.append(len(rows))
                    blocks += [codes.astype("<u4").tobytes(), rows.T.tobytes()]
            described.append({"form": form.digest.hex(), "keys": one.keys, "rows": len(one.values), "tables": tables})
        head = Part(compressed(json.dumps(described).encode() + b"\n" + b"".join(blocks)))
        return Packed(head, (head, *needed.values()))

    def lay_out(self, read: Read) -> None:
        """Put the rows that all share on pages together, so that those who read some of them find them there."""
        for number, (table, columns) in enumerate(places(tuple(read.features), tuple(read.tables))):
            if table in read.shared:
                self._on_pages(_block(read, number, columns))

    def _once(self, told: Any) -> Part:
        """The part of something that many receipts have; there are few of them, so all are remembered."""
        content = json.dumps(told, sort_keys=True).encode()
        with self._lock:
            part = self._small.get(content)
            if part is None:
                if len(self._small) > REMEMBERED:
                    self._small.clear()
                part = self._small[content] = Part(compressed(content))
        return part

    def _on_pages(self, block: np.ndarray) -> tuple[list[Part], np.ndarray]:
        """Pages that hold the rows of a block, and for each row (number of its page, number of the row on it)."""
        rows = _bytes(block)
        with self._lock:
            if len(self._pages) > REMEMBERED:
                self._pages.clear()
            new = [number for number, row in enumerate(rows) if row not in self._pages]
            if new:
                first = sorted({rows[number]: number for number in reversed(new)}.values())
                for start in range(0, len(first), PAGE):
                    order = first[start : start + PAGE]
                    page = Part(compressed(block.shape[1].to_bytes(4, "little") + block[order].T.tobytes()))
                    self._pages |= {rows[number]: (page, place) for place, number in enumerate(order)}
            found = [self._pages[row] for row in rows]
        pages = list({id(page): page for page, _ in found}.values())
        numbers = {id(page): number for number, page in enumerate(pages)}
        which = np.array([(numbers[id(page)], place) for page, place in found], np.int64).reshape(-1, 2)
        return pages, which


def said(about: Part, reads: Packed | None, arguments: Mapping[str, Any], answer: bytes) -> Packed:
    """A receipt of parts that are made already; answer: JSON."""
    names = {"about": about.digest.hex(), "reads": reads.head.digest.hex() if reads else None, "arguments": arguments}
    head = Part(compressed(json.dumps(names).encode()[:-1] + b', "answer": ' + answer + b"}"))
    return Packed(head, (head, about, *(reads.parts if reads else ())))


def answered_by(content: bytes) -> str:
    """The name of the part that says what answered, the same for all receipts of a version and question."""
    return str(json.loads(plain(content))["about"])


def unpacked(content: bytes, fetch: Callable[[bytes], bytes]) -> Receipt:
    """The receipt that a part stands for, without id and moment; fetch: digest → content."""
    names = json.loads(plain(content))
    about = json.loads(plain(fetch(bytes.fromhex(names["about"]))))
    reads = _reads(fetch(bytes.fromhex(names["reads"])), fetch) if names["reads"] else []
    return Receipt(arguments=names["arguments"], answer=names["answer"], reads=reads, **about)


def _reads(content: bytes, fetch: Callable[[bytes], bytes]) -> list[Read]:
    whole = plain(content)
    end = whole.index(b"\n")
    at, reads = end + 1, []

    def take(kind: str, *shape: int) -> np.ndarray:
        nonlocal at
        numbers = np.frombuffer(whole, kind, int(np.prod(shape)), at).reshape(shape)
        at += numbers.nbytes
        return numbers

    for told in json.loads(whole[:end]):
        form, rows = json.loads(plain(fetch(bytes.fromhex(told["form"])))), told["rows"]
        values, ages = np.empty((rows, len(form["features"]))), np.empty((rows, len(form["tables"])))
        columns_of = places(tuple(form["features"]), tuple(form["tables"]))
        for number, ((_, columns), stored) in enumerate(zip(columns_of, told["tables"], strict=True)):
            width = len(columns) + 1
            if isinstance(stored, int):
                codes = take("<u4", rows)
                block = take("<f8", width, stored).T[codes]
            else:
                which, place = take("<u4", 2, rows)
                block = np.empty((rows, width))
                for page, digest in enumerate(stored):
                    block[which == page] = _page(fetch(bytes.fromhex(digest)))[place[which == page]]
            values[:, columns], ages[:, number] = block[:, :-1], block[:, -1]
        reads.append(Read(told["keys"], form["features"], form["tables"], values, ages, tuple(form["shared"])))
    return reads


def _page(content: bytes) -> np.ndarray:
    whole = plain(content)
    return np.frombuffer(whole, "<f8", offset=4).reshape(int.from_bytes(whole[:4], "little"), -1).T


@lru_cache(256)
def places(features: tuple[str, ...], tables: tuple[str, ...]) -> tuple[tuple[str, list[int]], ...]:
    """Of each table, the columns that are its features: those whose name begins with its own, the longest one's."""
    of = [max((table for table in tables if name.startswith(f"{table}__")), key=len) for name in features]
    return tuple((table, [place for place, own in enumerate(of) if own == table]) for table in tables)


def _block(read: Read, number: int, columns: list[int]) -> np.ndarray:
    """(rows, features and age) of one table."""
    return np.column_stack([read.values[:, columns], read.ages[:, number]]).astype("<f8", copy=False)


def _bytes(block: np.ndarray) -> list[bytes]:
    """Each row of doubles as bytes."""
    whole, width = block.tobytes(), block.shape[1] * 8
    return [whole[at : at + width] for at in range(0, len(whole), width)]


def _distinct(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows in the order in which they come first, and the number of each row among them."""
    known: dict[bytes, int] = {}
    codes = [known.setdefault(row, len(known)) for row in _bytes(block)]
    return np.frombuffer(b"".join(known), "<f8").reshape(len(known), block.shape[1]), np.array(codes, np.int64)


def compressed(whole: bytes) -> bytes:
    """zstd, with the length before it."""
    return len(whole).to_bytes(8, "little") + bytes(CODEC.compress(whole, asbytes=True))


def plain(content: bytes) -> bytes:
    """The inverse of `compressed`."""
    return bytes(CODEC.decompress(content[8:], int.from_bytes(content[:8], "little"), asbytes=True))
