"""The bounded queue in front of the threads: excess load is refused at once, not piled up."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from ledger.runtime.problems import OVERLOADED
from writer.metrics import Metrics
from writer.problems import problem_response


class LoadSheddingMiddleware:
    """ASGI middleware: at most ``threads`` requests on aggregates at once, ``queue`` more waiting ``max_wait`` s.

    ``guarded``: how the paths of aggregates begin. Requests beyond are answered with 503 before any work is done.
    Operations pass by: they must answer under any load.
    """

    def __init__(
        self, app: ASGIApp, *, guarded: tuple[str, ...], threads: int, queue: int, max_wait: float, metrics: Metrics
    ) -> None:
        self._app = app
        self._guarded = guarded
        self._room = threads + queue
        self._max_wait = max_wait
        self._free = asyncio.Semaphore(threads)
        self._metrics = metrics
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on when a thread is free for it, or answer 503."""
        if scope["type"] != "http" or not scope["path"].startswith(self._guarded):
            await self._app(scope, receive, send)
            return
        if self._inside >= self._room:
            await self._turn_away("queue_full", scope, receive, send)
            return
        self._inside += 1
        self._metrics.under_way.inc()
        try:
            try:
                async with asyncio.timeout(self._max_wait):
                    await self._free.acquire()
            except TimeoutError:
                await self._turn_away("waited_too_long", scope, receive, send)
                return
            try:
                await self._app(scope, receive, send)
            finally:
                self._free.release()
        finally:
            self._inside -= 1
            self._metrics.under_way.dec()

    async def _turn_away(self, reason: str, scope: Scope, receive: Receive, send: Send) -> None:
        self._metrics.turned_away.labels(reason).inc()
        await problem_response(scope, OVERLOADED.of())(scope, receive, send)
