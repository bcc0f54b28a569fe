"""The OpenAPI document: FastAPI's, with our errors in the place of its own, our headers, and who may call what."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import JSONResponse, Response

from ledger.runtime.openapi.docs_page import DOCUMENT_PATH, File, docs_files
from ledger.runtime.openapi.document import (
    Responses,
    complete,
    header,
    problem_responses,
    problem_schemas,
    security_schemes,
)
from ledger.runtime.problems import ProblemType
from ledger.runtime.request.preconditions import TAGS
from ledger.runtime.serving.docs_response import docs_response
from writer.http.declared_route import DeclaredRoute
from writer.middleware.authentication import needed_scope
from writer.problems import PROBLEMS

#: FastAPI's schemas of the 422 that we answer with a problem of status 400.
_FOREIGN: Final = ("HTTPValidationError", "ValidationError")

#: What a header may be, where FastAPI sees only a string or null: there is no null in HTTP.
_HEADER_SCHEMAS: Final = {
    "if-match": {"type": "string", "pattern": r'^(\*|"(0|[1-9][0-9]{0,14})")$'},
    "idempotency-key": {
        "type": "string",
        "pattern": r'^([A-Za-z0-9][A-Za-z0-9._:-]{0,127}|"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")$',
    },
    "if-none-match": {"type": "string", "pattern": f"^({TAGS})$"},
}

_ETAG: Final = header("the version, in quotes", '"7"')
HEADERS_OF_STATE: Final[dict[str, Any]] = {"headers": {"ETag": _ETAG}}


def headers_of_page(path: str) -> dict[str, Any]:
    """The headers of a page of events that is served under ``path``."""
    return {"headers": {"Link": header("the next page, if there is one (RFC 8288)", f'<{path}>; rel="next"')}}


def headers_of_accepted(path: str) -> dict[str, Any]:
    """The headers of the answer to a command whose events are served under ``path``."""
    return {
        "headers": {
            "ETag": _ETAG,
            "Location": header("where the events of the command are", f"{path}?from=7&limit=1"),
            "Idempotency-Replayed": header(
                "true, when an earlier request with this Idempotency-Key carried the command out", "true", enum=["true"]
            ),
        }
    }


def problems(*statuses: int, more: Sequence[ProblemType] = (), only: Sequence[ProblemType] | None = None) -> Responses:
    """Declare for a route the problems it answers, by status, each with an example of every kind.

    ``more``: beside those of the catalogue; ``only``: in their place.
    """
    known = (*PROBLEMS, *more) if only is None else only
    return problem_responses(kind for kind in known if kind.status in statuses)


def describe(app: FastAPI) -> None:
    """Make ``app`` serve the document with the problem schema in it."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def document_routes(app: FastAPI) -> APIRouter:
    """The document of ``app``, and the page that shows it. FastAPI's own pass over what a client states."""
    router = APIRouter(route_class=DeclaredRoute, include_in_schema=False)

    @router.get(DOCUMENT_PATH)
    async def document() -> Response:
        return JSONResponse(app.openapi())

    for path, file in docs_files(app.title).items():
        router.add_api_route(path, _serving(file))
    return router


def _serving(file: File) -> Callable[[], Awaitable[Response]]:
    async def serve() -> Response:
        return docs_response(file)

    return serve


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    schemas = found["components"]["schemas"]
    schemas.update(problem_schemas())
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    for name in _FOREIGN:
        schemas.pop(name, None)
    found["components"]["securitySchemes"] = security_schemes()
    return found


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    if any(name in str(operation["responses"].get("422", {})) for name in _FOREIGN):
        del operation["responses"]["422"]
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _HEADER_SCHEMAS.get(parameter["name"], _without_null(parameter["schema"]))
    complete(operation, needed_scope(method.upper(), path))


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an optional parameter: absent, and never null."""
    kinds: list[dict[str, Any]] = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return kinds[0] | {name: value for name, value in schema.items() if name != "anyOf"}
