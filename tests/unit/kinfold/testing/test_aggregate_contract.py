"""Each promise of an aggregate's contract goes red for a type that breaks it on purpose."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from typing import Annotated, Any, Literal, get_args

import pytest
from hypothesis import strategies as st
from pydantic import AfterValidator, ConfigDict, Field, field_validator

from betting.account import Account
from betting.account_type import ACCOUNT
from betting.commands import Deposit, PlaceBet, Withdraw
from betting.events import EVENTS, BetPlaced, BettingEvent, FundsDeposited
from betting.resources import ACCOUNTS
from betting.snapshots import AccountSnapshots
from kinfold.testing import AggregateContract, commands, histories
from ledger.aggregates.aggregate_type import AggregateType, Archive, JsonSnapshots
from ledger.aggregates.events import Event, EventTypes
from ledger.aggregates.identifiers import Identifier
from tests.unit.betting.test_contract import COMMANDS, OLD
from tests.unit.kinfold.testing.conftest import Goes
from writer.resource import Command, Resource, View

NUMBERS = count()


def of_one(command: type[Command[Any]]) -> st.SearchStrategy[Command[Any]]:
    """The account's commands, one of them in place of its own base."""
    others = [each for each in ACCOUNTS.commands if each not in command.__mro__]
    fields = {"bet_id": st.sampled_from(["b1", "b2"]), "currency": st.just("EUR")}
    return commands(replace(ACCOUNTS, commands=(command, *others)), **fields)


def sharing_bets(account: Account) -> Account:
    return replace(account, settled_bets=account.settled_bets.copy())


def sharing_used_ids(account: Account) -> Account:
    return replace(account, open_bets=dict(account.open_bets))


@pytest.mark.parametrize("copy", [lambda account: account, sharing_bets, sharing_used_ids])
def test_a_copy_that_shares_state(goes_red: Goes, copy: Any) -> None:
    broken = replace(ACCOUNT, copy=copy)
    reason = "a change of the copy is in both"
    goes_red(AggregateContract, "test_a_copy_is_apart", reason, aggregate=broken, commands=COMMANDS)


def test_a_copy_that_is_another_state(goes_red: Goes) -> None:
    broken = replace(ACCOUNT, copy=lambda account: Account(account.account_id))
    goes_red(AggregateContract, "test_a_copy_is_apart", "is another state", aggregate=broken, commands=COMMANDS)


class Forgetful(AccountSnapshots):
    """Forgets the open bets."""

    def dump(self, state: Account) -> str:
        return super().dump(replace(state, open_bets={}))


class OfNoArchive(AccountSnapshots):
    """Forgets that there are ids in the archive."""

    def dump(self, state: Account) -> str:
        return super().dump(replace(state, settled_bets=type(state.settled_bets)()))


class Careless(AccountSnapshots):
    """Reads every schema."""

    def load(self, text: str, schema: int, aggregate_id: str, version: int) -> Account | None:
        return super().load(text, self.schema, aggregate_id, version)


class Unread(AccountSnapshots):
    """Reads none."""

    def load(self, text: str, schema: int, aggregate_id: str, version: int) -> Account | None:
        return None


@pytest.mark.parametrize(
    ("snapshots", "reason"),
    [
        (Forgetful(), "is another state"),
        (OfNoArchive(), "is another state"),
        (Careless(), "a schema that is newer than 2 is read"),
        (Unread(), "a snapshot of the schema that is written is not read"),
    ],
)
def test_a_snapshot_codec_that_loses_something(goes_red: Goes, snapshots: AccountSnapshots, reason: str) -> None:
    broken = replace(ACCOUNT, snapshots=snapshots)
    test = "test_a_snapshot_gives_its_state_back"
    goes_red(AggregateContract, test, reason, aggregate=broken, commands=COMMANDS)


@dataclass(frozen=True)
class Hidden:
    shown: int = 0
    step: int = field(default=0, compare=False)


