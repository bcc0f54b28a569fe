"""An OpenAPI document (OpenAPI Initiative, "OpenAPI Specification v3.1.1"): what operations of every service have.

A service whose framework makes no document has its routes declare an ``Operation`` each. They are served by what that
says (``Operation.taken``), so the document tells nothing else:

    document("Kinfold projector", "...", {("GET", "/balances/{id}"): operation}, scope_of)
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from ledger.runtime.problems import (
    CORRELATION_HEADER,
    CROSS_ORIGIN,
    EXPECTATION_FAILED,
    INTERNAL_ERROR,
    MALFORMED_REQUEST,
    MEDIA_TYPE,
    MISSING_SCOPE,
    TYPE_PREFIX,
    UNAUTHENTICATED,
    UNSUPPORTED_MEDIA_TYPE,
    ProblemType,
)
from ledger.runtime.request.head import Taken

Schema = Mapping[str, Any]
Responses = dict[int | str, dict[str, Any]]

REF: Final = "#/components/schemas/"
#: The tag of what whoever runs a service asks of it.
OPERATIONS: Final = "operations"
_JSON: Final = "application/json"
_SECURITY: Final = "token"
#: What any operation may be answered with; the others, by what they are.
_EVERYWHERE: Final = (MALFORMED_REQUEST, UNSUPPORTED_MEDIA_TYPE, EXPECTATION_FAILED, INTERNAL_ERROR)
_WITH_TOKEN: Final = (UNAUTHENTICATED, MISSING_SCOPE)


class FieldFault(BaseModel):
    """What is wrong with one field of a request."""

    field: str = Field(examples=["amount"])
    message: str = Field(
        examples=['an amount has one to twelve digits and at most two decimal places, such as "12.50"']
    )


class Problem(BaseModel):
    """One problem: what is wrong and what to do about it. Fields that do not apply are absent."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    type: str = Field(examples=[TYPE_PREFIX + "insufficient-funds"], description="stable; a program decides by it")
    title: str = Field(examples=["A rule of the domain refuses the command"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["account alice holds 10.00; 12.50 cannot be taken from it"])
    correlation_id: str | None = Field(None, description="names the request in the service's log")
    rule: str | None = Field(None, description="422: the rule of the domain that refused the command")
    expected_version: int | None = Field(None, description="409, 412: the version that the command was decided on")
    actual_version: int | None = Field(None, description="409, 412: the version that it is at now")
    sequence_number: int | None = Field(None, description="503: the event that this version cannot read")
    version: int | None = Field(None, description="503: the version that the read model is at")
    errors: list[FieldFault] | None = Field(None, description="400: each field that is wrong")


def header(description: str, example: str, **schema: Any) -> dict[str, Any]:
    """A header of a response."""
    return {"description": description, "schema": {"type": "string"} | schema, "example": example}


CORRELATION: Final = header("names the request in the log; the request's own, or a new one", "order-4711")
_CHALLENGE: Final = header("which token is needed (RFC 6750)", 'Bearer realm="kinfold"')
_HEADERS_OF_STATUS: Final[Mapping[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": _CHALLENGE},
    403: {"WWW-Authenticate": _CHALLENGE},
    503: {"Retry-After": header("seconds after which to send the request again", "1")},
}


def problem_responses(kinds: Iterable[ProblemType]) -> Responses:
    """The responses that are problems of these kinds: by status, each with an example of every kind."""
    found: Responses = {}
    for kind in sorted(kinds, key=lambda each: each.status):
        response = found.setdefault(
            kind.status,
            {
                "description": HTTPStatus(kind.status).phrase,
                "headers": dict(_HEADERS_OF_STATUS.get(kind.status, {})),
                "content": {MEDIA_TYPE: {"schema": {"$ref": REF + "Problem"}, "examples": {}}},
            },
        )
        example = {"summary": kind.title, "value": kind.example()}
        response["content"][MEDIA_TYPE]["examples"][kind.name] = example
    return found


def problem_schemas() -> dict[str, Any]:
    """The schemas of a problem, for the document's components."""
    problem = Problem.model_json_schema(by_alias=True, ref_template=REF + "{model}")
    return {**problem.pop("$defs"), "Problem": problem}


def complete(operation: dict[str, Any], scope: str | None) -> None:
    """Add to an operation what all have: the correlation id, and which token it needs."""
    for response in operation["responses"].values():
        response.setdefault("headers", {})[CORRELATION_HEADER] = CORRELATION
    if scope is not None:
        operation["security"] = [{_SECURITY: []}]
        operation["description"] = f"{operation.get('description', '')}\n\nNeeds the scope `{scope}`.".strip()
    operation.setdefault("parameters", []).append(
        {
            "name": CORRELATION_HEADER,
            "in": "header",
            "required": False,
            "description": "names the request in the log and in its events; one that is no id is replaced",
            "schema": {"type": "string"},
            "example": "order-4711",
        }
    )


def security_schemes() -> dict[str, Any]:
    """How a client shows who it is, for the document's components."""
    described = "A token with the scope that the operation names: read, write or operate."
    return {_SECURITY: {"type": "http", "scheme": "bearer", "description": described}}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that a client may state beside the body. A place in the path is required, all else is optional."""

    name: str
    description: str
    schema: Schema
    example: Any
    where: Literal["query", "header", "path"] = "query"

    def described(self) -> dict[str, Any]:
        """The parameter in the document."""
        required = self.where == "path"
        return {
            "name": self.name,
            "in": self.where,
            "required": required,
            "description": self.description,
            # Swagger UI sends an ``example`` unasked, which for what is optional would be a surprise.
            "schema": {**self.schema, **({} if required else {"examples": [self.example]})},
            **({"example": self.example} if required else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What a route takes, and what it answers with status 200; ``media_type`` is that of the answer.

    ``problems``: those that it may answer beside what any operation may. ``body``: the schema of what a client sends,
    and whether it must. ``headers``: of the answer. ``conditional``: If-None-Match is answered with 304.
    """

    tag: str
    answer: Schema
    media_type: str = _JSON
    parameters: Sequence[Parameter] = ()
    problems: Sequence[ProblemType] = ()
    headers: Mapping[str, Any] = field(default_factory=dict)
    body: Schema | None = None
    body_required: bool = False
    conditional: bool = False

    @property
    def taken(self) -> Taken:
        """What the route evaluates; all else that a client states is refused."""
        return Taken(
            frozenset(each.name for each in self.parameters if each.where == "query"),
            frozenset(each.name.lower() for each in self.parameters if each.where == "header"),
        )


def document(
    title: str,
    description: str,
    operations: Mapping[tuple[str, str], tuple[str, Operation]],
    scope_of: Callable[[str, str], str | None],
    *,
    everywhere: Sequence[ProblemType] = (),
    schemas: Mapping[str, Schema] | None = None,
) -> dict[str, Any]:
    """The document of a service: by method and path, what is said of the operation (its summary first), and itself.

    ``scope_of`` tells which scope a method and a path need. ``everywhere``: problems that any operation of the service
    may answer; ``schemas``: those that operations refer to.
    """
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), (told, operation) in sorted(operations.items(), key=lambda each: each[0][::-1]):
        described = _described(method, path, told, operation, scope_of(method, path), everywhere)
        paths.setdefault(path, {})[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": description},
        "paths": paths,
        "components": {
            "schemas": {**problem_schemas(), **(schemas or {})},
            "securitySchemes": security_schemes(),
        },
    }


def _described(
    method: str,
    path: str,
    told: str,
    operation: Operation,
    scope: str | None,
    everywhere: Sequence[ProblemType],
) -> dict[str, Any]:
    summary, _, rest = told.partition("\n")
    changes = (CROSS_ORIGIN,) if method != "GET" else ()
    kinds = (*_EVERYWHERE, *everywhere, *(_WITH_TOKEN if scope is not None else ()), *changes, *operation.problems)
    content = {"content": {operation.media_type: {"schema": dict(operation.answer)}}}
    found: dict[str, Any] = {
        "tags": [operation.tag],
        "summary": summary.rstrip("."),
        "description": " ".join(rest.split()),
        "operationId": "_".join([method.lower(), *(part.strip("{}") for part in path.split("/") if part)]),
        "parameters": [each.described() for each in operation.parameters],
        "responses": {"200": {"description": "OK", "headers": dict(operation.headers), **content}},
    }
    if operation.body is not None:
        body = {"content": {_JSON: {"schema": dict(operation.body)}}}
        found["requestBody"] = {"required": operation.body_required, **body}
    if operation.conditional:
        found["responses"]["304"] = {"description": "Not Modified", "headers": dict(operation.headers)}
    found["responses"] |= {str(status): each for status, each in problem_responses(kinds).items()}
    complete(found, scope)
    return found
