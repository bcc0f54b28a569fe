"""The routes of accounts: four commands and two reads.

Plain functions, because boto3 blocks: each request that touches the event store has a thread of the pool for itself.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response

from writer.accounts import Accounts
from writer.commands import Command, CommandHandler, Deposit, PlaceBet, SettleBet, Withdraw
from writer.openapi import problems
from writer.preconditions import Precondition, etag, unchanged
from writer.problems import CORRELATION_SCOPE_KEY
from writer.requests import IfMatch, json_only, unknown_account
from writer.schemas import (
    AccountIdInPath,
    AccountState,
    Bet,
    BetIdInPath,
    CommandAccepted,
    Event,
    EventPage,
    Money,
    Settlement,
)

_COMMAND_PROBLEMS = problems(400, 409, 412, 413, 415, 422, 500, 503)
_READ_PROBLEMS = problems(400, 404, 500, 503)
_JSON = "application/json"
_CONDITIONAL = """

`If-Match: "7"` carries the command out only on version 7 of the account (412 otherwise); `If-Match: *` only on an
account that exists. Without it, a command that meets another writer is decided anew on the new state, and answered
with 409 when that does not end."""


def command_routes(handler: CommandHandler) -> APIRouter:
    """The commands."""
    router = APIRouter(
        prefix="/accounts/{accountId}",
        tags=["commands"],
        dependencies=[Depends(json_only)],
        responses=_COMMAND_PROBLEMS,
    )

    def carry_out(request: Request, account_id: str, command: Command, precondition: Precondition) -> Response:
        accepted = handler.handle(
            account_id, command, precondition=precondition, correlation_id=request.scope[CORRELATION_SCOPE_KEY]
        )
        account, stored = accepted.account, accepted.history.events
        answer = CommandAccepted(
            account_id=account_id,
            version=account.version,
            balance=account.balance,
            currency=account.currency,
            events=[Event.of(event) for event in stored],
        )
        location = f"/accounts/{account_id}/events?from={stored[0].sequence_number}&limit={len(stored)}"
        headers = {"ETag": etag(account.version), "Location": location}
        return Response(answer.model_dump_json(by_alias=True), 201, headers, _JSON)

    @router.post(
        "/deposits",
        summary="Deposit money",
        description="Takes money in. The first deposit opens the account, in its currency." + _CONDITIONAL,
        status_code=201,
        response_model=CommandAccepted,
    )
    def deposit(request: Request, account_id: AccountIdInPath, body: Money, if_match: IfMatch) -> Response:
        return carry_out(request, account_id, Deposit(body.amount, body.currency), if_match)

    @router.post(
        "/withdrawals",
        summary="Withdraw money",
        description="Pays money out, never more than the balance." + _CONDITIONAL,
        status_code=201,
        response_model=CommandAccepted,
    )
    def withdraw(request: Request, account_id: AccountIdInPath, body: Money, if_match: IfMatch) -> Response:
        return carry_out(request, account_id, Withdraw(body.amount, body.currency), if_match)

    @router.post(
        "/bets",
        summary="Place a bet",
        description="Stakes money of the balance on a bet. A bet id is used once per account." + _CONDITIONAL,
        status_code=201,
        response_model=CommandAccepted,
    )
    def place_bet(request: Request, account_id: AccountIdInPath, body: Bet, if_match: IfMatch) -> Response:
        return carry_out(request, account_id, PlaceBet(body.bet_id, body.stake, body.currency), if_match)

    @router.post(
        "/bets/{betId}/settlement",
        summary="Settle a bet",
        description="Ends a bet, once, with its payout; 0 for a lost one." + _CONDITIONAL,
        status_code=201,
        response_model=CommandAccepted,
    )
    def settle_bet(
        request: Request, account_id: AccountIdInPath, bet_id: BetIdInPath, body: Settlement, if_match: IfMatch
    ) -> Response:
        return carry_out(request, account_id, SettleBet(bet_id, body.payout, body.currency), if_match)

    return router


def account_routes(accounts: Accounts) -> APIRouter:
    """The reads."""
    router = APIRouter(prefix="/accounts/{accountId}", tags=["accounts"])

    @router.get(
        "",
        summary="Read an account",
        description="The account at its latest version, read consistently. `If-None-Match` answers 304.",
        response_model=AccountState,
        responses=_READ_PROBLEMS | {304: {"description": "Not Modified"}},
    )
    def read_account(
        account_id: AccountIdInPath,
        if_none_match: Annotated[str | None, Header(examples=['"7"'])] = None,
    ) -> Response:
        account = accounts.load(account_id).account
        if account.version == 0:
            raise unknown_account(account_id)
        headers = {"ETag": etag(account.version)}
        if unchanged(if_none_match, account.version):
            return Response(None, 304, headers)
        return Response(AccountState.of(account).model_dump_json(by_alias=True), 200, headers, _JSON)

    @router.get(
        "/events",
        summary="Read the events of an account",
        description="Stored events in order, a page at a time; `next` and the Link header lead to the rest.",
        response_model=EventPage,
        responses=_READ_PROBLEMS,
    )
    def read_events(
        account_id: AccountIdInPath,
        first: Annotated[int, Query(alias="from", ge=1, le=10**15, description="the first sequence number")] = 1,
        limit: Annotated[int, Query(ge=1, le=1000, description="how many events at most")] = 100,
    ) -> Response:
        # One more than asked for tells whether there is a next page.
        found = accounts.events(account_id, first=first, limit=limit + 1).events
        if not found and accounts.version(account_id) == 0:
            raise unknown_account(account_id)
        following = f"/accounts/{account_id}/events?from={first + limit}&limit={limit}" if len(found) > limit else None
        page = EventPage(account_id=account_id, events=[Event.of(event) for event in found[:limit]], next=following)
        headers = {"Link": f'<{following}>; rel="next"'} if following else None
        return Response(page.model_dump_json(by_alias=True), 200, headers, _JSON)

    return router
