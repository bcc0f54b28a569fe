"""Commands that are decided one after the other and stored together: each with an outcome of its own."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betting.account import Account
from betting.account_type import ACCOUNT
from betting.commands import Deposit, PlaceBet, SettleBet, Withdraw
from betting.errors import BetAlreadyPlacedError, InsufficientFundsError
from betting.events import FundsDeposited, FundsWithdrawn
from betting.resources import ACCOUNTS
from ledger.aggregates.errors import RefusedError
from ledger.errors import EndpointError
from ledger.store.errors import CommandRecordedError, RejectedEventError, VersionConflictError
from ledger.store.event_store import EventStore
from ledger.store.idempotency_keys import IdempotencyKeys
from ledger.store.stored_event import EventReference
from tests.unit.writer.conftest import MemoryStore
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.group_commit import GroupCommit
from writer.commands.idempotency import KeyReusedError, command_key
from writer.commands.preconditions import Precondition
from writer.commands.requests import CommandRequest, Waiting
from writer.commands.snapshot_writer import SnapshotWriter
from writer.http.schemas import Models
from writer.metrics import Metrics
from writer.resource import Command

RETRIES = 3


class Rig:
    """A writer's groups on a store in memory."""

    def __init__(self, store: MemoryStore, retry_seconds: float = 10) -> None:
        self.metrics = Metrics()
        self.accounts = AggregateRepository(
            cast("EventStore", store), SnapshotWriter(cast("Any", None), self.metrics, interval=0), held=100
        )
        self.keys = IdempotencyKeys(cast("Any", store.commands), "commands", retention=3600)
        self._commit = GroupCommit(
            self.accounts,
            self.keys,
            self.metrics,
            Models.of(ACCOUNTS).accept,
            conflict_retries=RETRIES,
            retry_seconds=retry_seconds,
        )

    def carry_out(self, *group: Waiting) -> list[Any]:
        """The version and balance of each answer, or the kind of its error."""
        self._commit.carry_out(list(group))
        return [outcome(each) for each in group]


def outcome(each: Waiting) -> Any:
    if each.result is None:
        assert each.error is not None
        return type(each.error)
    body = json.loads(each.result.body)
    return body["version"], body["balance"]


@pytest.fixture
def rig(store: MemoryStore) -> Rig:
    return Rig(store)


def waiting(
    command: Command[Any], key: str | None = None, if_match: str | None = None, correlation_id: str = "c"
) -> Waiting:
    recorded = None if key is None else command_key("shop", key, "alice", command)
    return Waiting(CommandRequest(ACCOUNT, "alice", command, Precondition.parse(if_match), correlation_id, recorded))


def deposit(amount: int, **given: Any) -> Waiting:
    return waiting(Deposit(amount=Decimal(amount), currency="EUR"), **given)


def withdraw(amount: int, **given: Any) -> Waiting:
    return waiting(Withdraw(amount=Decimal(amount), currency="EUR"), **given)


def before_next_append(store: MemoryStore, happens: Callable[[], object]) -> None:
    def once() -> None:
        store.before_append = lambda: None
        happens()

    store.before_append = once


def test_each_has_its_own_answer_and_correlation_id(rig: Rig, store: MemoryStore) -> None:
    group = [deposit(n, correlation_id=f"c{n}", key="k" if n == 2 else None) for n in (1, 2, 3)]
    assert rig.carry_out(*group) == [(1, "1.00"), (2, "3.00"), (3, "6.00")]
    assert store.appended == [3]
    assert [event.correlation_id for event in store.stored["alice"]] == ["c1", "c2", "c3"]
    assert list(store.commands.items) == ["shop#k"]
    assert store.commands.items["shop#k"]["sequenceNumber"] == {"N": "2"}
    [event] = json.loads(group[1].result.body)["events"]  # type: ignore[union-attr]
    assert (event["sequenceNumber"], event["correlationId"]) == (2, "c2")
    assert [each.together for each in group] == [3, 3, 3]