def test_a_snapshot_whose_state_is_equal_and_folds_on_otherwise(goes_red: Goes) -> None:
    class Shown(JsonSnapshots[Hidden]):
        def dump(self, state: Hidden) -> str:
            return super().dump(Hidden(state.shown))

    broken = AggregateType[Hidden, BettingEvent](
        name="hidden",
        events=EVENTS,
        initial=lambda _: Hidden(),
        fold=lambda state, _: Hidden(state.shown + state.step, state.step + 1),
        snapshots=Shown(Hidden),
    )
    test, reason = "test_a_snapshot_gives_its_state_back", "folds on otherwise"
    deposits = commands(replace(ACCOUNTS, commands=(Always,)))
    goes_red(AggregateContract, test, reason, aggregate=broken, commands=deposits)


class Always(Command[Any]):
    path = "/deposits"

    def decide(self, state: Any) -> Sequence[Event]:
        return [FundsDeposited(amount=Decimal(1), currency="EUR")]


class Changing(Deposit):
    """Folds what it decides, too."""

    def decide(self, state: Account) -> list[BettingEvent]:
        events = super().decide(state)
        state.apply(events[0])
        return events


class Silent(Deposit):
    def decide(self, state: Account) -> list[BettingEvent]:
        return []


class Foreign(Always):
    path = "/notes"

    def decide(self, state: Any) -> Sequence[Event]:
        return [Noted(text="a")]


class Undeclared(Withdraw):
    refusals = ()  # type: ignore[assignment]


class Forgotten(PlaceBet):
    """Asks the archive for no bet."""

    def used_id(self, state: Account) -> str | None:
        return None


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Changing, "changes the state when it decides"),
        (Silent, "brings about no event"),
        (Foreign, "brings about what is no event of account"),
        (Undeclared, "Undeclared.refusals lacks In"),
        (Forgotten, "decided otherwise on a snapshot"),
    ],
)
def test_a_command_that_breaks_its_word(goes_red: Goes, command: type[Command[Any]], reason: str) -> None:
    test = "test_a_command_changes_nothing"
    goes_red(AggregateContract, test, reason, aggregate=ACCOUNT, commands=of_one(command))


def misnumbered(account: Account, event: BettingEvent) -> Account:
    account.apply(event)
    account.settled_bets.recent = {bet: number - 1 for bet, number in account.settled_bets.recent.items()}
    return account


def ids_of(account: Account) -> Any:
    return account.settled_bets


@pytest.mark.parametrize(
    "broken", [replace(ACCOUNT, fold=misnumbered), replace(ACCOUNT, archive=Archive(ids_of, lambda _: None))]
)
def test_an_archive_that_cannot_tell_who_used_an_id(goes_red: Goes, broken: Any) -> None:
    test, reason = "test_a_command_changes_nothing", "does `used_id` name the id?"
    goes_red(AggregateContract, test, reason, aggregate=broken, commands=COMMANDS)


SHARED = Account("nobody")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"initial": lambda _: SHARED}, "it folds to two states"),
        ({"initial": lambda _: Account(f"account-{next(NUMBERS)}")}, "it folds to two states"),
    ],
)
def test_a_state_that_is_not_of_its_events_alone(goes_red: Goes, change: Any, reason: str) -> None:
    broken = replace(ACCOUNT, **change)
    drawn = property(lambda _: histories(ACCOUNT, COMMANDS).map(lambda history: replace(history, kind=broken)))
    test = "test_a_history_folds_to_one_state"
    goes_red(AggregateContract, test, reason, aggregate=broken, commands=COMMANDS, drawn=drawn)


@pytest.mark.parametrize("pattern", ["[a-z~]+", "[a-z ]+", "[a-z]{130,}", "[a-z#]+", "-[a-z]+"])
@pytest.mark.parametrize("bare_ids", [True, False])
def test_ids_that_are_no_keys(goes_red: Goes, pattern: str, bare_ids: bool) -> None:
    broken = replace(ACCOUNT, ids=Identifier("an id", pattern=pattern), bare_ids=bare_ids)
    test, reason = "test_an_id_is_that_of_its_key_and_of_no_other_types", "is that of None"
    goes_red(AggregateContract, test, reason, aggregate=broken, commands=COMMANDS)


