"""Accounts that a writer holds: appended to without a look, and never answered from."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import pytest
from msgspec import structs

from betting.account_type import ACCOUNT
from betting.commands import Deposit, Withdraw
from betting.errors import InsufficientFundsError
from betting.events import BetPlaced, FundsDeposited, FundsWithdrawn
from betting.resources import ACCOUNTS
from ledger.errors import EndpointError
from ledger.store.errors import UndecodableEventError, VersionConflictError
from ledger.store.event_store import EventStore
from ledger.store.idempotency_keys import IdempotencyKeys
from tests.support.accounts import is_held
from tests.unit.writer.conftest import MemoryStore
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.handler import CommandHandler
from writer.commands.idempotency import command_key
from writer.commands.preconditions import Precondition
from writer.commands.requests import CommandRequest, CommandResult
from writer.commands.snapshot_writer import SnapshotWriter
from writer.http.schemas import Models
from writer.metrics import Metrics
from writer.resource import Command


@pytest.fixture
def handler(accounts: AggregateRepository, keys: IdempotencyKeys, metrics: Metrics) -> CommandHandler:
    return CommandHandler(accounts, keys, metrics, Models.of(ACCOUNTS).accept, conflict_retries=3, retry_seconds=10)


@pytest.fixture
def held(handler: CommandHandler, store: MemoryStore) -> str:
    """An account with 10.00 that the writer holds."""
    run(handler, Deposit(amount=Decimal(10), currency="EUR"))
    store.read_after.clear()
    store.appended.clear()
    return "alice"


def run(
    handler: CommandHandler, command: Command[Any], *, key: str | None = None, account: str = "alice", **match: str
) -> CommandResult:
    recorded = None if key is None else command_key("shop", key, account, command)
    precondition = Precondition.parse(match.get("if_match"), match.get("if_none_match"))
    return handler.handle(CommandRequest(ACCOUNT, account, command, precondition, "c", recorded))


def version(result: CommandResult) -> int:
    return int(result.body.partition('"version":')[2].partition(",")[0])


def deposited(amount: int = 1) -> FundsDeposited:
    return FundsDeposited(amount=Decimal(amount), currency="EUR")


ONE: Command[Any] = Deposit(amount=Decimal(1), currency="EUR")


def test_a_command_on_a_held_account_is_one_append(handler: CommandHandler, store: MemoryStore, held: str) -> None:
    looked: list[str] = []
    store.commands.before_find = lambda: looked.append("key")
    assert [version(run(handler, ONE, key=key)) for key in (None, "k", None)] == [2, 3, 4]
    assert (store.read_after, looked, store.appended) == ([], [], [1, 1, 1])


def test_another_writer_is_met_by_the_condition(handler: CommandHandler, store: MemoryStore, held: str) -> None:
    store.add(held, deposited())
    assert version(run(handler, ONE)) == 3
    assert store.read_after == [1], "what is new alone"
    assert version(run(handler, ONE)) == 4
    assert store.read_after == [1]


def test_a_refusal_is_judged_on_what_is_stored(handler: CommandHandler, store: MemoryStore, held: str) -> None:
    store.add(held, deposited(90))
    assert version(run(handler, Withdraw(amount=Decimal(100), currency="EUR"))) == 3
    assert store.appended == [1], "it was not sent before the account was read"
    with pytest.raises(InsufficientFundsError, match=r"holds 0\.00"):
        run(handler, Withdraw(amount=Decimal(1), currency="EUR"))
    assert store.read_after == [1, 3]


def test_after_a_refusal_the_account_is_held(handler: CommandHandler, store: MemoryStore, held: str) -> None:
    with pytest.raises(InsufficientFundsError):
        run(handler, Withdraw(amount=Decimal(11), currency="EUR"))
    run(handler, ONE)
    assert store.read_after == [1]


def test_what_a_client_claims_is_judged_on_what_is_stored(
    handler: CommandHandler, store: MemoryStore, held: str
) -> None:
    store.add(held, deposited())
    assert version(run(handler, ONE, if_match='"2"')) == 3, "2 is the version by now"
    store.add(held, deposited())
    with pytest.raises(VersionConflictError) as conflict:
        run(handler, ONE, if_match='"3"')
    assert (conflict.value.expected, conflict.value.actual) == (3, 4)
    with pytest.raises(VersionConflictError):
        run(handler, ONE, if_none_match='"4"')
    assert len(store.stored[held]) == 4


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "not stored"])
def test_after_an_append_without_an_answer_the_account_is_read(
    handler: CommandHandler, store: MemoryStore, held: str, stored: bool
) -> None:
    def lose() -> None:
        store.before_append = lambda: None
        if stored:
            store.add(held, deposited())
        raise EndpointError("no answer")

    store.before_append = lose
    with pytest.raises(EndpointError):
        run(handler, ONE)
    assert version(run(handler, ONE)) == 2 + stored
    assert store.read_after == [0]


def test_on_a_table_that_may_be_another_one_nothing_is_taken_for_known(
    handler: CommandHandler, store: MemoryStore, held: str
) -> None:
    """The table was restored to an earlier moment: what is held would make a hole."""
    for _ in range(4):
        run(handler, ONE)
    del store.stored[held][2:]
    store.same_table = False
    assert version(run(handler, ONE)) == 3


def test_a_refresh_knows_the_event_and_not_its_number(
    accounts: AggregateRepository, store: MemoryStore, opened: str
) -> None:
    loaded = accounts.load(ACCOUNT, opened)
    store.stored[opened].clear()
    store.add(opened, deposited(3), correlation_id="since the restore")
    store.add(opened, deposited(4))
    assert accounts.refresh(loaded).aggregate.state.balance == 7
    store.stored[opened].clear()
    assert accounts.refresh(loaded).aggregate.state.version == 0


def test_a_repeat_gets_its_answer_though_the_held_account_refuses(
    handler: CommandHandler, store: MemoryStore, held: str
) -> None:
    first = run(handler, Withdraw(amount=Decimal(10), currency="EUR"), key="k")
    again = run(handler, Withdraw(amount=Decimal(10), currency="EUR"), key="k")
    assert (again.body, again.replayed) == (first.body, True)
    accepted = run(handler, ONE, key="d")
    assert run(handler, ONE, key="d").body == accepted.body
    assert run(handler, ONE, key="d", if_match='"1"').body == accepted.body
    assert len(store.stored[held]) == 3


def test_a_key_is_looked_up_when_it_comes_again_or_was_recorded(
    handler: CommandHandler, other: Callable[..., CommandResult], store: MemoryStore, held: str
) -> None:
    happened: list[str] = []
    store.commands.before_find = lambda: happened.append("look")
    store.before_append = lambda: happened.append("append")
    first = run(handler, ONE, key="k")
    assert happened == ["append"]
    assert run(handler, ONE, key="k").body == first.body
    assert happened == ["append", "look"], "a repeat costs no write that fails"
    assert other(ONE, "k").body == first.body, "another writer learns of it by the condition"
    assert happened == ["append", "look", "append", "look"]


def test_a_repeat_gets_its_answer_though_the_history_can_be_read_no_more(
    handler: CommandHandler, store: MemoryStore, held: str
) -> None:
    first = run(handler, ONE, key="k")
    store.add(held, deposited())
    unreadable = store.stored[held][-1]
    store.stored[held][-1] = structs.replace(unreadable, event_type="FromTheFuture")
    assert run(handler, ONE, key="k").body == first.body
    with pytest.raises(UndecodableEventError):
        run(handler, ONE, key="another")


def test_the_ones_asked_for_last_are_held_and_many_bets_count_as_more(store: MemoryStore) -> None:
    snapshots = SnapshotWriter(cast("Any", None), Metrics(), interval=0)
    accounts = AggregateRepository(cast("EventStore", store), snapshots, held=3)

    def hold(account: str, bets: int = 0) -> None:
        for number in range(bets):
            store.add(account, BetPlaced(bet_id=f"b{number}", stake=Decimal(1), currency="EUR"))
        accounts.keep(accounts.load(ACCOUNT, account))

    def those_held() -> list[str]:
        return [account for account in ("a", "b", "c", "d", "large", "larger") if is_held(accounts, account)]

    for account in ("a", "b", "c", "d"):
        hold(account)
    assert those_held() == ["b", "c", "d"]
    hold("large", 100)
    assert those_held() == ["d", "large"]
    hold("larger", 300)
    assert those_held() == ["d", "large"], "it would push out all others"


def test_an_account_that_is_taken_is_held_by_nobody(accounts: AggregateRepository, opened: str) -> None:
    accounts.keep(accounts.load(ACCOUNT, opened))
    assert accounts.take(opened) is not None
    assert accounts.take(opened) is None


@pytest.fixture
def other(store: MemoryStore, keys: IdempotencyKeys) -> Callable[..., CommandResult]:
    """A command by another writer, which holds accounts too."""
    accounts = AggregateRepository(
        cast("EventStore", store), SnapshotWriter(cast("Any", None), Metrics(), interval=0), held=100
    )
    another = CommandHandler(
        accounts, keys, Metrics(), Models.of(ACCOUNTS).accept, conflict_retries=3, retry_seconds=10
    )

    def ask(command: Command[Any], key: str | None = None) -> CommandResult:
        return run(another, command, key=key)

    return ask


def test_two_writers_that_hold_one_account_take_turns(
    handler: CommandHandler, other: Callable[..., CommandResult], store: MemoryStore
) -> None:
    for round_ in range(1, 6):
        assert version(run(handler, ONE)) == 2 * round_ - 1
        assert version(other(ONE)) == 2 * round_
    store.add("alice", FundsWithdrawn(amount=Decimal(10), currency="EUR"))
    with pytest.raises(InsufficientFundsError):
        run(handler, Withdraw(amount=Decimal(1), currency="EUR"))
    with pytest.raises(InsufficientFundsError):
        other(Withdraw(amount=Decimal(1), currency="EUR"))
