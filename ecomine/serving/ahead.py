"""Answers made ahead: what everybody who has a decision would be told, before they ask.

One file a domain holds them with their receipts, for one version, the versions that it minds, one state of the online
store and of the table of products. It answers as long as all of these are what they were when it was made, and is made
anew, by a process of its own, when one of them changes; meanwhile answers are made when they are asked for.
"""

import json
import logging
import os
import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ecomine import layout
from ecomine.deployment import Bundle
from ecomine.deployment.bundle import DECISIONS
from ecomine.domain import Domain
from ecomine.serving.catalogue import Catalogue
from ecomine.serving.memo import Remembered
from ecomine.serving.noting import noting
from ecomine.serving.packing import DIGEST, Packed, Packer, Part, Read, compressed, plain, said
from ecomine.serving.seat import Answers
from ecomine.store import Store, stamp

log = logging.getLogger("ecomine.serving")

AT_ONCE = 256
"""Customers for whom answers are made at once."""


@dataclass(frozen=True)
class Recipe:
    """Of a domain, the question that is answered ahead: an entry in `results` for each unit, its `items` by rank.

    whole(bundle, units) → arguments that ask for all there is. asked(arguments) → the one unit that is asked about, and
    up to which rank; None for what was not made.
    """

    question: str
    whole: Callable[[Bundle, list[str]], dict[str, Any]]
    asked: Callable[[Mapping[str, Any]], tuple[str, int] | None]


class Ahead:
    """The answers made ahead of one domain, for one thread; looks for a new file by itself."""

    def __init__(self, store: Store, domain: Domain, recipe: Recipe, packer: Packer) -> None:
        self._path, self._name = path_of(store, domain.name), domain.name
        self._recipe, self._packer = recipe, packer
        self._stamp: tuple[int, int] | None = None
        self._file: sqlite3.Connection | None = None
        self._about: dict[str, Any] = {}
        self._parts: dict[bytes, Part] = {}

    def find(
        self, answers: Answers, state: str, titles: int | None, question: str, arguments: Mapping[str, Any], step: str
    ) -> Remembered | None:
        """The answer of a version to a question, where it was made from what holds now."""
        asked = self._recipe.asked(arguments) if question == self._recipe.question else None
        if asked is None:
            return None
        try:
            self._open()
            made = self._about.get("of")
            if made is None or made != _of(answers, state, titles) or asked[1] > self._about["longest"]:
                return None
            return self._found(*asked, arguments, step, state, titles)
        except (OSError, sqlite3.Error) as error:
            log.error("%s: answers made ahead cannot be read: %s", self._name, error)
            self._about = {}
            return None

    def _found(
        self, unit: str, last: int, arguments: Mapping[str, Any], step: str, state: str, titles: int | None
    ) -> Remembered | None:
        assert self._file is not None, "an open file has told what it is of"
        row = self._file.execute("SELECT answer, reads, needs FROM answers WHERE unit = ?", (unit,)).fetchone()
        if row is None:
            return None
        ranks, head, *items = plain(row[0]).split(b"\n")
        count = bisect_right(json.loads(ranks), last)
        body = b"".join((head, b",".join(items[:count]), b"]}"))
        reads = Part(row[1])
        needs = [self._part(row[2][at : at + DIGEST]) for at in range(0, len(row[2]), DIGEST)]
        about = self._packer.about(self._name, self._about["model"], self._recipe.question, self._about["heeded"], step)
        whole = b'{"results": [' + body + b"]}"
        return Remembered(body, said(about, Packed(reads, (reads, *needs)), arguments, whole), state, titles)

    def _part(self, digest: bytes) -> Part:
        part = self._parts.get(digest)
        if part is None:
            assert self._file is not None
            (content,) = self._file.execute("SELECT content FROM parts WHERE digest = ?", (digest,)).fetchone()
            part = self._parts[digest] = Part(content)
        return part

    def _open(self) -> None:
        now = stamp(self._path)
        if now == self._stamp:
            return
        self._stamp, self._about, self._parts = now, {}, {}
        if self._file is not None:
            self._file.close()
        if now is not None:
            self._file = _opened(self._path)
            self._about = json.loads(self._file.execute("SELECT told FROM about").fetchone()[0])
            log.info("%s: answers made ahead for %s", self._name, self._about["model"][:12])


def _of(answers: Answers, state: str, titles: int | None) -> str | None:
    """None where a version that is minded cannot be read, since it may be a moment later."""
    if answers.matters.keys() != answers.heeded.keys():
        return None
    return of(answers.bundle.digest, answers.heeded, state, titles)


def path_of(store: Store, domain: str) -> Path:
    return store.path(layout.AHEAD.format(domain=domain))


