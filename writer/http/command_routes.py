"""The routes of the commands.

Plain functions, because boto3 blocks: each request that touches the event store has a thread of the pool for itself.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ledger.domain.account import Account
from ledger.runtime.request.head import combined
from ledger.store.stored_event import StoredEvent
from writer.commands.commands import Command, Deposit, PlaceBet, SettleBet, Withdraw
from writer.commands.handler import CommandHandler
from writer.commands.idempotency import REPLAYED_HEADER, command_key, parse_key
from writer.commands.preconditions import Precondition, etag
from writer.commands.requests import CommandRequest, CommandResult
from writer.http.declared_route import DeclaredRoute
from writer.http.dependencies import IdempotencyKeyHeader, IfMatchHeader, IfNoneMatchHeader
from writer.http.openapi import HEADERS_OF_ACCEPTED, problems
from writer.http.schemas import AccountIdInPath, Bet, BetIdInPath, CommandAccepted, Money, Settlement
from writer.middleware.authentication import CLIENT_SCOPE_KEY
from writer.problems import CORRELATION_SCOPE_KEY

_RESPONSES: Final = problems(400, 401, 403, 408, 409, 412, 413, 415, 422, 431, 500, 503) | {
    201: {"description": "The command was carried out, now or by an earlier request."} | HEADERS_OF_ACCEPTED
}
_JSON = "application/json"
Submit = Callable[[Command], Response]
_CONDITIONAL = """

`If-Match: "7"` carries the command out only on version 7 of the account (412 otherwise); `If-Match: *` only on an
account that exists, `If-None-Match: *` only on one that does not. Without a condition, a command that meets another
writer is decided anew on the new state, and answered with 409 when that does not end.

`Idempotency-Key: KEY` makes the command safe to repeat. Its answer is recorded together with its events, for a day; the
same command with the same key gets that answer again, with the header `Idempotency-Replayed: true`, and stores nothing.
The same key with another command is 422. A refused command is not recorded: sent again, it is decided anew."""


def command_routes(handler: CommandHandler) -> APIRouter:
    """The commands."""
    router = APIRouter(
        prefix="/accounts/{accountId}",
        tags=["commands"],
        route_class=DeclaredRoute,
        responses=_RESPONSES,
    )

    async def submission(
        request: Request,
        account_id: AccountIdInPath,
        if_match: IfMatchHeader = None,
        if_none_match: IfNoneMatchHeader = None,
        idempotency_key: IdempotencyKeyHeader = None,
    ) -> Submit:
        """What a route submits its command with: the account, the precondition and the key of its request."""
        # One dependency: FastAPI takes a tenth of a millisecond for each.
        condition = Precondition.parse(combined(if_match), combined(if_none_match))
        given = combined(idempotency_key)
        key = None if given is None else parse_key(given)

        def submit(command: Command) -> Response:
            scope = request.scope
            recorded_under = None if key is None else command_key(scope[CLIENT_SCOPE_KEY], key, account_id, command)
            asked = CommandRequest(account_id, command, condition, scope[CORRELATION_SCOPE_KEY], recorded_under)
            return _response(account_id, handler.handle(asked))

        return submit

    def post(path: str, summary: str, description: str) -> Callable[[Callable[..., Response]], Any]:
        return router.post(
            path,
            summary=summary,
            description=description + _CONDITIONAL,
            status_code=201,
            response_model=CommandAccepted,
        )

    submitted: Any = Depends(submission)

    @post("/deposits", "Deposit money", "Takes money in. The first deposit opens the account, in its currency.")
    def deposit(body: Money, submit: Submit = submitted) -> Response:
        return submit(Deposit(body.amount, body.currency))

    @post("/withdrawals", "Withdraw money", "Pays money out, never more than the balance.")
    def withdraw(body: Money, submit: Submit = submitted) -> Response:
        return submit(Withdraw(body.amount, body.currency))

    @post("/bets", "Place a bet", "Stakes money of the balance on a bet. A bet id is used once per account.")
    def place_bet(body: Bet, submit: Submit = submitted) -> Response:
        return submit(PlaceBet(body.bet_id, body.stake, body.currency))

    @post("/bets/{betId}/settlement", "Settle a bet", "Ends a bet, once, with its payout; 0 for a lost one.")
    def settle_bet(bet_id: BetIdInPath, body: Settlement, submit: Submit = submitted) -> Response:
        return submit(SettleBet(bet_id, body.payout, body.currency))

    return router


def _response(account_id: str, found: CommandResult) -> Response:
    """The response with headers derived from its body, so that a replay has the same ones."""
    body = json.loads(found.body)
    events = body["events"]
    location = f"/accounts/{account_id}/events?from={events[0]['sequenceNumber']}&limit={len(events)}"
    headers = {"ETag": etag(body["version"]), "Location": location}
    if found.replayed:
        headers[REPLAYED_HEADER] = "true"
    return Response(found.body, found.status, headers, _JSON)


def render(account: Account, stored: Sequence[StoredEvent]) -> str:
    """The body of the response to a command that was carried out."""
    return CommandAccepted.of(account, stored).model_dump_json(by_alias=True)
