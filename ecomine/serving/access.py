"""A request id for every answer and one line of log for every request, without personal data.

The line holds the address as it is declared (`/v1/recommendations/{user_id:path}`), never what was filled in,
and neither the caller's address nor the query.
"""

import json
import logging
import re
import time
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecomine.serving.measures import Measures

log = logging.getLogger("ecomine.access")

HEADER = b"x-request-id"
_SOUND_ID = re.compile(rb"[\w.-]{1,64}")


class Access:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self.app, self.measures = app, measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(HEADER, b"")
        request_id = given if _SOUND_ID.fullmatch(given) else uuid.uuid4().hex.encode()
        status = 500
        start = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (HEADER, request_id)]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", None)
            self.measures.note(route, scope["method"], status, seconds)
            line = {
                "request_id": request_id.decode(),
                "method": scope["method"],
                "route": route,
                "status": status,
                "ms": round(seconds * 1000, 2),
            }
            if "key" in scope:
                line["key"] = scope["key"]
            log.info(json.dumps(line))
