"""The commands of an account."""

from typing import Annotated

from pydantic import Field

from betting.account import Account
from betting.errors import (
    BetAlreadyPlacedError,
    BetAlreadySettledError,
    CurrencyMismatchError,
    InsufficientFundsError,
    InvalidAmountError,
    UnknownBetError,
)
from betting.events import BetId, BettingEvent
from betting.money import Amount, Currency
from writer import Command

_BetId = Annotated[BetId, Field(description="the bet", examples=["bet-1"])]


class Deposit(Command[Account]):
    """Deposit money.

    Takes money in. The first deposit opens the account, in its currency.
    """

    path = "/deposits"
    refusals = (InvalidAmountError, CurrencyMismatchError)
    amount: Amount
    currency: Currency

    def decide(self, state: Account) -> list[BettingEvent]:
        """Raises InvalidAmountError, CurrencyMismatchError."""
        return state.deposit(self.amount, self.currency)


class Withdraw(Command[Account]):
    """Withdraw money.

    Pays money out, never more than the balance.
    """

    path = "/withdrawals"
    refusals = (InvalidAmountError, CurrencyMismatchError, InsufficientFundsError)
    amount: Amount
    currency: Currency

    def decide(self, state: Account) -> list[BettingEvent]:
        """Raises InvalidAmountError, CurrencyMismatchError, InsufficientFundsError."""
        return state.withdraw(self.amount, self.currency)


class PlaceBet(Command[Account]):
    """Place a bet.

    Stakes money of the balance on a bet. A bet id is used once per account.
    """

    path = "/bets"
    refusals = (BetAlreadyPlacedError, InvalidAmountError, CurrencyMismatchError, InsufficientFundsError)
    bet_id: _BetId
    stake: Amount
    currency: Currency

    def decide(self, state: Account) -> list[BettingEvent]:
        """Raises BetAlreadyPlacedError, InvalidAmountError, CurrencyMismatchError, InsufficientFundsError."""
        return state.place_bet(self.bet_id, self.stake, self.currency)

    def used_id(self, state: Account) -> str | None:
        """The bet, unless it is open."""
        return _unless_open(self.bet_id, state)


class SettleBet(Command[Account]):
    """Settle a bet.

    Ends a bet, once, with its payout; 0 for a lost one.
    """

    path = "/bets/{betId}/settlement"
    refusals = (UnknownBetError, BetAlreadySettledError, CurrencyMismatchError)
    bet_id: _BetId
    payout: Amount
    currency: Currency

    def decide(self, state: Account) -> list[BettingEvent]:
        """Raises UnknownBetError, BetAlreadySettledError, CurrencyMismatchError."""
        return state.settle_bet(self.bet_id, self.payout, self.currency)

    def used_id(self, state: Account) -> str | None:
        """The bet, unless it is open."""
        return _unless_open(self.bet_id, state)


def _unless_open(bet_id: str, account: Account) -> str | None:
    return None if bet_id in account.open_bets else bet_id
