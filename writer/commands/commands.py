"""The commands: what a client may ask of an account, and what the account decides."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, assert_never

from ledger.domain.account import Account
from ledger.domain.events import DomainEvent
from ledger.domain.money import Currency


@dataclass(frozen=True, slots=True)
class Deposit:
    """Take money in."""

    name: ClassVar = "deposit"
    amount: Decimal
    currency: Currency


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Pay money out."""

    name: ClassVar = "withdraw"
    amount: Decimal
    currency: Currency


@dataclass(frozen=True, slots=True)
class PlaceBet:
    """Stake money on a bet."""

    name: ClassVar = "place_bet"
    bet_id: str
    stake: Decimal
    currency: Currency


@dataclass(frozen=True, slots=True)
class SettleBet:
    """End a bet with its payout."""

    name: ClassVar = "settle_bet"
    bet_id: str
    payout: Decimal
    currency: Currency


Command = Deposit | Withdraw | PlaceBet | SettleBet


def decide(account: Account, command: Command) -> list[DomainEvent]:
    """The events that ``command`` brings about. Raises RefusedError when it breaks a rule of the account."""
    match command:
        case Deposit():
            return account.deposit(command.amount, command.currency)
        case Withdraw():
            return account.withdraw(command.amount, command.currency)
        case PlaceBet():
            return account.place_bet(command.bet_id, command.stake, command.currency)
        case SettleBet():
            return account.settle_bet(command.bet_id, command.payout, command.currency)
        case _:
            assert_never(command)
