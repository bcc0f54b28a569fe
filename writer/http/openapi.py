"""The OpenAPI document: FastAPI's, with our errors in the place of its own, our headers, and who may call what."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from starlette.responses import JSONResponse, Response

from ledger.runtime.problems import MEDIA_TYPE, ProblemType
from ledger.runtime.request.preconditions import TAGS
from writer.http.declared_route import DeclaredRoute
from writer.http.schemas import Problem
from writer.middleware.authentication import needed_scope
from writer.problems import PROBLEMS

_REF: Final = "#/components/schemas/"
#: FastAPI's schemas of the 422 that we answer with a problem of status 400.
_FOREIGN: Final = ("HTTPValidationError", "ValidationError")
_SECURITY: Final = "token"

#: What a header may be, where FastAPI sees only a string or null: there is no null in HTTP.
_HEADER_SCHEMAS: Final = {
    "if-match": {"type": "string", "pattern": r'^(\*|"(0|[1-9][0-9]{0,14})")$'},
    "idempotency-key": {
        "type": "string",
        "pattern": r'^([A-Za-z0-9][A-Za-z0-9._:-]{0,127}|"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")$',
    },
    "if-none-match": {"type": "string", "pattern": f"^({TAGS})$"},
}

Responses = dict[int | str, dict[str, Any]]


def _header(description: str, example: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"} | schema, "example": example}


_ETAG: Final = _header("the version, in quotes", '"7"')
_CORRELATION: Final = _header("names the request in the log; the request's own, or a new one", "order-4711")
_CHALLENGE: Final = _header("which token is needed (RFC 6750)", 'Bearer realm="kinfold"')

HEADERS_OF_STATE: Final[dict[str, Any]] = {"headers": {"ETag": _ETAG}}
_HEADERS_OF_STATUS: Final[Mapping[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": _CHALLENGE},
    403: {"WWW-Authenticate": _CHALLENGE},
    503: {"Retry-After": _header("seconds after which to send the request again", "1")},
}


def headers_of_page(path: str) -> dict[str, Any]:
    """The headers of a page of events that is served under ``path``."""
    return {"headers": {"Link": _header("the next page, if there is one (RFC 8288)", f'<{path}>; rel="next"')}}


def headers_of_accepted(path: str) -> dict[str, Any]:
    """The headers of the answer to a command whose events are served under ``path``."""
    return {
        "headers": {
            "ETag": _ETAG,
            "Location": _header("where the events of the command are", f"{path}?from=7&limit=1"),
            "Idempotency-Replayed": _header(
                "true, when an earlier request with this Idempotency-Key carried the command out", "true", enum=["true"]
            ),
        }
    }


def problems(*statuses: int, more: Sequence[ProblemType] = (), only: Sequence[ProblemType] | None = None) -> Responses:
    """Declare for a route the problems it answers, by status, each with an example of every kind.

    ``more``: beside those of the catalogue; ``only``: in their place.
    """
    known = (*PROBLEMS, *more) if only is None else only
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "headers": dict(_HEADERS_OF_STATUS.get(status, {})),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": _REF + "Problem"},
                    "examples": {
                        kind.name: {"summary": kind.title, "value": kind.example()}
                        for kind in known
                        if kind.status == status
                    },
                }
            },
        }
        for status in statuses
    }


def describe(app: FastAPI) -> None:
    """Make ``app`` serve the document with the problem schema in it."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def document_routes(app: FastAPI) -> APIRouter:
    """The document of ``app``, and the pages that show it. FastAPI's own pass over what a client states."""
    router = APIRouter(route_class=DeclaredRoute, include_in_schema=False)

    @router.get("/openapi.json")
    async def document() -> Response:
        return JSONResponse(app.openapi())

    @router.get("/docs")
    async def docs() -> Response:
        return get_swagger_ui_html(openapi_url="/openapi.json", title=app.title)

    @router.get("/redoc")
    async def redoc() -> Response:
        return get_redoc_html(openapi_url="/openapi.json", title=app.title)

    return router


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    schemas = found["components"]["schemas"]
    problem = Problem.model_json_schema(by_alias=True, ref_template=_REF + "{model}")
    schemas.update(problem.pop("$defs"), Problem=problem)
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    for name in _FOREIGN:
        schemas.pop(name, None)
    found["components"]["securitySchemes"] = {
        _SECURITY: {
            "type": "http",
            "scheme": "bearer",
            "description": "A token with the scope that the operation names: read, write or operate.",
        }
    }
    return found


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    if any(name in str(operation["responses"].get("422", {})) for name in _FOREIGN):
        del operation["responses"]["422"]
    for response in operation["responses"].values():
        response.setdefault("headers", {})["X-Correlation-ID"] = _CORRELATION
    scope = needed_scope(method.upper(), path)
    if scope is not None:
        operation["security"] = [{_SECURITY: []}]
        operation["description"] = f"{operation.get('description', '')}\n\nNeeds the scope `{scope}`.".strip()
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        parameter["schema"] = _HEADER_SCHEMAS.get(parameter["name"], _without_null(parameter["schema"]))
    parameters.append(
        {
            "name": "X-Correlation-ID",
            "in": "header",
            "required": False,
            "description": "names the request in the log and in its events; one that is no id is replaced",
            "schema": {"type": "string"},
            "example": "order-4711",
        }
    )


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an optional parameter: absent, and never null."""
    kinds: list[dict[str, Any]] = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return kinds[0] | {name: value for name, value in schema.items() if name != "anyOf"}
