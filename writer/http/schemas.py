"""The JSON of the API: request bodies and answers."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Self

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from ledger.domain.account import Account
from ledger.domain.identifiers import AccountId, BetId
from ledger.domain.money import Amount, Currency, format_amount
from ledger.runtime.problems import TYPE_PREFIX
from ledger.store.errors import UndecodableEventError
from ledger.store.stored_event import StoredEvent

AccountIdInPath = Annotated[AccountId, Path(alias="accountId", description="the account", examples=["alice"])]
BetIdInPath = Annotated[BetId, Path(alias="betId", description="the bet", examples=["bet-1"])]

MoneyCurrency = Annotated[Currency, Field(description="ISO 4217, two decimal places", examples=["EUR"])]

#: A sum of amounts, which may have more digits than one amount.
Balance = Annotated[
    Decimal,
    PlainSerializer(format_amount, return_type=str),
    Field(description="two decimal places", examples=["12.50"]),
]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class Money(_Request):
    """An amount to deposit or to withdraw."""

    amount: Amount
    currency: MoneyCurrency


class Bet(_Request):
    """A bet to place."""

    bet_id: Annotated[BetId, Field(examples=["bet-1"])]
    stake: Amount
    currency: MoneyCurrency


class Settlement(_Request):
    """The end of a bet. A lost bet has a payout of 0."""

    payout: Amount
    currency: MoneyCurrency


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Event(_Answer):
    """One stored event."""

    sequence_number: int = Field(examples=[1])
    event_type: str = Field(examples=["FundsDeposited"])
    payload: dict[str, Any] = Field(examples=[{"schemaVersion": 1, "amount": "12.50", "currency": "EUR"}])
    occurred_at: str = Field(examples=["2026-03-01T12:00:00.000000+00:00"], description="ISO 8601, UTC")
    correlation_id: str

    @classmethod
    def of(cls, stored: StoredEvent) -> Self:
        """Show a stored event as it is stored, whether or not this code knows its type.

        Raises UndecodableEventError when its payload is no JSON object.
        """
        try:
            payload = json.loads(stored.payload)
        except ValueError:
            payload = None
        if not isinstance(payload, dict):
            raise UndecodableEventError(stored.aggregate_id, stored.sequence_number, "its payload is no JSON object")
        return cls(
            sequence_number=stored.sequence_number,
            event_type=stored.event_type,
            payload=payload,
            occurred_at=stored.occurred_at,
            correlation_id=stored.correlation_id,
        )


class CommandAccepted(_Answer):
    """A command that was carried out: the account after it, and the events that it stored."""

    account_id: str = Field(examples=["alice"])
    version: int = Field(examples=[1])
    balance: Balance
    currency: str | None = Field(examples=["EUR"])
    events: list[Event]

    @classmethod
    def of(cls, account: Account, stored: Sequence[StoredEvent]) -> Self:
        """Show ``account`` as it is after the events that a command stored."""
        return cls(
            account_id=account.account_id,
            version=account.version,
            balance=account.balance,
            currency=account.currency,
            events=[Event.of(event) for event in stored],
        )


class OpenBet(_Answer):
    """A bet that was placed and not settled."""

    bet_id: str
    stake: Balance


class AccountState(_Answer):
    """An account at one version, the latest unless another was asked for."""

    account_id: str = Field(examples=["alice"])
    version: int = Field(examples=[1])
    currency: str | None = Field(examples=["EUR"])
    balance: Balance
    open_bets: list[OpenBet]

    @classmethod
    def of(cls, account: Account) -> Self:
        """Show an account."""
        return cls(
            account_id=account.account_id,
            version=account.version,
            currency=account.currency,
            balance=account.balance,
            open_bets=[OpenBet(bet_id=bet_id, stake=stake) for bet_id, stake in account.open_bets.items()],
        )


class EventPage(_Answer):
    """Some events of an account in the order that was asked for, and where the rest is."""

    account_id: str = Field(examples=["alice"])
    events: list[Event]
    next: str | None = Field(description="the path of the next page; null on the last one")


class FieldFault(BaseModel):
    """What is wrong with one field of a request."""

    field: str = Field(examples=["amount"])
    message: str = Field(
        examples=['an amount has one to twelve digits and at most two decimal places, such as "12.50"']
    )


class Problem(BaseModel):
    """One problem: what is wrong and what to do about it. Fields that do not apply are absent."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    type: str = Field(examples=[TYPE_PREFIX + "insufficient-funds"], description="stable; a program decides by it")
    title: str = Field(examples=["The command breaks a rule of the account"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["account alice holds 10.00; 12.50 cannot be taken from it"])
    correlation_id: str | None = Field(None, description="names the request in the writer's log")
    rule: str | None = Field(None, description="422: the rule of the domain that refused the command")
    expected_version: int | None = Field(None, description="409, 412: the version that the command was decided on")
    actual_version: int | None = Field(None, description="409, 412: the version that the account is at")
    sequence_number: int | None = Field(None, description="503: the event that this version cannot read")
    errors: list[FieldFault] | None = Field(None, description="400: each field that is wrong")


class Health(_Answer):
    """The process is alive, or ready to work."""

    status: str = Field(examples=["ok"])
