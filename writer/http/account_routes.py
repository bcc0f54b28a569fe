"""The routes that read accounts and their events.

Plain functions, because boto3 blocks: each request that touches the event store has a thread of the pool for itself.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BeforeValidator
from starlette.responses import Response

from aws_client.moments import parse_moment
from ledger.domain.account import Account
from ledger.runtime.problems import UNKNOWN_ACCOUNT, UNKNOWN_VERSION, ProblemError, malformed
from ledger.runtime.request.head import combined
from ledger.runtime.request.preconditions import is_unchanged
from ledger.store.stored_event import StoredEvent, timestamp
from writer.commands.account_repository import AccountRepository
from writer.commands.preconditions import etag
from writer.http.declared_route import DeclaredRoute
from writer.http.dependencies import IfMatchHeader, IfNoneMatchHeader
from writer.http.openapi import HEADERS_OF_ACCOUNT, HEADERS_OF_PAGE, problems
from writer.http.schemas import AccountIdInPath, AccountState, Event, EventPage

_PROBLEMS: Final = problems(400, 401, 403, 404, 408, 413, 431, 500, 503)
_JSON: Final = "application/json"
_MAX_VERSION: Final = 10**15

Version = Annotated[
    int | None, Query(ge=1, le=_MAX_VERSION, description="the account as it was at this version", examples=[3])
]
Moment = Annotated[
    datetime | None,
    BeforeValidator(parse_moment),
    Query(
        description="the account as it was at this time: RFC 3339, from 1970 on",
        examples=["2026-03-01T12:00:00Z"],
    ),
]


def account_routes(accounts: AccountRepository) -> APIRouter:
    """The reads."""
    router = APIRouter(prefix="/accounts/{accountId}", tags=["accounts"], route_class=DeclaredRoute)

    def find(account_id: str, version: int | None, at: datetime | None) -> Account:
        if version is not None and at is not None:
            raise malformed("at", "give version or at, not both")
        if at is not None:
            account = accounts.at(account_id, at)
            if account.version == 0 and accounts.version(account_id):
                raise UNKNOWN_ACCOUNT.of(f"Account {account_id} had no events at {timestamp(at)}.")
        else:
            account = accounts.load(account_id, until=version).account
        if account.version == 0:
            raise _unknown(account_id)
        if version is not None and account.version < version:
            detail = f"Account {account_id} is at version {account.version} and was never at version {version}."
            raise UNKNOWN_VERSION.of(detail, actualVersion=account.version)
        return account

    @router.get(
        "",
        summary="Read an account",
        description="The account at its latest version, read consistently, or as it was: `version` takes a version, "
        "`at` a time. `at` follows the order of the events up to the first one that occurred later. `If-None-Match` "
        "answers 304, an `If-Match` that does not hold 412.",
        response_model=AccountState,
        responses=_PROBLEMS | problems(412) | {200: HEADERS_OF_ACCOUNT, 304: {"description": "Not Modified"}},
    )
    def read_account(
        account_id: AccountIdInPath,
        version: Version = None,
        at: Moment = None,
        if_match: IfMatchHeader = None,
        if_none_match: IfNoneMatchHeader = None,
    ) -> Response:
        account = find(account_id, version, at)
        headers = {"ETag": etag(account.version)}
        if is_unchanged(combined(if_match), combined(if_none_match), headers["ETag"]):
            return Response(None, 304, headers)
        return Response(AccountState.of(account).model_dump_json(by_alias=True), 200, headers, _JSON)

    @router.get(
        "/events",
        summary="Read the events of an account",
        description="Stored events, a page at a time, each with the correlation id of the request that stored it; "
        "`next` and the Link header lead to the rest. `order=newest` begins with the last one.",
        response_model=EventPage,
        responses=_PROBLEMS | {200: HEADERS_OF_PAGE},
    )
    def read_events(
        account_id: AccountIdInPath,
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
        # One more than asked for tells whether there is a next page.
        if order == "newest":
            found = accounts.newest_events(account_id, last=first, limit=limit + 1)
        else:
            found = accounts.events(account_id, first=first or 1, limit=limit + 1)
        if not found and accounts.version(account_id) == 0:
            raise _unknown(account_id)
        following = _next(account_id, found, limit, order)
        page = EventPage(account_id=account_id, events=[Event.of(event) for event in found[:limit]], next=following)
        headers = {"Link": f'<{following}>; rel="next"'} if following else None
        return Response(page.model_dump_json(by_alias=True), 200, headers, _JSON)

    return router


def _unknown(account_id: str) -> ProblemError:
    return UNKNOWN_ACCOUNT.of(f"There is no account {account_id}: its first deposit opens it.")


def _next(account_id: str, found: list[StoredEvent], limit: int, order: str) -> str | None:
    if len(found) <= limit:
        return None
    order_too = "&order=newest" if order == "newest" else ""
    return f"/accounts/{account_id}/events?from={found[limit].sequence_number}&limit={limit}{order_too}"
