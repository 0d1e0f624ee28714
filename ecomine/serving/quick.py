"""The short way: a question whose answer is at hand is answered before the framework looks at it.

To find a route, read parameters and call dependencies takes several times as long as to give an answer that is there.
Whatever is not quite plain, and all that fails, goes the usual way, which says what is wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from ecomine.serving.desk import Desk, Pick
from ecomine.serving.errors import EcomineError
from ecomine.serving.keys import Keys


class Asked(NamedTuple):
    """A question of a desk, as its route would put it."""

    question: str
    unit: str
    pick: Pick | None
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Short:
    """How the questions of a GET address are read: of the path what comes after `prefix`, and the query.

    path: the address as it is declared. read: None for what is not quite plain.
    """

    prefix: str
    path: str
    read: Callable[[str, bytes], Asked | None]


@dataclass(frozen=True)
class _Way:
    """With `path`, in place of the route that the log asks for."""

    path: str
    short: Short
    desk: Desk


class Quick:
    """ASGI middleware before the routes; keys: where questions need one."""

    def __init__(self, app: ASGIApp, ways: Sequence[tuple[Short, Desk]], keys: Keys | None) -> None:
        self.app, self._keys = app, keys
        self._ways = {short.prefix: _Way(short.path, short, desk) for short, desk in ways}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and await self._answered(scope, send):
            return
        await self.app(scope, receive, send)

    async def _answered(self, scope: Scope, send: Send) -> bool:
        path: str = scope["path"]
        end = path.find("/", 4) + 1
        way = self._ways.get(path[:end])
        if way is None or scope.get("root_path"):
            return False
        asked = way.short.read(path[end:], scope["query_string"])
        if asked is None:
            return False
        if self._keys is not None:
            given = [value for name, value in scope["headers"] if name == b"x-api-key"]
            try:
                key = self._keys.check(given[0].decode("latin-1") if given else None, way.desk.lineup.domain.name)
            except EcomineError:
                return False
            scope["key"] = key
        found = way.desk.at_hand(asked.question, asked.unit, asked.arguments, asked.pick)
        if found is None:
            return False
        headers = await way.desk.told(found, asked.question, asked.arguments, asked.pick)
        body = found.one.body
        scope["route"] = way
        told = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        told += [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": told})
        await send({"type": "http.response.body", "body": body})
        return True
