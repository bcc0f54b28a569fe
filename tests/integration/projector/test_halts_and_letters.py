"""No halt outlives its letter: whoever halts and whoever redrives, skips or rebuilds, in whatever order."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from betting.projections import PROJECTIONS
from betting.projections.balance_summary import BALANCE_SUMMARY
from ledger.store.tables import ensure_table
from projector.components import Components
from projector.dead_letters.letters import DeadLetter, Origin
from projector.engine.read_model import table_spec
from projector.rebuild import rebuild
from projector.rebuild.build_lease import BuildStore
from projector.rebuild.rebuild import Rebuild
from tests.integration.projector.conftest import MakeComponents
from tests.integration.projector.rebuild.test_rebuild import Reported
from tests.support.accounts import deposit, poison

pytestmark = pytest.mark.integration

WRITES: Final = ("UpdateItem", "TransactWriteItems", "BatchExecuteStatement")

Act = Callable[[Components, str], None]


def letter(account_id: str) -> DeadLetter:
    return DeadLetter("a MODIFY of event 1", Origin("stream", "shard", "7"), b"", None, account_id, 1)


def store(process: Components, account_id: str) -> None:
    process.letters.store(letter(account_id))


def tamper(process: Components, account_id: str) -> None:
    """Meet a record that is no event, as a worker does."""
    process.aggregate_halts.store_and_halt(letter(account_id), process.new_projectors(), overtaken=False)


def tampered(process: Components, *, halted: bool = True) -> str:
    """A new account with a letter of a record, halted in every read model by a worker, or about to be."""
    (event,) = deposit(process.store)
    for projector in process.new_projectors():
        projector.apply([event])
    (tamper if halted else store)(process, event.aggregate_id)
    return event.aggregate_id


def redrive(process: Components, account_id: str) -> None:
    process.redrive.redrive(f"record~{account_id}~1", process.new_projectors, by="me")


def skip(process: Components, account_id: str) -> None:
    process.redrive.skip(f"record~{account_id}~1", process.new_projectors, by="me", why="ticket 4711")


class Stopping:
    """Runs something in a thread, and stops it before one of its writes until it is let go."""

    def __init__(
        self, executor: ThreadPoolExecutor, process: Components, write: int, act: Act, account_id: str
    ) -> None:
        self._left, self._events = write, process.clients.dynamodb.meta.events
        self._stopped, self._go = threading.Event(), threading.Event()
        for operation in WRITES:
            self._events.register(f"before-call.dynamodb.{operation}", self._written)
        self._work = executor.submit(act, process, account_id)
        self._work.add_done_callback(lambda _: self._stopped.set())
        assert self._stopped.wait(30)

    def _written(self, **_: object) -> None:
        self._left -= 1
        if self._left == 0:
            self._stopped.set()
            assert self._go.wait(30)

    def finish(self) -> bool:
        """Let it go to its end. False when it had ended before it was stopped."""
        stopped = not self._work.done()
        self._go.set()
        self._work.result(30)
        for operation in WRITES:
            self._events.unregister(f"before-call.dynamodb.{operation}", self._written)
        return stopped


def check(process: Components, account_id: str) -> None:
    stored = process.letters.get(f"record~{account_id}~1")
    assert stored is not None
    process.models.refresh()
    for model in process.models.fed():
        head = model.get(account_id)
        assert head is None or head.halted is None or stored.state == "open", (
            f"{model.table}: halted by a letter that is {stored.state}"
        )


@pytest.mark.parametrize("resolve", [redrive, skip])
@pytest.mark.parametrize("worker_first", [True, False])
@pytest.mark.parametrize("halted", [True, False])
def test_an_operator_beside_a_worker_that_halts_the_account(
    another: MakeComponents, executor: ThreadPoolExecutor, resolve: Act, worker_first: bool, halted: bool
) -> None:
    """The first does its work up to some write, the second up to some write, and then each goes on to its end."""
    acts = (tamper, resolve) if worker_first else (resolve, tamper)
    processes = another(), another()
    first_write, second_write, tried = 1, 1, 0
    while True:
        account_id = tampered(processes[0], halted=halted)
        first = Stopping(executor, processes[0], first_write, acts[0], account_id)
        second = Stopping(executor, processes[1], second_write, acts[1], account_id)
        was_first, was_second = first.finish(), second.finish()
        check(processes[0], account_id)
        tried += 1
        if was_second:
            second_write += 1
        elif was_first:
            first_write, second_write = first_write + 1, 1
        else:
            break
    assert tried >= 6


@pytest.mark.parametrize("resolve", [redrive, skip])
def test_an_operator_who_looked_at_the_generations_before_a_rebuild_began(
    another: MakeComponents, resolve: Act
) -> None:
    operator, worker = another(), another()
    account_id = tampered(operator)
    clients, names = operator.clients, operator.names
    ensure_table(clients.dynamodb, table_spec(BALANCE_SUMMARY, names.profile, 2))
    assert len(operator.models.fed()) == len(PROJECTIONS)
    BuildStore(clients.dynamodb, names.projections).start(BALANCE_SUMMARY.name, 2, "me", active=1, segments=1)
    tamper(worker, account_id)
    resolve(operator, account_id)
    check(worker, account_id)


def test_an_aggregate_halted_by_an_event_is_shown_no_further_behind_where_a_record_halts_it_first(
    another: MakeComponents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker meets the record before the scan meets the account, so that the new generation has it at version 0."""
    monkeypatch.setattr(rebuild, "SEEN_BY_ALL", 0.0)
    worker = another()
    events = deposit(worker.store, count=2)
    account_id = events[0].aggregate_id
    bad = poison(worker.clients.dynamodb, worker.names.events, events[-1])
    for projector in worker.new_projectors():
        worker.aggregate_halts.apply(projector, [*events, bad])

    class Tampered(Reported):
        def begin(self, work: str, phase: str, total: int, done: int) -> None:
            if phase == "scanning":
                tamper(another(), account_id)

    Rebuild(another(), Tampered()).run([BALANCE_SUMMARY], segments=1)
    old, new = (worker.models.model(BALANCE_SUMMARY, generation).get(account_id) for generation in (1, 2))
    assert old is not None
    assert new is not None
    assert new.version == old.version == 2
    assert new.halted is not None
