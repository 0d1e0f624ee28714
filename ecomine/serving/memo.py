"""Answers given before, in memory: given again while nothing that they came from has changed.

An answer depends on the version that gave it with those that it minds, on the question with its arguments, on the
features that were read, and on what products are called. So it is remembered under the first two, with the state of the
online store and of the table of products, which are looked at each time.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from ecomine.serving.packing import Packed

BESIDE = 1_500
"""Bytes that an answer needs beside its text: its name, its receipt's digests."""


@dataclass(frozen=True)
class Remembered:
    """An answer as it leaves, with its receipt; spent: milliseconds that it took to make.

    state: of the online store before its features were read; titles: of the table of products.
    """

    body: bytes
    packed: Packed | None
    state: str | None = None
    titles: int | None = None
    spent: float = 0.0


class Memo:
    """The answers that were asked for last, in so many megabytes; safe from several threads."""

    def __init__(self, megabytes: float) -> None:
        self._room = self._whole = int(megabytes * 1e6)
        self._known: OrderedDict[Hashable, Remembered] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: Hashable, state: str | None, titles: int | None) -> Remembered | None:
        """The answer of this name, where store and products are as they were."""
        with self._lock:
            known = self._known.get(name)
            if known is None or state is None or known.state != state or known.titles != titles:
                return None
            self._known.move_to_end(name)
        return known

    def put(self, name: Hashable, one: Remembered) -> None:
        """Remember an answer, unless it is not known what it came from."""
        if one.state is None or len(one.body) > self._whole // 10:
            return
        with self._lock:
            before = self._known.pop(name, None)
            self._room += _size(before) - _size(one)
            self._known[name] = one
            while self._room < 0:
                self._room += _size(self._known.popitem(last=False)[1])


def _size(one: Remembered | None) -> int:
    return 0 if one is None else len(one.body) + BESIDE
