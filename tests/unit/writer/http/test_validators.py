"""What a domain's command says of its own fields holds over HTTP, too."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Self

import httpx
import pytest
from pydantic import AfterValidator, Field, field_validator, model_validator

from betting.account import Account
from betting.events import BettingEvent, FundsDeposited
from betting.resources import ACCOUNTS
from ledger.runtime.auth import Access
from ledger.store.idempotency_keys import IdempotencyKeys
from tests.unit.writer.conftest import MemoryStore
from writer.commands.aggregate_repository import AggregateRepository
from writer.http.app import build_api
from writer.metrics import Metrics
from writer.resource import Command
from writer.settings import WriterSettings


def even(number: int) -> int:
    if number % 2:
        raise ValueError("must be even")
    return number


class Save(Command[Account]):
    """Save money in a pot."""

    path: ClassVar[str] = "/pots/{potName}"
    pot_name: str
    amount: Decimal
    at_most: Decimal = Field(default=Decimal(100))
    coins: Annotated[int, AfterValidator(even)] = 2

    @field_validator("pot_name")
    @classmethod
    def _in_capitals(cls, name: str) -> str:
        if name == "none":
            raise ValueError("names no pot")
        return name.upper()

    @field_validator("amount", mode="before")
    @classmethod
    def _positive(cls, amount: Any) -> Any:
        if Decimal(amount) <= 0:
            raise ValueError("must be positive")
        return amount

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.amount > self.at_most:
            raise ValueError("amount is above atMost")
        return self

    def decide(self, state: Account) -> Sequence[BettingEvent]:
        assert self.pot_name.isupper()
        return [FundsDeposited(amount=self.amount, currency="EUR")]


@pytest.mark.parametrize(
    ("path", "body", "fault"),
    [
        ("/pots/blue", {"amount": "10.00"}, None),
        ("/pots/none", {"amount": "10.00"}, ("potName", "names no pot")),
        ("/pots/blue", {"amount": "-1.00"}, ("amount", "must be positive")),
        ("/pots/blue", {"amount": "101.00"}, ("body", "amount is above atMost")),
        ("/pots/blue", {"amount": "10.00", "coins": 3}, ("coins", "must be even")),
        ("/pots/blue", {"amount": "10.00", "at_most": "200.00"}, ("at_most", "is not a field of this request")),
    ],
)
async def test_its_validators_are_asked(
    path: str,
    body: dict[str, Any],
    fault: tuple[str, str] | None,
    accounts: AggregateRepository,
    keys: IdempotencyKeys,
    settings: WriterSettings,
    metrics: Metrics,
    store: MemoryStore,
) -> None:
    resource = replace(ACCOUNTS, commands=(Save,))
    api = build_api([resource], accounts, keys, settings, Access(None), metrics)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://writer") as http:
        answer = await http.post(f"/accounts/alice{path}", json=body)
    if fault is None:
        assert answer.status_code == 201, answer.text
        return
    assert answer.status_code == 400, answer.text
    assert [(each["field"], each["message"]) for each in answer.json()["errors"]] == [fault]
    assert not store.stored.get("alice")
