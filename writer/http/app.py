"""The writer's HTTP API, assembled from its parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter, run_sync
from fastapi import FastAPI

from ledger.runtime.auth import Access
from ledger.store.idempotency_keys import IdempotencyKeys
from writer.commands.account_repository import AccountRepository
from writer.commands.handler import CommandHandler
from writer.http import error_handlers, openapi
from writer.http.account_routes import account_routes
from writer.http.command_routes import command_routes, render
from writer.http.operations_routes import operation_routes
from writer.metrics import Metrics
from writer.middleware.authentication import AuthenticationMiddleware
from writer.middleware.load_shedding import LoadSheddingMiddleware
from writer.middleware.request_context import RequestContextMiddleware
from writer.middleware.size_limits import BodyLimitMiddleware, HeadLimitMiddleware
from writer.settings import WriterSettings


def build_api(
    accounts: AccountRepository, keys: IdempotencyKeys, settings: WriterSettings, access: Access, metrics: Metrics
) -> FastAPI:
    """Make the ASGI app over ``accounts`` and ``keys``.

    It opens nothing; its thread pool gets its size when the app starts, and when the app ends, ``accounts`` is closed.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = settings.writer_threads
        yield
        await run_sync(accounts.close, settings.writer_drain_timeout)

    app = FastAPI(
        title="Kinfold writer",
        version="1",
        description="Commands on accounts become events. Every error is a problem (RFC 9457).",
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
    )
    handler = CommandHandler(
        accounts,
        keys,
        metrics,
        render,
        conflict_retries=settings.writer_conflict_retries,
        retry_seconds=settings.writer_patience,
    )
    app.include_router(command_routes(handler))
    app.include_router(account_routes(accounts))
    app.include_router(operation_routes(accounts, metrics))
    app.include_router(openapi.document_routes(app))
    error_handlers.install(app)
    openapi.describe(app)
    # The last one added is the outermost.
    app.add_middleware(
        LoadSheddingMiddleware,
        threads=settings.writer_threads,
        queue=settings.writer_queue,
        max_wait=settings.writer_queue_wait,
        metrics=metrics,
    )
    app.add_middleware(BodyLimitMiddleware, maximum=settings.writer_max_body, timeout=settings.http_body_timeout)
    app.add_middleware(AuthenticationMiddleware, access=access)
    app.add_middleware(HeadLimitMiddleware, maximum=settings.writer_max_headers)
    app.add_middleware(RequestContextMiddleware, metrics=metrics)
    return app
