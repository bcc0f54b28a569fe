"""Turns at accounts: one group at a time, and a group is what has come meanwhile."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal

import pytest

from betting.account_type import ACCOUNT
from betting.commands import Deposit
from tests.support.waiting import until
from writer.commands.preconditions import Precondition
from writer.commands.requests import CommandRequest, CommandResult, Waiting
from writer.commands.turns import Turns

DONE = CommandResult(201, "{}")


def request(name: str, account: str = "alice") -> Waiting:
    return Waiting(CommandRequest(ACCOUNT, account, Deposit(amount=Decimal(1), currency="EUR"), Precondition(), name))


class Groups:
    """Carries groups out one step at a time, and remembers them with the thread that each was on."""

    def __init__(self) -> None:
        self.turns = Turns(self.carry_out)
        self.groups: list[list[str]] = []
        self.threads: list[str] = []
        self.go = threading.Semaphore(0)
        self.pool = ThreadPoolExecutor(16)

    def carry_out(self, group: list[Waiting]) -> None:
        self.groups.append([each.request.correlation_id for each in group])
        self.threads.append(threading.current_thread().name)
        assert self.go.acquire(timeout=20)
        for each in group:
            each.accept(DONE)

    def ask(self, waiting: Waiting) -> "Future[str]":
        """Have a thread wait for the request. Gives the thread's name once it has its outcome."""

        def wait() -> str:
            self.turns.wait(waiting)
            assert waiting.result is DONE
            return threading.current_thread().name

        return self.pool.submit(wait)

    def queued(self, account: str) -> list[str]:
        return [each.request.correlation_id for each in self.turns._queues.get(account, ())]


@pytest.fixture
def rig() -> Iterator[Groups]:
    rig = Groups()
    yield rig
    rig.pool.shutdown()


def test_a_group_is_what_came_while_the_one_before_was_carried_out(rig: Groups) -> None:
    first = rig.ask(request("1"))
    until(lambda: rig.groups == [["1"]])
    waiting = []
    for name in ("2", "3", "4"):
        waiting.append(rig.ask(request(name)))
        until(lambda name=name: rig.queued("alice")[-1:] == [name])  # type: ignore[misc]
    rig.go.release()
    assert first.result(20) == rig.threads[0], "who was first waits for no later group"
    until(lambda: len(rig.groups) == 2)
    late = rig.ask(request("5"))
    until(lambda: rig.queued("alice") == ["5"])
    rig.go.release()
    names = [each.result(20) for each in waiting]
    assert rig.threads[1] == names[0], "the first of a group carries it out"
    rig.go.release()
    late.result(20)
    assert rig.groups == [["1"], ["2", "3", "4"], ["5"]]


def test_accounts_do_not_wait_for_each_other(rig: Groups) -> None:
    asked = [rig.ask(request("a", "alice")), rig.ask(request("b", "bob"))]
    until(lambda: sorted(rig.groups) == [["a"], ["b"]])
    rig.go.release(2)
    for each in asked:
        each.result(20)


def test_one_that_is_asked_again_has_its_turn_again(rig: Groups) -> None:
    rig.go.release(2)
    again = request("1")
    again.error = RuntimeError("of the last time")
    rig.ask(again).result(20)
    again.result = None
    rig.ask(again).result(20)
    assert rig.groups == [["1"], ["1"]]
    assert again.error is None
