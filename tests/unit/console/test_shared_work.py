"""Work is done once for all who want it at the same time, and nobody waits longer than the work lets them."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog

from console.shared_work import SharedWork
from tests.support.waiting import PATIENCE, until


class Held:
    """Work that goes on when the test says so."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.begun, self.done, self.due = 0, 0, True
        self.tells, self.goes_on = threading.Event(), threading.Event()
        self.shared = SharedWork(self.work, lambda: self.due, executor.submit)

    def work(self, tell: Callable[[], object]) -> None:
        self.begun += 1
        assert self.tells.wait(PATIENCE)
        tell()
        assert self.goes_on.wait(PATIENCE)
        self.done += 1

    def release(self) -> None:
        self.tells.set()
        self.goes_on.set()


@pytest.fixture
def held() -> Iterator[Held]:
    with ThreadPoolExecutor(1) as executor:
        made = Held(executor)
        yield made
        made.release()


def test_who_comes_while_it_is_under_way_waits_for_the_same(held: Held) -> None:
    held.shared.join(0)
    held.due = False
    began = time.monotonic()
    held.shared.join(0.05)
    assert time.monotonic() - began >= 0.05
    held.goes_on.set()
    with ThreadPoolExecutor(4) as executor:
        joined = [executor.submit(held.shared.join, PATIENCE) for _ in range(4)]
        held.tells.set()
        for each in joined:
            each.result()
    until(lambda: held.done)
    assert held.begun == 1


def test_nobody_waits_any_more_once_it_tells_and_none_is_begun_beside_it(held: Held) -> None:
    held.tells.set()
    held.shared.join(PATIENCE)
    held.shared.join(PATIENCE)
    assert (held.begun, held.done) == (1, 0)


def test_it_is_begun_where_it_is_due_alone(held: Held) -> None:
    held.release()
    held.due = False
    held.shared.join(PATIENCE)
    assert held.begun == 0
    held.due = True
    held.shared.join(PATIENCE)
    until(lambda: held.done)
    assert held.begun == 1


def test_work_that_fails_is_told_and_done_again() -> None:
    tried = []

    def fail(_tell: Callable[[], object]) -> None:
        tried.append(1)
        raise ValueError

    def failed() -> int:
        shared.join(PATIENCE)
        return len(tried)

    with structlog.testing.capture_logs() as lines:
        with ThreadPoolExecutor(1) as executor:
            shared = SharedWork(fail, lambda: True, executor.submit)
            assert [failed(), failed()] == [1, 2]
        assert [line["event"] for line in lines] == ["reading_failed"] * 2
