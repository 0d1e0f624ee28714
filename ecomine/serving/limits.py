"""What one caller may ask: so many bytes a request, so many requests a second."""

import json
import os
from contextlib import suppress
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecomine.serving.pace import Pace

TOGETHER = "ECOMINE_PACE_FILE"
"""Environment variable of a file in which several processes of one server count together."""


class Limits:
    """ASGI middleware: 413 for a body that is too large, 429 for a caller that is too fast.

    A caller is a key, or an address where there is none. a_second: requests, of which twice as many may come at once
    (token bucket); 0 sets no pace.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, a_second: float) -> None:
        self.app, self.max_bytes, self.a_second = app, max_bytes, a_second
        file = os.environ.get(TOGETHER)
        self._pace = Pace(a_second, Path(file) if file else None) if a_second else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        wait = self._pace.wait(_caller(headers, scope)) if self._pace and scope["path"].startswith("/v1/") else 0.0
        if wait > 0:
            text = f"More than {self.a_second:g} requests a second."
            await _refuse(send, 429, text, "Ask for several at once, or slower.", wait)
            return
        announced = headers.get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self.max_bytes:
            await self._too_large(send)
            return
        taken, begun = 0, False

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.max_bytes:
                raise _TooLargeError
            return message

        async def sending(message: Message) -> None:
            nonlocal begun
            # The app takes the error for one of its own and answers for it; what is told is what it was.
            if begun or taken <= self.max_bytes:
                begun = True
                await send(message)

        with suppress(_TooLargeError):
            await self.app(scope, counted, sending)
        if taken > self.max_bytes and not begun:
            await self._too_large(send)

    async def _too_large(self, send: Send) -> None:
        text = f"The body has more than {self.max_bytes / 1024:,.0f} KB."
        await _refuse(send, 413, text, "Send it in parts, or raise serving.max_body_kb in params.yaml.")


def _caller(headers: dict[bytes, bytes], scope: Scope) -> str:
    return headers.get(b"x-api-key", b"").decode("latin-1") or (scope.get("client") or ("",))[0]


class _TooLargeError(Exception):
    pass


async def _refuse(send: Send, status: int, error: str, hint: str, wait: float = 0.0) -> None:
    body = json.dumps({"error": error, "hint": hint}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if wait:
        headers.append((b"retry-after", str(max(round(wait + 0.5), 1)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
