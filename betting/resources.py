"""The account over HTTP."""

from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field, PlainSerializer

from betting.account import Account
from betting.account_type import ACCOUNT
from betting.commands import Deposit, PlaceBet, SettleBet, Withdraw
from betting.money import format_amount
from writer import Resource, View

#: A sum of amounts, which may have more digits than one amount.
Balance = Annotated[
    Decimal,
    PlainSerializer(format_amount, return_type=str),
    Field(description="two decimal places", examples=["12.50"]),
]


class OpenBet(View[tuple[str, Decimal]]):
    """A bet that was placed and not settled."""

    bet_id: str
    stake: Balance

    @classmethod
    def of(cls, state: tuple[str, Decimal]) -> "OpenBet":
        """Show a bet and its stake."""
        return cls(bet_id=state[0], stake=state[1])


class AccountState(View[Account]):
    """An account at one version, the latest unless another was asked for."""

    currency: str | None = Field(examples=["EUR"])
    balance: Balance
    open_bets: list[OpenBet]

    @classmethod
    def of(cls, state: Account) -> "AccountState":
        """Show an account."""
        bets = [OpenBet.of(bet) for bet in state.open_bets.items()]
        return cls(currency=state.currency, balance=state.balance, open_bets=bets)


class AccountBalance(View[Account]):
    """What a command leaves on the account."""

    balance: Balance
    currency: str | None = Field(examples=["EUR"])

    @classmethod
    def of(cls, state: Account) -> "AccountBalance":
        """Show what is on an account."""
        return cls(balance=state.balance, currency=state.currency)


ACCOUNTS: Final = Resource[Account](
    aggregate=ACCOUNT,
    path="accounts",
    commands=(Deposit, Withdraw, PlaceBet, SettleBet),
    view=AccountState,
    brief=AccountBalance,
    begins="its first deposit opens it",
)
