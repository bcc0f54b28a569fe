import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from pydantic import computed_field, create_model, field_serializer, model_serializer

from betting import commands
from betting.account import Account
from betting.resources import ACCOUNTS
from writer import Command, View


@pytest.mark.parametrize("name", ["version", "events", "account_id"])
def test_a_view_has_no_field_that_every_answer_has_already(name: str) -> None:
    make: Any = create_model
    view = make("Shown", __base__=View[Account], **{name: (int, 1)})
    with pytest.raises(TypeError, match="resource accounts: an answer has"):
        replace(ACCOUNTS, view=view)
    with pytest.raises(TypeError, match="beside its Shown"):
        replace(ACCOUNTS, brief=view)


class Rounded(View[Account]):
    balance: Decimal

    @field_serializer("balance")
    def _round(self, balance: Decimal) -> str:
        return str(round(balance))


class Doubled(View[Account]):
    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return 2


class Replaced(View[Account]):
    balance: Decimal

    @model_serializer
    def _whole(self) -> dict[str, str]:
        return {"balance": "much"}


@pytest.mark.parametrize("view", [Rounded, Doubled, Replaced])
def test_what_no_answer_would_show_of_a_view_is_refused(view: type[View[Account]]) -> None:
    with pytest.raises(TypeError, match=f"{view.__name__} has serializers or computed fields, which no answer shows"):
        replace(ACCOUNTS, view=view)
    with pytest.raises(TypeError, match=view.__name__):
        replace(ACCOUNTS, brief=view)


class Deposit(commands.Deposit):
    """Of the same name."""

    path = "/other-deposits"


class SameRequest(commands.Deposit):
    """Of the same path."""


@pytest.mark.parametrize(("command", "what"), [(Deposit, "deposit"), (SameRequest, "POST /deposits")])
def test_commands_that_cannot_be_told_apart_are_refused(command: type[Command[Account]], what: str) -> None:
    with pytest.raises(TypeError, match=f"resource accounts: two commands are {what}"):
        replace(ACCOUNTS, commands=(*ACCOUNTS.commands, command))


@pytest.mark.parametrize("path", ["health", "docs", "Accounts", "my/accounts", "", "accounts?"])
def test_a_path_that_cannot_be_is_refused(path: str) -> None:
    with pytest.raises(TypeError, match=re.escape(f"resource {path!r}: a path is")):
        replace(ACCOUNTS, path=path)