def test_a_refused_one_takes_nobody_down_and_is_judged_on_those_before_it(rig: Rig, store: MemoryStore) -> None:
    bet = PlaceBet(bet_id="b", stake=Decimal(1), currency="EUR")
    group = [withdraw(1), deposit(3), withdraw(4), waiting(bet), waiting(bet), withdraw(2), withdraw(1)]
    refused = InsufficientFundsError
    assert rig.carry_out(*group) == [
        refused,
        (1, "3.00"),
        refused,
        (2, "2.00"),
        BetAlreadyPlacedError,
        (3, "0.00"),
        refused,
    ]
    assert store.appended == [3]


def test_a_refusal_by_what_was_not_stored_is_judged_again(rig: Rig, store: MemoryStore) -> None:
    rig.carry_out(deposit(5))
    before_next_append(store, lambda: store.add("alice", FundsDeposited(amount=Decimal(5), currency="EUR")))
    assert rig.carry_out(withdraw(5), withdraw(5)) == [(3, "5.00"), (4, "0.00")]
    before_next_append(store, lambda: store.add("alice", FundsDeposited(amount=Decimal(5), currency="EUR")))
    assert rig.carry_out(deposit(1), withdraw(7)) == [(6, "6.00"), InsufficientFundsError]


def test_a_group_of_refusals_alone_is_judged_on_what_is_stored(rig: Rig, store: MemoryStore) -> None:
    rig.carry_out(deposit(5))
    store.add("alice", FundsDeposited(amount=Decimal(1), currency="EUR"))
    assert rig.carry_out(withdraw(6), withdraw(6)) == [(3, "0.00"), InsufficientFundsError]
    assert store.appended == [1, 1]


def test_a_claim_is_of_the_account_after_those_before_it(rig: Rig, store: MemoryStore) -> None:
    group = [
        deposit(1, if_match='"0"'),
        deposit(1, if_match='"0"'),
        deposit(1, if_match='"1"'),
        deposit(1, if_match="*"),
        deposit(1, if_match='"9"'),
    ]
    conflict = VersionConflictError
    assert rig.carry_out(*group) == [(1, "1.00"), conflict, (2, "2.00"), (3, "3.00"), conflict]
    assert [each.error.actual for each in group if isinstance(each.error, conflict)] == [1, 3]


def test_after_a_conflict_all_are_decided_anew_but_those_whose_claim_it_broke(rig: Rig, store: MemoryStore) -> None:
    rig.carry_out(deposit(1))
    before_next_append(store, lambda: store.add("alice", FundsWithdrawn(amount=Decimal(1), currency="EUR")))
    group = [deposit(1, if_match='"1"'), withdraw(1), deposit(2), withdraw(2)]
    refused = InsufficientFundsError
    assert rig.carry_out(*group) == [VersionConflictError, refused, (3, "2.00"), (4, "0.00")]
    assert [each.retries for each in group] == [0, 1, 1, 1]


def test_conflicts_without_end_are_told_to_all(rig: Rig, store: MemoryStore) -> None:
    store.others_are_faster(1000)
    assert rig.carry_out(deposit(1), deposit(1)) == [VersionConflictError] * 2
    assert len(store.stored["alice"]) == RETRIES + 1


def test_whoever_has_waited_long_is_tried_once(store: MemoryStore) -> None:
    rig, late = Rig(store, retry_seconds=10), deposit(1)
    late.since -= 60
    store.others_are_faster(1000)
    assert rig.carry_out(late, deposit(1)) == [VersionConflictError] * 2
    assert len(store.stored["alice"]) == 1


def test_two_with_one_key_are_one_command(rig: Rig, store: MemoryStore) -> None:
    group = [withdraw(9, key="k"), deposit(5, key="k"), deposit(5, key="k"), deposit(6, key="k"), deposit(1)]
    assert rig.carry_out(*group) == [InsufficientFundsError, (1, "5.00"), (1, "5.00"), KeyReusedError, (2, "6.00")]
    assert [each.result.replayed for each in group if each.result] == [False, True, False]
    assert len(store.stored["alice"]) == 2


