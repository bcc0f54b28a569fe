"""The routes of a resource's commands.

Plain functions, because boto3 blocks: each request that touches the event store has a thread of the pool for itself.
"""

import json
from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ConfigDict, ValidationError, create_model
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from ledger.runtime.problems import IDEMPOTENCY_KEY_REUSED
from ledger.runtime.request.head import combined
from writer.commands.handler import CommandHandler
from writer.commands.idempotency import REPLAYED_HEADER, command_key, parse_key
from writer.commands.preconditions import Precondition, etag
from writer.commands.requests import CommandRequest, CommandResult
from writer.http.declared_route import DeclaredRoute
from writer.http.dependencies import IdempotencyKeyHeader, IfMatchHeader, IfNoneMatchHeader
from writer.http.openapi import headers_of_accepted, problems
from writer.http.schemas import Models
from writer.middleware.authentication import CLIENT_SCOPE_KEY
from writer.problems import CORRELATION_SCOPE_KEY, SPAN_SCOPE_KEY, broken_rule
from writer.resource import Command, Resource

_JSON: Final = "application/json"
Submit = Callable[[Command[Any]], Response]
_CONDITIONAL: Final = """

`If-Match: "7"` carries the command out only on version 7 (412 otherwise); `If-Match: *` only on what exists,
`If-None-Match: *` only on what does not. Without a condition, a command that meets another
writer is decided anew on the new state, and answered with 409 when that does not end.

`Idempotency-Key: KEY` makes the command safe to repeat. Its answer is recorded together with its events, for a day; the
same command with the same key gets that answer again, with the header `Idempotency-Replayed: true`, and stores nothing.
The same key with another command is 422. A refused command is not recorded: sent again, it is decided anew."""


def command_routes(resource: Resource[Any], models: Models, handler: CommandHandler) -> APIRouter:
    """The commands of one resource."""
    kind, prefix = resource.aggregate, f"/{resource.path}"
    router = APIRouter(prefix=f"{prefix}/{{{kind.id_name}}}", tags=["commands"], route_class=DeclaredRoute)

    async def submission(
        request: Request,
        aggregate_id: Annotated[str, kind.ids, models.place],
        if_match: IfMatchHeader = None,
        if_none_match: IfNoneMatchHeader = None,
        idempotency_key: IdempotencyKeyHeader = None,
    ) -> Submit:
        """What a route submits its command with: the aggregate, the precondition and the key of its request."""
        # One dependency: FastAPI takes a tenth of a millisecond for each.
        condition = Precondition.parse(combined(if_match), combined(if_none_match))
        given = combined(idempotency_key)
        key = None if given is None else parse_key(given)

        def submit(command: Command[Any]) -> Response:
            scope, known_as = request.scope, kind.key(aggregate_id)
            recorded_under = None if key is None else command_key(scope[CLIENT_SCOPE_KEY], key, known_as, command)
            correlation_id = scope[CORRELATION_SCOPE_KEY]
            span = scope.get(SPAN_SCOPE_KEY)
            asked = CommandRequest(kind, aggregate_id, command, condition, correlation_id, recorded_under, span)
            return _response(f"{prefix}/{aggregate_id}/events", handler.handle(asked))

        return submit

    accepted = headers_of_accepted(f"{prefix}/{resource.example_id}/events")
    for command in resource.commands:
        refusals = [broken_rule(each.rule, each.example) for each in command.refusals]
        summary, _, description = (command.__doc__ or command.name).partition("\n")
        router.add_api_route(
            command.path,
            _endpoint(command, Depends(submission)),
            methods=[command.method],
            name=command.name,
            summary=summary.rstrip("."),
            description=_unindented(description) + _CONDITIONAL,
            status_code=201,
            response_model=models.accepted,
            operation_id=f"{command.name}_{kind.name}",
            responses=problems(400, 401, 403, 408, 409, 412, 413, 415, 431, 500, 503)
            | problems(422, only=(*refusals, IDEMPOTENCY_KEY_REUSED))
            | {201: {"description": "The command was carried out, now or by an earlier request."} | accepted},
        )
    return router


def _endpoint(command: type[Command[Any]], submission: Any) -> Callable[..., Response]:
    """A function with the signature by which FastAPI reads the command from a request: its places, and its body."""
    places = command.places()
    content = {name: (field.annotation, field) for name, field in command.model_fields.items() if name not in places}
    # In Python a field has its name, in JSON its alias alone.
    config = ConfigDict(extra="forbid", alias_generator=to_camel)
    body = create_model(command.__name__, __config__=config, **content)  # type: ignore[call-overload]
    made = _maker(command)

    def endpoint(submit: Submit, **given: Any) -> Response:
        fields = dict(given.pop("body", ()))
        return submit(made(**given, **fields))

    def parameter(name: str, annotation: Any, default: Any = Parameter.empty) -> Parameter:
        return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)

    parameters = [parameter(name, _in_path(command, name)) for name in places]
    parameters += [parameter("body", body)] if content else []
    endpoint.__signature__ = Signature([*parameters, parameter("submit", Any, submission)])  # type: ignore[attr-defined]
    return endpoint


def _maker(command: type[Command[Any]]) -> Callable[..., Command[Any]]:
    """What makes the command of fields that were read; it asks the validators that the class itself has, if any."""
    own = command.__pydantic_decorators__
    if not (own.field_validators or own.model_validators):
        return command.model_construct

    def validated(**fields: Any) -> Command[Any]:
        try:
            # By the names that the client knows, so that it is told of these.
            return command.model_validate({command.model_fields[name].alias: value for name, value in fields.items()})
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False, include_context=False)
            raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in faults]) from None

    return validated


def _in_path(command: type[Command[Any]], name: str) -> Any:
    field = command.model_fields[name]
    place = Path(alias=to_camel(name), description=field.description, examples=field.examples)
    return Annotated[field.annotation, *field.metadata, place]


def _unindented(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


def _response(events_path: str, found: CommandResult) -> Response:
    """The response with headers derived from its body, so that a replay has the same ones."""
    body = json.loads(found.body)
    events = body["events"]
    location = f"{events_path}?from={events[0]['sequenceNumber']}&limit={len(events)}"
    headers = {"ETag": etag(body["version"]), "Location": location}
    if found.replayed:
        headers[REPLAYED_HEADER] = "true"
    return Response(found.body, found.status, headers, _JSON)