def made_of(path: Path) -> str | None:
    """What the answers in a file were made of; None where there are none."""
    if not path.exists():
        return None
    try:
        with closing(_opened(path)) as file:
            return str(json.loads(file.execute("SELECT told FROM about").fetchone()[0])["of"])
    except (sqlite3.Error, ValueError, KeyError):
        return None


def make(store: Store, answers: Answers, recipe: Recipe, question: Callable[..., Any]) -> int | None:
    """Make the answers of a version and put them in their place; returns how many.

    None where nothing can be made ahead: its features may change at any moment, or did so meanwhile.
    """
    catalogue, bundle = Catalogue(store), answers.bundle
    state = answers.features.state if answers.features else None
    titles = catalogue.stamp()
    if state is None or answers.matters.keys() != answers.heeded.keys():
        return None
    name, path = _of(answers, state, titles), path_of(store, bundle.domain)
    if made_of(path) == name:
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.touch(mode=0o600)
        with closing(sqlite3.connect(fresh, isolation_level=None)) as file:
            for pragma in ("page_size = 8192", "journal_mode = OFF", "synchronous = OFF"):
                file.execute(f"PRAGMA {pragma}")
            count = _fill(file, answers, recipe, question, catalogue)
            whole = recipe.whole(bundle, [])
            told = {"of": name, "model": bundle.digest, "heeded": dict(answers.heeded), "longest": whole["k"]}
            file.execute("CREATE TABLE about (told TEXT)")
            file.execute("INSERT INTO about VALUES (?)", (json.dumps(told),))
        if (answers.features.state if answers.features else None) != state or catalogue.stamp() != titles:
            return None
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    return count


def _fill(
    file: sqlite3.Connection, answers: Answers, recipe: Recipe, question: Callable[..., Any], catalogue: Catalogue
) -> int:
    file.execute("CREATE TABLE answers (unit TEXT PRIMARY KEY, answer BLOB, reads BLOB, needs BLOB)")
    file.execute("CREATE TABLE parts (digest BLOB PRIMARY KEY, content BLOB) WITHOUT ROWID")
    packer, count = Packer(), 0
    for units in _units(answers):
        reads: list[Read] = []
        made = question(
            replace(answers, look_up=noting(answers, reads)), catalogue, **recipe.whole(answers.bundle, units)
        )
        for one in reads:
            packer.lay_out(one)
        own = [_by_unit(one, answers.domain.entity, units) for one in reads]
        rows: list[tuple[Any, ...]] = []
        parts: dict[bytes, bytes | None] = {}
        for number, result in enumerate(made.model_dump(mode="json")["results"]):
            packed = packer.reads([one[number] for one in own])
            needs = [part for part in packed.parts if part is not packed.head]
            parts |= {part.digest: part.content for part in needs}
            rows.append((units[number], _lines(result), packed.head.content, b"".join(part.digest for part in needs)))
        file.execute("BEGIN")
        file.executemany("INSERT INTO answers VALUES (?, ?, ?, ?)", rows)
        file.executemany("INSERT OR IGNORE INTO parts VALUES (?, ?)", parts.items())
        file.execute("COMMIT")
        count += len(units)
    return count


def _opened(path: Path) -> sqlite3.Connection:
    # The file never changes once it is in its place, so SQLite may read it without locks or a journal.
    return sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def _units(answers: Answers) -> Iterator[list[str]]:
    """Everybody for whom the version has decided, some at a time."""
    entity = answers.domain.entity
    decided = pq.read_table(answers.bundle.folder / DECISIONS, columns=[entity])[entity]
    units = sorted(map(str, decided.unique().to_pylist()))
    yield from (units[at : at + AT_ONCE] for at in range(0, len(units), AT_ONCE))


def _by_unit(read: Read, entity: str, units: list[str]) -> list[Read]:
    """What was read for each of the units alone, in the order in which it was."""
    codes = pd.Index(units).get_indexer(pd.Index(read.keys[entity]))
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(len(units) + 1))
    keys = {key: np.array(texts, object)[order] for key, texts in read.keys.items()}
    values, ages = read.values[order], read.ages[order]
    return [
        replace(
            read,
            keys={key: texts[start:end].tolist() for key, texts in keys.items()},
            values=values[start:end],
            ages=ages[start:end],
        )
        for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    ]


def _lines(result: dict[str, Any]) -> bytes:
    """Ranks, what comes before the items, and each item, on lines: JSON has no line breaks in it."""
    *_, last = result
    assert last == "items", "an answer is cut at its end"
    head = _json({**result, "items": []}).removesuffix("]}")
    items = [_json(item) for item in result["items"]]
    return compressed("\n".join((_json([item["rank"] for item in result["items"]]), head, *items)).encode())


def _json(told: Any) -> str:
    return json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def of(digest: str, heeded: Mapping[str, str], state: str, titles: int | None) -> str:
    """What answers are made of, as text: version, versions minded, online store, products."""
    return json.dumps([digest, sorted(heeded.items()), state, titles])