def test_a_key_that_was_recorded_takes_nobody_down(rig: Rig, store: MemoryStore) -> None:
    rig.carry_out(deposit(5, key="a"), deposit(5, key="b"))
    group = [deposit(1), deposit(5, key="a"), deposit(5, key="b"), deposit(5, key="c")]
    assert rig.carry_out(*group) == [(3, "11.00"), CommandRecordedError, CommandRecordedError, (4, "16.00")]


@pytest.mark.parametrize("stored", [True, False])
def test_an_append_without_an_answer_is_told_to_all(rig: Rig, store: MemoryStore, stored: bool) -> None:
    rig.carry_out(deposit(1))

    def lose() -> None:
        if stored:
            store.add("alice", FundsDeposited(amount=Decimal(1), currency="EUR"))
        raise EndpointError("no answer")

    before_next_append(store, lose)
    assert rig.carry_out(deposit(1), withdraw(9), deposit(2)) == [EndpointError] * 3
    assert rig.carry_out(deposit(1)) == [(3, "3.00") if stored else (2, "2.00")]


def test_one_that_dynamodb_refuses_fails_alone(rig: Rig, store: MemoryStore) -> None:
    def refuse() -> None:
        if any(event.correlation_id == "bad" for event in store.drafted):
            raise RejectedEventError("malformed")

    store.before_append = refuse
    group = [deposit(1), deposit(1, correlation_id="bad"), deposit(1)]
    assert rig.carry_out(*group) == [(1, "1.00"), RejectedEventError, (2, "2.00")]


def test_more_than_a_transaction_holds_is_stored_in_several(rig: Rig, store: MemoryStore) -> None:
    group = [deposit(1, key=f"k{n}" if n % 2 else None) for n in range(150)]
    assert [found[0] for found in rig.carry_out(*group)] == list(range(1, 151))
    assert store.appended == [67, 66, 17]


def test_write_units_are_those_of_each(rig: Rig, store: MemoryStore) -> None:
    store.write_units = 8.0
    group = [deposit(1), deposit(1, key="k"), deposit(1), withdraw(9)]
    rig.carry_out(*group)
    assert [each.write_units for each in group] == [2, 4, 2, 0]
    counted = rig.metrics.registry.get_sample_value("kinfold_writer_write_units_total", {"command": "deposit"})
    assert counted == 8
    assert rig.metrics.registry.get_sample_value("kinfold_writer_appends_total") == 1


@dataclass(frozen=True)
class Step:
    """A group of one of two writers, and what befalls its appends, one after the other."""

    writer: int
    group: tuple[tuple[Command[Any], str | None, int | None], ...]
    befalls: tuple[str, ...]


EUR: Any = "EUR"
amounts = st.integers(1, 4).map(Decimal)
bets = st.sampled_from(["b1", "b2"])
commands: st.SearchStrategy[Command[Any]] = (
    amounts.map(lambda amount: Deposit(amount=amount, currency=EUR))
    | amounts.map(lambda amount: Withdraw(amount=amount, currency=EUR))
    | st.builds(lambda bet, stake: PlaceBet(bet_id=bet, stake=stake, currency=EUR), bets, amounts)
    | st.builds(lambda bet, payout: SettleBet(bet_id=bet, payout=payout, currency=EUR), bets, amounts)
)
steps = st.builds(
    Step,
    st.integers(0, 1),
    st.lists(
        st.tuples(commands, st.none() | st.sampled_from(["k1", "k2", "k3"]), st.none() | st.integers(0, 8)),
        min_size=1,
        max_size=5,
    ).map(tuple),
    st.lists(st.sampled_from(["nothing", "another", "lost", "stored and lost"]), max_size=2).map(tuple),
)


