from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from starlette.types import Message, Receive, Scope, Send

from writer.middleware.size_limits import DISCARDED, BodyLimitMiddleware

MAX_BODY = 100


class Echo:
    """An app that keeps the messages it received."""

    def __init__(self) -> None:
        self.received: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            self.received.append(message)
            if message["type"] != "http.request" or not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


class Exchange:
    """One request, its body in the given chunks."""

    def __init__(self, chunks: Iterable[bytes], headers: dict[str, str] | None = None) -> None:
        listed = list(chunks)
        self.messages: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": n < len(listed) - 1} for n, chunk in enumerate(listed)
        ]
        self._scope: Scope = {
            "type": "http",
            "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        }
        self.sent: list[Message] = []
        self.app = Echo()

    @property
    def unread(self) -> int:
        return len(self.messages)

    async def run(self) -> int:
        async def receive() -> Message:
            assert self.messages, "waits for a body that has ended"
            return self.messages.pop(0)

        async def send(message: Message) -> None:
            self.sent.append(message)

        await BodyLimitMiddleware(self.app, maximum=MAX_BODY, timeout=60)(self._scope, receive, send)
        return int(self.sent[0]["status"])


@pytest.mark.parametrize("chunks", [[b""], [b"x" * MAX_BODY], [b"x" * 60, b"x" * 40], [b"x"] * MAX_BODY, [b"x", b""]])
async def test_a_body_up_to_the_limit_passes_whole(chunks: list[bytes]) -> None:
    exchange = Exchange(chunks)
    assert await exchange.run() == 204
    assert exchange.app.received == [{"type": "http.request", "body": b"".join(chunks), "more_body": False}]


@pytest.mark.parametrize(
    "chunks", [[b"x" * (MAX_BODY + 1)], [b"x" * MAX_BODY, b"x"], [b"x"] * (MAX_BODY + 1), [b"x" * MAX_BODY, b"x", b""]]
)
@pytest.mark.parametrize("length", [None, "1", str(MAX_BODY), "5000", "nonsense", "\u00b2"])
async def test_a_larger_body_is_refused_whatever_its_length_says(chunks: list[bytes], length: str | None) -> None:
    exchange = Exchange(chunks, {} if length is None else {"content-length": length})
    assert await exchange.run() == 413
    assert exchange.app.received == []
    assert exchange.unread == 0, "a client that still sends would lose the answer"


async def test_the_refusal_is_a_problem_that_says_the_limit() -> None:
    exchange = Exchange([b"x" * 101])
    await exchange.run()
    headers: dict[bytes, bytes] = dict(exchange.sent[0]["headers"])
    body: dict[str, Any] = orjson.loads(exchange.sent[1]["body"])
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"connection"] == b"close"
    assert (body["status"], body["type"]) == (413, "urn:kinfold:problem:body-too-large")
    assert "100 bytes" in body["detail"]


async def test_a_client_that_asks_first_is_refused_before_it_sends() -> None:
    exchange = Exchange([b"x" * 5000], {"content-length": "5000", "expect": "100-continue"})
    assert await exchange.run() == 413
    assert exchange.unread == 1


async def test_a_body_past_the_limit_for_draining_is_not_read_to_its_end() -> None:
    announced = Exchange([b"x"], {"content-length": str(DISCARDED + 1)})
    assert await announced.run() == 413
    assert announced.unread == 1
    endless = Exchange([b"x" * (DISCARDED // 4)] * 8)
    assert await endless.run() == 413
    assert endless.unread == 3


async def test_a_client_that_leaves_is_passed_on() -> None:
    exchange = Exchange([])
    exchange.messages = [
        {"type": "http.request", "body": b"x", "more_body": True},
        {"type": "http.disconnect"},
    ]
    await exchange.run()
    assert exchange.app.received == [{"type": "http.disconnect"}]
