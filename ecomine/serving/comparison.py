"""Where two answers to the same question differ."""

from collections.abc import Collection, Iterator
from typing import Any

NAMES = ("title", "category")
"""What a product is called today has no part in a decision, so it is not compared."""

VERSION = ("model", "as_of")
"""Which version answered."""


def differing(then: Any, now: Any, leaving: Collection[str] = NAMES, place: str = "") -> Iterator[str]:
    """A line for each place in which two answers, of what JSON can hold, differ, but for the fields left out."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted((then.keys() | now.keys()) - set(leaving)):
            yield from differing(then.get(key), now.get(key), leaving, f"{place}.{key}" if place else key)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for number, (one, other) in enumerate(zip(then, now, strict=True)):
            yield from differing(one, other, leaving, f"{place}[{number}]")
    elif then != now:
        yield f"{place}: {then!r} then, {now!r} now"