class Befallen(MemoryStore):
    """A store whose next appends each meet something."""

    def __init__(self) -> None:
        super().__init__()
        self.next: Iterator[str] = iter(())

    def commit(self, draft: Any, expected: Any, *, retry_seconds: float) -> Any:
        befalls = next(self.next, "nothing")
        if befalls == "another":
            self.add("alice", FundsDeposited(amount=Decimal(1), currency="EUR"))
        if befalls == "lost":
            raise EndpointError("no answer")
        history = super().commit(draft, expected, retry_seconds=retry_seconds)
        if befalls == "stored and lost":
            raise EndpointError("no answer")
        return history


@settings(max_examples=300)
@given(st.lists(steps, min_size=1, max_size=6))
def test_whatever_befalls_each_answer_is_true(script: Sequence[Step]) -> None:
    store = Befallen()
    writers = [Rig(store), Rig(store)]
    number = 0
    recorded: dict[str, str] = {}
    for step in script:
        since = len(store.stored.get("alice", []))
        group = []
        for command, key, claim in step.group:
            number += 1
            if_match = None if claim is None else f'"{claim}"'
            group.append(waiting(command, key=key, if_match=if_match, correlation_id=f"c{number}"))
        store.next = iter(step.befalls)
        writers[step.writer].carry_out(*group)
        history = store.stored.get("alice", [])
        states = [Account("alice")]
        for event in history:
            states.append(states[-1].copy())
            states[-1].apply(event.decode(ACCOUNT))
        stored = {event.correlation_id: event.sequence_number for event in history}
        for each in group:
            check(each, store, states, since, stored, recorded)


def check(
    each: Waiting,
    store: MemoryStore,
    states: list[Account],
    since: int,
    stored: dict[str, int],
    recorded: dict[str, str],
) -> None:
    """The outcome of one request, by the history as it is once its group is through."""
    request, error = each.request, each.error
    record = store.commands.items.get(request.key.command_id) if request.key else None
    if each.result is not None:
        body = json.loads(each.result.body)
        state = states[body["version"]]
        assert body["balance"] == f"{state.balance:.2f}"
        if request.key is not None:
            assert record is not None
            assert (
                record["body"]["S"] == each.result.body == recorded.setdefault(request.key.command_id, each.result.body)
            )
        if not each.result.replayed:
            assert stored[request.correlation_id] == body["version"] > since
            assert request.precondition.holds(body["version"] - 1)
        return
    if not isinstance(error, EndpointError):
        assert request.correlation_id not in stored, "it was refused, and is stored"
    if isinstance(error, RefusedError):
        assert any(refused(state, request.command) for state in states[since:])
    if isinstance(error, VersionConflictError):
        assert since <= error.actual < len(states)
    if isinstance(error, CommandRecordedError | KeyReusedError):
        assert record is not None
    if isinstance(error, KeyReusedError):
        assert record is not None
        assert record["requestHash"]["S"] != request.key.fingerprint  # type: ignore[union-attr]
    assert isinstance(
        error, EndpointError | RefusedError | VersionConflictError | CommandRecordedError | KeyReusedError
    )


def refused(state: Account, command: Command[Any]) -> bool:
    try:
        command.decide(state)
    except RefusedError:
        return True
    return False


def test_one_that_was_told_its_outcome_is_not_told_of_what_befalls_its_group_later(
    rig: Rig, store: MemoryStore
) -> None:
    """It may wait for its next turn by then (its record is of a lost event), and would leave a queue that needs it."""
    lost, other = deposit(7, key="k"), deposit(1)
    assert lost.request.key is not None
    store.commands.put(rig.keys.record(lost.request.key, 201, "{}", EventReference("alice", 9, "lost")))

    def fail_once_it_waits_again() -> None:
        assert isinstance(lost.error, CommandRecordedError)
        lost.error = None
        raise EndpointError("no answer")

    before_next_append(store, lambda: before_next_append(store, fail_once_it_waits_again))
    rig._commit.carry_out([other, lost])
    assert outcome(other) is EndpointError
    assert lost.error is None
