"""What costs many calls is looked at less often, and one who looks is enough for all."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import Counter

from bench.alone.fake_aws import answer
from console.http.fragments import A_CALL, PERIOD, Fragments
from console.looking.aws_calls import count_calls, tallied
from console.looking.latest import Latest
from kinfold.local.environment import service_clients
from ledger.runtime.aws import Clients
from tests.support.waiting import PATIENCE, until


@pytest.fixture
def clients() -> Clients:
    """Clients whose calls are counted, and which are answered from memory."""
    clients = service_clients("http://127.0.0.1:9", "test-calls")
    answer(clients.dynamodb, "ListTables", lambda _: b'{"TableNames": []}')
    count_calls(clients, Counter("calls", "t", ["operation"], registry=None))
    return clients


def calling(clients: Clients, times: int) -> None:
    for _ in range(times):
        clients.dynamodb.list_tables()


class Made:
    """Parts that are made, by a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.made = 0
        self.fragments = Fragments(lambda: self.now)

    def get(self, key: str = "a", seconds: float = 0.0, during: Callable[[], object] = lambda: None) -> str:
        self.now += seconds

        def make() -> bytes:
            self.made += 1
            during()
            return f"{key} {self.made}".encode()

        return self.fragments.get(key, make).decode()


def test_a_call_is_counted_for_the_work_that_makes_it(clients: Clients) -> None:
    with tallied() as outer:
        calling(clients, 2)
        with tallied() as inner:
            calling(clients, 3)
        calling(clients, 1)
    calling(clients, 5)
    assert (outer.calls, inner.calls) == (3, 3)


def test_a_part_stands_for_two_seconds_and_longer_where_it_took_many_calls(clients: Clients) -> None:
    parts = Made()
    assert [parts.get(seconds=each) for each in (0, PERIOD / 2, PERIOD)] == ["a 1", "a 1", "a 2"]
    costly = parts.get(seconds=PERIOD, during=lambda: calling(clients, 10))
    assert parts.get(seconds=10 * A_CALL - 0.5) == costly
    assert parts.get(seconds=0.5) != costly
    assert parts.get("b") == "b 5"


def test_those_who_come_while_a_part_is_made_wait_for_it() -> None:
    parts, goes_on = Made(), threading.Event()
    with ThreadPoolExecutor(5) as executor:
        asked = [executor.submit(parts.get, during=goes_on.wait) for _ in range(5)]
        until(lambda: parts.made)
        goes_on.set()
        assert {each.result() for each in asked} == {"a 1"}


def test_those_who_come_while_it_is_read_wait_for_the_same_reading() -> None:
    goes_on, taken = threading.Event(), []

    def read() -> int:
        taken.append(1)
        assert goes_on.wait(PATIENCE)
        return len(taken)

    with ThreadPoolExecutor(6) as executor:
        latest = Latest(read, executor.submit, period=PATIENCE)
        assert latest.last() is None
        until(lambda: taken)
        looked = [executor.submit(latest.last, PATIENCE) for _ in range(5)]
        goes_on.set()
        assert {each.result() for each in looked} == {1}


def test_a_part_that_fails_is_made_again() -> None:
    parts = Made()

    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        parts.get(during=fail)
    assert parts.get() == "a 2"


@pytest.mark.parametrize(("calls", "period"), [(0, 10), (15, 15), (1000, 50)])
def test_a_reading_of_many_calls_is_taken_less_often(clients: Clients, calls: int, period: float) -> None:
    now, taken = [1000.0], [0]

    def read() -> int:
        calling(clients, calls)
        taken[0] += 1
        return taken[0]

    latest = Latest(read, lambda work: work(), period=10, a_call=1.0, old=100, now=lambda: now[0])
    assert latest.last() == 1
    now[0] += period - 0.5
    assert latest.last() == 1
    now[0] += 0.5
    assert latest.last() == 2
