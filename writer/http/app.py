"""The writer's HTTP API, assembled from its parts."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from anyio.to_thread import current_default_thread_limiter, run_sync
from fastapi import FastAPI

from ledger.aggregates.aggregate_type import Aggregate
from ledger.runtime.auth import Access
from ledger.store.idempotency_keys import IdempotencyKeys
from ledger.store.stored_event import StoredEvent
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.handler import CommandHandler
from writer.http import error_handlers, openapi
from writer.http.command_routes import command_routes
from writer.http.operations_routes import operation_routes
from writer.http.read_routes import read_routes
from writer.http.schemas import Models
from writer.metrics import Metrics
from writer.middleware.authentication import AuthenticationMiddleware
from writer.middleware.load_shedding import LoadSheddingMiddleware
from writer.middleware.request_context import RequestContextMiddleware
from writer.middleware.size_limits import BodyLimitMiddleware, HeadLimitMiddleware
from writer.resource import Resource
from writer.settings import WriterSettings

if TYPE_CHECKING:
    from ledger.tracing.tracing import Tracing
    from writer.commands.append_spans import AppendSpans


def build_api(
    resources: Sequence[Resource[Any]],
    repository: AggregateRepository,
    keys: IdempotencyKeys,
    settings: WriterSettings,
    access: Access,
    metrics: Metrics,
    tracing: "Tracing | None" = None,
) -> FastAPI:
    """Make the ASGI app that serves ``resources``, over ``repository`` and ``keys``.

    It opens nothing; its thread pool gets its size when the app starts; when the app ends, ``repository`` is closed.
    """
    models = {each.aggregate.name: Models.of(each) for each in resources}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = settings.writer_threads
        yield
        await run_sync(repository.close, settings.writer_drain_timeout)

    app = FastAPI(
        title="Kinfold writer",
        version="1",
        description="Commands become events. Every error is a problem (RFC 9457).",
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
    )

    def render(aggregate: Aggregate[Any, Any], stored: Sequence[StoredEvent]) -> str:
        return models[aggregate.type.name].accept(aggregate, stored)

    metrics.declare(command.name for each in resources for command in each.commands)
    handler = CommandHandler(
        repository,
        keys,
        metrics,
        render,
        conflict_retries=settings.writer_conflict_retries,
        retry_seconds=settings.writer_patience,
        spans=_append_spans(tracing),
    )
    for each in resources:
        app.include_router(command_routes(each, models[each.aggregate.name], handler))
        app.include_router(read_routes(each, models[each.aggregate.name], repository))
    app.include_router(operation_routes(repository, metrics))
    app.include_router(openapi.document_routes(app))
    error_handlers.install(app)
    openapi.describe(app)
    prefixes = tuple(f"/{each.path}/" for each in resources)
    # The last one added is the outermost.
    app.add_middleware(
        LoadSheddingMiddleware,
        guarded=prefixes,
        threads=settings.writer_threads,
        queue=settings.writer_queue,
        max_wait=settings.writer_queue_wait,
        metrics=metrics,
    )
    app.add_middleware(BodyLimitMiddleware, maximum=settings.writer_max_body, timeout=settings.http_body_timeout)
    app.add_middleware(AuthenticationMiddleware, access=access)
    app.add_middleware(HeadLimitMiddleware, maximum=settings.writer_max_headers)
    app.add_middleware(RequestContextMiddleware, metrics=metrics)
    if tracing is not None:
        from writer.middleware.tracing import TracingMiddleware

        app.add_middleware(TracingMiddleware, tracing=tracing, traced=prefixes)
    return app


def _append_spans(tracing: "Tracing | None") -> "AppendSpans | None":
    if tracing is None:
        return None
    from writer.commands.append_spans import AppendSpans

    return AppendSpans(tracing)