def test_commands_that_never_bring_an_event_about(goes_red: Goes) -> None:
    alone = commands(replace(ACCOUNTS, commands=(Deposit,)), amount=st.just(Decimal(1)))
    test, reason = "test_every_event_is_in_some_history", "no history has a BetPlaced, BetSettled, FundsWithdrawn:"
    goes_red(AggregateContract, test, reason, aggregate=ACCOUNT, commands=alone)


class Noted(Event):
    event_type = "Noted"
    schema_version: Literal[1] = 1
    text: str


def refused(text: str) -> str:
    if not text.startswith("a"):
        raise ValueError(f"{text} is none")
    return text


class Talkative(Noted):
    text: Annotated[str, AfterValidator(refused)]


class AnySchema(Noted):
    @field_validator("schema_version", mode="before")
    @classmethod
    def _mine(cls, _: object) -> int:
        return 1


class Lax(Noted):
    model_config = ConfigDict(extra="ignore")


class Lossy(Noted):
    note: str = Field(default="", exclude=True)


class Note(Command[Any]):
    """Gives whatever event the test is about."""

    path = "/notes"
    event: Any

    def decide(self, state: Any) -> Sequence[Event]:
        return [self.event]


def noting(event: Event) -> dict[str, Any]:
    """A type that has events of this one's class, and the command that brings this one about."""
    kind = AggregateType[int, Event](
        name="note",
        events=EventTypes([type(event)]),
        initial=lambda _: 0,
        fold=lambda state, _: state + 1,
        snapshots=JsonSnapshots(int),
    )
    notes = Resource(aggregate=kind, path="notes", commands=(Note,), view=View)
    return {"aggregate": kind, "commands": commands(notes, event=st.just(event))}


REFUSED = "test_what_cannot_be_read_is_refused_and_not_repeated"


@pytest.mark.parametrize(
    ("event", "test", "reason"),
    [
        (Lossy(text="a", note="b"), "test_an_event_survives_its_payload", "is read from its payload as another event"),
        (Talkative(text="a"), REFUSED, "the message repeats the payload"),
        (AnySchema(text="a"), REFUSED, "is read from a payload that is none: a newer schema"),
        (Lax(text="a"), REFUSED, "is read from a payload that is none: a field too many"),
    ],
)
def test_an_event_that_is_written_or_read_carelessly(goes_red: Goes, event: Event, test: str, reason: str) -> None:
    goes_red(AggregateContract, test, reason, **noting(event))


def test_a_type_of_plain_notes_keeps_the_contract(stays_green: Goes) -> None:
    stays_green(AggregateContract, **noting(Noted(text="a")))


def test_an_older_payload_that_is_not_given(goes_red: Goes) -> None:
    test, reason = "test_old_payloads_are_read", "old_payloads lacks ('BetPlaced', 1)"
    goes_red(AggregateContract, test, reason, aggregate=ACCOUNT, commands=COMMANDS)


def test_an_older_payload_that_is_read_as_two_events(goes_red: Goes) -> None:
    upcasters = {("BetPlaced", 1): lambda fields, _: {"betId": f"bet-{next(NUMBERS)}"} | fields}
    broken = replace(ACCOUNT, events=EventTypes(get_args(BettingEvent), upcasters))
    test, reason = "test_old_payloads_are_read", "one payload is read as two events"
    goes_red(AggregateContract, test, reason, aggregate=broken, commands=COMMANDS, old_payloads=OLD)


def test_an_older_payload_that_is_not_read(goes_red: Goes) -> None:
    assert BetPlaced in EVENTS.models
    old = {("BetPlaced", 1): '{"schemaVersion":1,"sum":"4.00"}'}
    test, reason = "test_old_payloads_are_read", "UnreadablePayloadError"
    goes_red(AggregateContract, test, reason, aggregate=ACCOUNT, commands=COMMANDS, old_payloads=old)
