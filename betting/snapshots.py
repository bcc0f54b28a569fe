"""The snapshot of an account, as text."""

from decimal import Decimal
from typing import Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from betting.account import Account
from betting.money import CurrencyCode
from ledger.aggregates import UsedIds

#: A schema that held every bet that was ever settled, and not where. Its snapshots are read where they have none.
_ALL_BETS: Final = 1


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True, frozen=True)

    version: int = Field(ge=1)
    currency: CurrencyCode | None
    balance: Decimal
    open_bets: dict[str, Decimal]
    settled_bets: list[str] = []
    has_archive: bool = False


class AccountSnapshots:
    """Accounts without their settled bets, which are in the archive."""

    schema = 2

    def dump(self, state: Account) -> str:
        """The account as JSON."""
        return _State.model_construct(
            version=state.version,
            currency=state.currency,
            balance=state.balance,
            open_bets=state.open_bets,
            has_archive=state.settled_bets.has_archive,
        ).model_dump_json(by_alias=True, exclude={"settled_bets"})

    def load(self, text: str, schema: int, aggregate_id: str, version: int) -> Account | None:
        """Read the account. Raises ValueError for a text that cannot be read, or that gives another version."""
        if schema not in (_ALL_BETS, self.schema):
            return None
        state = _State.model_validate_json(text)
        if state.version != version:
            raise ValueError("it gives two versions")
        if state.settled_bets:
            return None
        settled = UsedIds(has_archive=state.has_archive)
        return Account(aggregate_id, version, state.currency, state.balance, dict(state.open_bets), settled)
