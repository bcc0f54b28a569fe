"""BatchGetItem to its end: nothing twice, nothing left out, and a pause whenever keys were left."""

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from aws_client.batch_reads import BatchRead
from aws_client.failures import Failure, classify
from ledger.errors import ThrottledError
from ledger.runtime.aws import aws_errors, retrying
from ledger.store.parallel_scan import RetryUntilStopped


class Table:
    """BatchGetItem in memory; `takes` says how many keys of a call are processed."""

    def __init__(self, takes: Callable[[int], int]) -> None:
        self.calls: list[list[int]] = []
        self.requests: list[dict[str, Any]] = []
        self._takes = takes

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        (request,) = RequestItems.values()
        keys = request["Keys"]
        self.calls.append(keys)
        self.requests.append(request)
        done = self._takes(len(self.calls))
        # An odd key has no row.
        rows = [key for key in keys[:done] if key % 2 == 0]
        left = {"t": {**request, "Keys": keys[done:]}} if keys[done:] else {}
        return {"Responses": {"t": rows} if rows else {}, "UnprocessedKeys": left}


def read_of(table: Table, keys: int) -> Callable[[], Any]:
    return BatchRead(cast("Any", table), "t", list(range(keys)), ConsistentRead=True)


@given(st.integers(0, 30), st.lists(st.integers(0, 10), min_size=1))
def test_each_key_is_read_once_however_many_are_left(keys: int, taken: list[int]) -> None:
    table = Table(lambda call: taken[call - 1] if call <= len(taken) else 30)
    read = read_of(table, keys)
    failures: list[Exception] = []
    found: Any = None
    while found is None:
        try:
            found = read()
        except ClientError as error:
            failures.append(error)
    assert found == list(range(0, keys, 2)) == read()
    assert {classify(error) for error in failures} <= {Failure.THROTTLED}
    assert sum(len(call) for call in table.calls) <= keys * (len(taken) + 1)
    assert all(request["ConsistentRead"] for request in table.requests)


def test_a_caller_waits_between_calls_and_gives_up_when_its_time_is_over() -> None:
    table, retry = Table(lambda call: 1), retrying(60)
    slept: list[float] = []
    retry.sleep = slept.append
    read = read_of(table, 4)

    def attempt() -> Any:
        with aws_errors("reading"):
            return read()

    assert retry(attempt) == [0, 2]
    assert len(slept) == len(table.calls) - 1 == 3
    stuck = read_of(Table(lambda call: 0), 4)
    with pytest.raises(ThrottledError, match="4 keys were left unprocessed"), aws_errors("reading"):
        retrying(0)(stuck)


def test_a_job_waits_between_calls_until_it_is_stopped() -> None:
    class Stop(threading.Event):
        """Set after three waits, which take no time."""

        waits = 0

        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            self.waits += 1
            if self.waits == 3:
                self.set()
            return self.is_set()

    table, stop, reports = Table(lambda call: 0), Stop(), list[str]()
    read = read_of(table, 4)

    def attempt() -> Any:
        with aws_errors("reading"):
            return read()

    with pytest.raises(ThrottledError):
        RetryUntilStopped(stop, reports.append)(attempt)
    assert (stop.waits, len(table.calls), len(reports)) == (3, 4, 3)


def test_other_failures_come_as_they_are() -> None:
    class Broken(Table):
        def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
            raise ClientError({"Error": {"Code": "ValidationException"}}, "BatchGetItem")

    with pytest.raises(ClientError, match="ValidationException"):
        read_of(Broken(lambda call: 0), 1)()
