"""The betting account: the rules that a command must obey, and the fold of its events.

Methods named after a command decide: they return the events to append and change nothing. ``apply`` folds an event
that happened and never refuses it: a stored event is a fact.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Self, assert_never

from betting.errors import (
    BetAlreadyPlacedError,
    BetAlreadySettledError,
    CurrencyMismatchError,
    InsufficientFundsError,
    InvalidAmountError,
    UnknownBetError,
)
from betting.events import BetPlaced, BetSettled, BettingEvent, FundsDeposited, FundsWithdrawn
from betting.money import ZERO, CurrencyCode, format_amount
from ledger.aggregates import UsedIds


@dataclass(slots=True)
class Account:
    """State of one account at ``version``; version 0 is an account that does not exist yet.

    ``balance`` is what can be withdrawn or staked now; ``open_bets`` maps bet id to stake. The ids of ``settled_bets``
    may be left to an archive, or the state would grow for ever.
    """

    account_id: str
    version: int = 0
    currency: CurrencyCode | None = None
    balance: Decimal = ZERO
    open_bets: dict[str, Decimal] = field(default_factory=dict)
    settled_bets: UsedIds = field(default_factory=UsedIds)

    @classmethod
    def reconstitute(cls, account_id: str, events: Iterable[BettingEvent]) -> Self:
        """Fold a history from its first event on."""
        account = cls(account_id)
        for event in events:
            account.apply(event)
        return account

    def copy(self) -> Self:
        """An account of its own with the same state."""
        return replace(self, open_bets=dict(self.open_bets), settled_bets=self.settled_bets.copy())

    def deposit(self, amount: Decimal, currency: CurrencyCode) -> list[BettingEvent]:
        """Take money in. The first deposit opens the account in its currency.

        Raises InvalidAmountError, CurrencyMismatchError.
        """
        self._check(amount, currency)
        return [FundsDeposited(amount=amount, currency=currency)]

    def withdraw(self, amount: Decimal, currency: CurrencyCode) -> list[BettingEvent]:
        """Pay money out. Raises InvalidAmountError, CurrencyMismatchError, InsufficientFundsError."""
        self._check(amount, currency)
        self._check_funds(amount)
        return [FundsWithdrawn(amount=amount, currency=currency)]

    def place_bet(self, bet_id: str, stake: Decimal, currency: CurrencyCode) -> list[BettingEvent]:
        """Stake money on a bet, once.

        Raises BetAlreadyPlacedError, InvalidAmountError, CurrencyMismatchError, InsufficientFundsError.
        """
        if bet_id in self.open_bets or bet_id in self.settled_bets:
            raise BetAlreadyPlacedError(f"account {self.account_id}: bet {bet_id} was already placed")
        self._check(stake, currency)
        self._check_funds(stake)
        return [BetPlaced(bet_id=bet_id, stake=stake, currency=currency)]

    def settle_bet(self, bet_id: str, payout: Decimal, currency: CurrencyCode) -> list[BettingEvent]:
        """End a bet, once, with a payout of 0 or more.

        Raises UnknownBetError, BetAlreadySettledError, CurrencyMismatchError.
        """
        if bet_id in self.settled_bets:
            raise BetAlreadySettledError(f"account {self.account_id}: bet {bet_id} was already settled")
        if bet_id not in self.open_bets:
            raise UnknownBetError(f"account {self.account_id}: no bet {bet_id} was placed")
        self._check_currency(currency)
        return [BetSettled(bet_id=bet_id, payout=payout, currency=currency)]

    def apply(self, event: BettingEvent) -> Self:
        """Fold one event that happened; returns the account itself."""
        match event:
            case FundsDeposited():
                self.balance += event.amount
            case FundsWithdrawn():
                self.balance -= event.amount
            case BetPlaced():
                self.balance -= event.stake
                self.open_bets[event.bet_id] = event.stake
            case BetSettled():
                self.balance += event.payout
                self.open_bets.pop(event.bet_id, None)
                self.settled_bets.add(event.bet_id, self.version + 1)
            case _:
                assert_never(event)
        if self.currency is None:
            self.currency = event.currency
        self.version += 1
        return self

    def _check(self, amount: Decimal, currency: CurrencyCode) -> None:
        self._check_currency(currency)
        if amount <= 0:
            raise InvalidAmountError(f"account {self.account_id}: {format_amount(amount)} is not a positive amount")

    def _check_currency(self, currency: CurrencyCode) -> None:
        if self.currency is not None and currency != self.currency:
            raise CurrencyMismatchError(self.account_id, account=self.currency, given=currency)

    def _check_funds(self, asked: Decimal) -> None:
        if asked > self.balance:
            raise InsufficientFundsError(self.account_id, balance=self.balance, asked=asked)
