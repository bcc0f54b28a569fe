"""The routes that read a resource, its events, and what it was after each of them.

Plain functions, because boto3 blocks: each request that touches the event store has a thread of the pool for itself.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BeforeValidator
from starlette.responses import Response

from aws_client.moments import parse_moment
from ledger.aggregates.aggregate_type import Aggregate
from ledger.runtime.problems import UNKNOWN_VERSION, ProblemError, malformed, unknown
from ledger.runtime.request.head import combined
from ledger.runtime.request.preconditions import is_unchanged
from ledger.store.stored_event import StoredEvent, timestamp
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.preconditions import etag
from writer.http.declared_route import DeclaredRoute
from writer.http.dependencies import IfMatchHeader, IfNoneMatchHeader
from writer.http.openapi import HEADERS_OF_STATE, headers_of_page, problems
from writer.http.schemas import Models
from writer.resource import Resource

_JSON: Final = "application/json"
_MAX_VERSION: Final = 10**15
#: States in a page of a history at most, and the bytes after which it ends: one state may be hundreds of KB.
_MAX_STEPS: Final = 500
_MAX_HISTORY: Final = 2**20

Version = Annotated[int | None, Query(ge=1, le=_MAX_VERSION, description="as it was at this version", examples=[3])]
Moment = Annotated[
    datetime | None,
    BeforeValidator(parse_moment),
    Query(
        description="as it was at this time: RFC 3339, from 1970 on",
        examples=["2026-03-01T12:00:00Z"],
    ),
]


def read_routes(resource: Resource[Any], models: Models, repository: AggregateRepository) -> APIRouter:
    """The reads of one resource."""
    kind, prefix = resource.aggregate, f"/{resource.path}"
    not_found = unknown(kind.name, resource.example_id, resource.begins)
    answers = problems(400, 401, 403, 404, 408, 413, 431, 500, 503, more=(not_found,))
    router = APIRouter(prefix=f"{prefix}/{{{kind.id_name}}}", tags=[resource.path], route_class=DeclaredRoute)

    def no(aggregate_id: str) -> ProblemError:
        return not_found.of(unknown(kind.name, aggregate_id, resource.begins).detail)

    def find(aggregate_id: str, version: int | None, at: datetime | None) -> Aggregate[Any, Any]:
        if version is not None and at is not None:
            raise malformed("at", "give version or at, not both")
        if at is not None:
            found = repository.at(kind, aggregate_id, at)
            if found.version == 0 and repository.version(found.key):
                raise not_found.of(f"{found} had no events at {timestamp(at)}.")
        else:
            found = repository.load(kind, aggregate_id, until=version).aggregate
        if found.version == 0:
            raise no(aggregate_id)
        if version is not None and found.version < version:
            detail = f"{found} is at version {found.version} and was never at version {version}."
            raise UNKNOWN_VERSION.of(detail, actualVersion=found.version)
        return found

    @router.get(
        "",
        summary=f"Read {_a(kind.name)}",
        description="The latest version, read consistently, or as it was: `version` takes a version, `at` a time. `at` "
        "follows the order of the events up to the first one that occurred later. `If-None-Match` answers 304, an "
        "`If-Match` that does not hold 412.",
        response_model=models.state,
        responses=answers | problems(412) | {200: HEADERS_OF_STATE, 304: {"description": "Not Modified"}},
        operation_id=f"read_{kind.name}",
    )
    def read(
        aggregate_id: Annotated[str, kind.ids, models.place],
        version: Version = None,
        at: Moment = None,
        if_match: IfMatchHeader = None,
        if_none_match: IfNoneMatchHeader = None,
    ) -> Response:
        found = find(aggregate_id, version, at)
        headers = {"ETag": etag(found.version)}
        if is_unchanged(combined(if_match), combined(if_none_match), headers["ETag"]):
            return Response(None, 304, headers)
        return Response(models.show(found), 200, headers, _JSON)

    @router.get(
        "/events",
        summary=f"Read the events of {_a(kind.name)}",
        description="Stored events, a page at a time, each with the correlation id of the request that stored it; "
        "`next` and the Link header lead to the rest. `order=newest` begins with the last one.",
        response_model=models.page,
        responses=answers | {200: headers_of_page(f"{prefix}/{resource.example_id}/events")},
        operation_id=f"read_{kind.name}_events",
    )
    def read_events(
        aggregate_id: Annotated[str, kind.ids, models.place],
        first: Annotated[
            int | None,
            Query(
                alias="from",
                ge=1,
                le=_MAX_VERSION,
                description="the sequence number to begin with; without it the first, or the last for newest",
                examples=[1],
            ),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="how many events at most")] = 100,
        order: Annotated[Literal["oldest", "newest"], Query(description="which events come first")] = "oldest",
    ) -> Response:
        key = kind.key(aggregate_id)
        # One more than asked for tells whether there is a next page.
        if order == "newest":
            found = repository.newest_events(key, last=first, limit=limit + 1)
        else:
            found = repository.events(key, first=first or 1, limit=limit + 1)
        if not found and repository.version(key) == 0:
            raise no(aggregate_id)
        following = _next(f"{prefix}/{aggregate_id}/events", found, limit, order)
        headers = {"Link": f'<{following}>; rel="next"'} if following else None
        return Response(models.show_page(aggregate_id, found[:limit], following), 200, headers, _JSON)

    @router.get(
        "/history",
        summary=f"Read {_a(kind.name)} after each of its events",
        description="The state after each event, oldest first, a page at a time; `next` and the Link header lead to "
        "the rest. A page may end before `limit`, once it is a megabyte. It costs a read of its events, and of those "
        "before `from` as far back as the page before (if this writer has shown it lately), the snapshot below, or "
        "the first event: so follow `next`, and do not jump about in a long history.",
        response_model=models.history,
        responses=answers | {200: headers_of_page(f"{prefix}/{resource.example_id}/history")},
        operation_id=f"read_{kind.name}_history",
    )
    def read_history(
        aggregate_id: Annotated[str, kind.ids, models.place],
        first: Annotated[
            int,
            Query(alias="from", ge=1, le=_MAX_VERSION, description="the sequence number to begin with", examples=[1]),
        ] = 1,
        limit: Annotated[int, Query(ge=1, le=_MAX_STEPS, description="how many events at most")] = 100,
    ) -> Response:
        # One event more than asked for tells whether there is a next page; it is not folded, so it may be unreadable.
        aggregate, events = repository.replay(kind, aggregate_id, first=first, until=first + limit)
        steps, size, event_hash, following = list[str](), 0, "", None
        for event in events:
            if len(steps) == limit or size >= _MAX_HISTORY:
                following = f"{prefix}/{aggregate_id}/history?from={event.sequence_number}&limit={limit}"
                repository.leave(aggregate, event_hash)
                break
            aggregate.apply(event.decode(kind))
            event_hash = event.event_hash
            steps.append(models.show_step(event, aggregate))
            size += len(steps[-1])
        if aggregate.version == 0:
            raise no(aggregate_id)
        headers = {"Link": f'<{following}>; rel="next"'} if following else None
        return Response(models.show_history(aggregate_id, steps, following), 200, headers, _JSON)

    return router


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _next(path: str, found: list[StoredEvent], limit: int, order: str) -> str | None:
    if len(found) <= limit:
        return None
    order_too = "&order=newest" if order == "newest" else ""
    return f"{path}?from={found[limit].sequence_number}&limit={limit}{order_too}"
