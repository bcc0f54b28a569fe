"""Bounds on the head and on the body of a request.

That of the body is enforced while streaming, whatever Content-Length says. Starlette has a limit of its own, but it
answers in plain text and disconnects a client that is still sending.
"""

import asyncio
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.runtime.problems import BODY_TOO_LARGE, HEAD_TOO_LARGE, body_timeout
from writer.problems import problem_response

#: Bytes of a refused body that are read and dropped before the answer: a client that is still sending when the
#: connection closes loses the answer. Past this bound, it does.
DISCARDED: Final = 16 * 1024 * 1024


class HeadLimitMiddleware:
    """ASGI middleware: a head (target and headers) of more than ``maximum`` bytes is answered with 431 (RFC 6585)."""

    def __init__(self, app: ASGIApp, maximum: int) -> None:
        self._app = app
        self._maximum = maximum

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 431."""
        if scope["type"] != "http" or _head_size(scope) <= self._maximum:
            await self._app(scope, receive, send)
            return
        detail = f"The path, the query and the headers of a request have at most {self._maximum} bytes together."
        await problem_response(scope, HEAD_TOO_LARGE.of(detail))(scope, receive, send)


def _head_size(scope: Scope) -> int:
    # Four bytes a header: the colon, a blank and the line's end.
    headers = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    return headers + len(scope.get("raw_path") or b"") + len(scope.get("query_string", b""))


class BodyLimitMiddleware:
    """ASGI middleware: a body of more than ``maximum`` bytes is answered with 413 and reaches nobody.

    One that takes longer than ``timeout`` seconds is answered with 408.
    """

    def __init__(self, app: ASGIApp, maximum: int, timeout: float) -> None:
        self._app = app
        self._maximum = maximum
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its whole body, or answer 413 or 408."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout):
                first = None if self._hopeless(Headers(scope=scope)) else await self._read(receive)
        except TimeoutError:
            await problem_response(scope, body_timeout(self._timeout))(scope, receive, send)
            return
        if first is not None:
            await self._app(scope, _replay(first, receive), send)
            return
        found = BODY_TOO_LARGE.of(f"A request body has at most {self._maximum} bytes.", {"Connection": "close"})
        await problem_response(scope, found)(scope, receive, send)

    def _hopeless(self, headers: Headers) -> bool:
        """Whether the body is announced as too large and reading it first would do no good."""
        announced = headers.get("content-length", "")
        # Twenty digits are enough: Python is slow to parse an integer of thousands.
        size = int(announced[:20]) if announced.isdecimal() else 0
        asks_first = headers.get("expect", "").lower() == "100-continue"
        return size > DISCARDED or (asks_first and size > self._maximum)

    async def _read(self, receive: Receive) -> Message | None:
        """The whole body as one message, or the client's disconnection; None for a body that is too large."""
        chunks: list[bytes] = []
        size, more = 0, True
        while more and size <= DISCARDED:
            message = await receive()
            if message["type"] != "http.request":
                return message
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= self._maximum:
                chunks.append(chunk)
            more = message.get("more_body", False)
        if size > self._maximum:
            return None
        return {"type": "http.request", "body": b"".join(chunks), "more_body": False}


def _replay(first: Message, receive: Receive) -> Receive:
    """A ``receive`` that gives the body already read, and then whatever follows it."""
    pending = [first]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
