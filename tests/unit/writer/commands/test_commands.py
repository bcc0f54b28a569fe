import json
from collections.abc import Callable, MutableMapping
from decimal import Decimal
from typing import Any

import pytest

from betting.account_type import ACCOUNT
from betting.commands import Deposit, Withdraw
from betting.errors import InsufficientFundsError
from betting.events import FundsDeposited, FundsWithdrawn
from betting.resources import ACCOUNTS
from ledger.errors import EndpointError, ThrottledError
from ledger.store.errors import VersionConflictError
from ledger.store.idempotency_keys import IdempotencyKeys
from tests.unit.writer.conftest import MemoryStore
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.handler import CommandHandler
from writer.commands.idempotency import command_key
from writer.commands.preconditions import Precondition
from writer.commands.requests import CommandRequest
from writer.http.schemas import Models
from writer.metrics import Metrics
from writer.resource import Command

RETRIES = 3


@pytest.fixture
def make(accounts: AggregateRepository, keys: IdempotencyKeys) -> Callable[..., CommandHandler]:
    def make(metrics: Metrics, *, conflict_retries: int = RETRIES, retry_seconds: float = 10) -> CommandHandler:
        return CommandHandler(
            accounts,
            keys,
            metrics,
            Models.of(ACCOUNTS).accept,
            conflict_retries=conflict_retries,
            retry_seconds=retry_seconds,
        )

    return make


@pytest.fixture
def handler(make: Callable[..., CommandHandler], metrics: Metrics) -> CommandHandler:
    return make(metrics)


def run(handler: CommandHandler, command: Command[Any], if_match: str | None = None, key: str | None = None) -> Any:
    """The answer's body."""
    recorded = None if key is None else command_key("shop", key, "alice", command)
    request = CommandRequest(ACCOUNT, "alice", command, Precondition.parse(if_match), "c", recorded)
    return json.loads(handler.handle(request).body)


def deposit(amount: int) -> Deposit:
    return Deposit(amount=Decimal(amount), currency="EUR")


def withdraw(amount: int) -> Withdraw:
    return Withdraw(amount=Decimal(amount), currency="EUR")


def counted(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"kinfold_writer_{name}_total", labels) or 0


def test_an_accepted_command_answers_with_the_account_after_it(handler: CommandHandler, metrics: Metrics) -> None:
    run(handler, deposit(10))
    accepted = run(handler, withdraw(4))
    assert (accepted["version"], accepted["balance"]) == (2, "6.00")
    [event] = accepted["events"]
    assert (event["sequenceNumber"], event["correlationId"]) == (2, "c")
    assert counted(metrics, "commands", command="withdraw", outcome="accepted") == 1
    assert counted(metrics, "conflicts") == 0


def test_a_conflict_is_decided_anew_on_the_new_state(
    handler: CommandHandler, metrics: Metrics, store: MemoryStore
) -> None:
    store.others_are_faster(RETRIES)
    accepted = run(handler, deposit(10))
    assert (accepted["version"], accepted["balance"]) == (RETRIES + 1, f"{10 + RETRIES}.00")
    assert store.read_after == [0, 0, 1, 2], "a retry reads what is new, not the whole history again"
    assert counted(metrics, "conflicts") == RETRIES
    assert counted(metrics, "conflict_retries") == RETRIES
    assert counted(metrics, "commands", command="deposit", outcome="accepted") == 1


def test_what_the_new_state_refuses_is_refused(handler: CommandHandler, store: MemoryStore, opened: str) -> None:
    left = [FundsWithdrawn(amount=Decimal(10), currency="EUR")]

    def withdraw_first() -> None:
        if left:
            store.add("alice", left.pop())

    store.before_append = withdraw_first
    with pytest.raises(InsufficientFundsError):
        run(handler, withdraw(10))
    assert len(store.stored["alice"]) == 2


def test_retries_end(handler: CommandHandler, metrics: Metrics, store: MemoryStore) -> None:
    store.others_are_faster(1000)
    with pytest.raises(VersionConflictError) as error:
        run(handler, deposit(10))
    assert error.value.actual == RETRIES + 1
    assert counted(metrics, "conflicts") == RETRIES + 1
    assert counted(metrics, "conflict_retries") == RETRIES
    assert counted(metrics, "commands", command="deposit", outcome="conflict") == 1


def test_a_claimed_version_is_never_retried(
    handler: CommandHandler, metrics: Metrics, store: MemoryStore, opened: str
) -> None:
    store.others_are_faster(1)
    with pytest.raises(VersionConflictError) as error:
        run(handler, deposit(10), '"1"')
    assert error.value.actual == 2
    assert store.read_after == [0]
    assert counted(metrics, "conflict_retries") == 0


def test_a_star_claims_no_version_and_is_retried(handler: CommandHandler, store: MemoryStore, opened: str) -> None:
    store.others_are_faster(1)
    assert run(handler, deposit(10), "*")["version"] == 3


def test_a_claim_that_does_not_hold_decides_nothing(handler: CommandHandler, store: MemoryStore, opened: str) -> None:
    with pytest.raises(VersionConflictError):
        run(handler, withdraw(1000), '"7"')
    assert len(store.stored["alice"]) == 1


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [(ThrottledError("busy"), "unavailable"), (EndpointError("gone"), "unavailable"), (RuntimeError("bug"), "failed")],
)
def test_a_failure_is_counted_and_raised(
    handler: CommandHandler, metrics: Metrics, store: MemoryStore, failure: Exception, outcome: str
) -> None:
    def fail() -> None:
        raise failure

    store.before_append = fail
    with pytest.raises(type(failure)):
        run(handler, deposit(10))
    assert counted(metrics, "commands", command="deposit", outcome=outcome) == 1
    assert counted(metrics, "conflict_retries") == 0


def test_a_command_is_one_log_line_without_its_figures(
    handler: CommandHandler, log_lines: list[MutableMapping[str, Any]]
) -> None:
    run(handler, Deposit(amount=Decimal("4711.42"), currency="EUR"))
    with pytest.raises(InsufficientFundsError):
        run(handler, withdraw(5000))
    assert [line["event"] for line in log_lines] == ["command", "command"]
    accepted, refused = log_lines
    assert (accepted["aggregate"], accepted["command"], accepted["outcome"]) == ("alice", "deposit", "accepted")
    assert (accepted["version"], accepted["correlation_id"]) == (1, "c")
    assert accepted["ms"] >= 0
    assert (refused["command"], refused["outcome"]) == ("withdraw", "refused")
    assert "4711" not in str(log_lines)


def test_time_ends_the_retries_too(make: Callable[..., CommandHandler], metrics: Metrics, store: MemoryStore) -> None:
    store.others_are_faster(1000)
    with pytest.raises(VersionConflictError):
        run(make(metrics, conflict_retries=100, retry_seconds=0.2), deposit(10))
    assert 1 <= counted(metrics, "conflict_retries") < 100


def test_each_handler_counts_for_itself(make: Callable[..., CommandHandler], metrics: Metrics) -> None:
    run(make(Metrics()), deposit(1))
    assert counted(metrics, "commands", command="deposit", outcome="accepted") == 0


def test_a_deposit_opens_an_account_at_version_0_alone(handler: CommandHandler, store: MemoryStore) -> None:
    run(handler, deposit(1), '"0"')
    with pytest.raises(VersionConflictError):
        run(handler, deposit(1), '"0"')
    assert store.stored["alice"][0].decode(ACCOUNT) == FundsDeposited(amount=Decimal(1), currency="EUR")
