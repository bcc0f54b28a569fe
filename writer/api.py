"""The writer's HTTP API, put together from its parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from writer import error_answers, openapi
from writer.accounts import Accounts
from writer.boundary import Boundary
from writer.commands import CommandHandler
from writer.limits import BodyLimit
from writer.metrics import Metrics
from writer.operations import operation_routes
from writer.routes import account_routes, command_routes
from writer.settings import WriterSettings


def build_api(accounts: Accounts, settings: WriterSettings, metrics: Metrics | None = None) -> FastAPI:
    """Make the ASGI app over ``accounts``. It opens nothing; its thread pool gets its size when the app starts."""
    metrics = metrics or Metrics()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = settings.writer_threads
        yield

    app = FastAPI(
        title="Kinfold writer",
        version="1",
        description="Commands on accounts become events. Every error is a problem (RFC 9457).",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    handler = CommandHandler(accounts, metrics, conflict_retries=settings.writer_conflict_retries)
    app.include_router(command_routes(handler))
    app.include_router(account_routes(accounts))
    app.include_router(operation_routes(accounts, metrics))
    error_answers.install(app)
    openapi.describe(app)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, most=settings.writer_max_body)
    app.add_middleware(Boundary, metrics=metrics)
    return app
