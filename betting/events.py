"""The events of an account: what happened to its money and its bets."""

from typing import Annotated, Final, Literal, get_args

from betting.money import Amount, Currency
from betting.upcasters import UPCASTERS
from ledger.aggregates import Event, EventTypes, Identifier

BetId = Annotated[str, Identifier("a bet id", 64)]


class FundsDeposited(Event):
    """Money came in from outside."""

    event_type = "FundsDeposited"
    schema_version: Literal[1] = 1
    amount: Amount
    currency: Currency


class FundsWithdrawn(Event):
    """Money was paid out to the holder."""

    event_type = "FundsWithdrawn"
    schema_version: Literal[1] = 1
    amount: Amount
    currency: Currency


class BetPlaced(Event):
    """A stake left the balance for a bet."""

    event_type = "BetPlaced"
    schema_version: Literal[2] = 2
    bet_id: BetId
    stake: Amount
    currency: Currency


class BetSettled(Event):
    """A bet ended; its payout, which may be 0, came back to the balance."""

    event_type = "BetSettled"
    schema_version: Literal[1] = 1
    bet_id: BetId
    payout: Amount
    currency: Currency


BettingEvent = FundsDeposited | FundsWithdrawn | BetPlaced | BetSettled

EVENTS: Final = EventTypes[BettingEvent](get_args(BettingEvent), UPCASTERS)
