"""The console's app, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from console.http.fragments import Fragments
from console.http.guard import Guard
from console.http.pages import (
    activity,
    aggregates,
    bridge,
    dead_letters,
    health,
    operations,
    overview,
    read_models,
    steps,
    stream,
)
from console.http.pages import session as signing_in
from console.http.site import Site

#: The screens.
PAGES = (
    overview,
    aggregates,
    steps,
    read_models,
    stream,
    dead_letters,
    bridge,
    activity,
    operations,
    signing_in,
    health,
)


def build_console(site: Site) -> FastAPI:
    """The ASGI app. It opens nothing; when it ends, it interrupts the operations under way and waits for them."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await site.jobs.stop()

    guard = Guard(site)
    app = FastAPI(
        title="Kinfold console",
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=guard)],
    )
    app.state.site, app.state.guard, app.state.fragments = site, guard, Fragments()
    for pages in PAGES:
        app.include_router(pages.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parents[1] / "static"))

    async def not_served(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        phrase = HTTPStatus(error.status_code).phrase
        return site.page(request, "error.html", status=error.status_code, title=phrase, detail=str(error.detail))

    app.add_exception_handler(HTTPException, not_served)
    return app
