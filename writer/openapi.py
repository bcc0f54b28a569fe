"""The OpenAPI document: FastAPI's, with our errors in the place of its own."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from writer.problems import MEDIA_TYPE, Problem

_REF: Final = "#/components/schemas/"
#: FastAPI's schemas of the 422 that we answer with a problem of status 400.
_FOREIGN: Final = ("HTTPValidationError", "ValidationError")

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """Declare for a route the problems it answers, by status."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": _REF + "Problem"}}},
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


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    schemas = found["components"]["schemas"]
    problem = Problem.model_json_schema(by_alias=True, ref_template=_REF + "{model}")
    schemas.update(problem.pop("$defs"), Problem=problem)
    for path in found["paths"].values():
        for operation in path.values():
            answer = operation["responses"].get("422", {})
            if any(name in str(answer) for name in _FOREIGN):
                del operation["responses"]["422"]
    for name in _FOREIGN:
        schemas.pop(name, None)
    return found
