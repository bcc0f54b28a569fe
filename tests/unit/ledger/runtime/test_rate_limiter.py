"""A pace that is paid for afterwards, and reads of a table that keep to one."""

import threading

import pytest

from ledger.runtime.rate_limiter import RateLimiter, limit_reads
from tests.support.aws.answers import Answers


class TimeLapse(threading.Event):
    """Waits without waiting; ``waited`` are the seconds that it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    @property
    def now(self) -> float:
        return sum(self.waited)

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0)
        return False


def test_a_pace_is_paid_for_afterwards() -> None:
    stop = TimeLapse()
    pace = RateLimiter(10, stop, clock=lambda: stop.now)
    for _ in range(3):
        pace.take(5)
    assert stop.waited == pytest.approx([0, 0.5, 0.5])
    RateLimiter(None, stop, clock=lambda: stop.now).take(10**9)
    assert len(stop.waited) == 3


def test_reads_of_a_table_wait_for_the_units_of_those_before_them() -> None:
    stop, answers = TimeLapse(), Answers("dynamodb")
    answers.body = b'{"Items":[],"ConsumedCapacity":{"TableName":"events","CapacityUnits":5.0}}'
    limit_reads(answers.client, "events", RateLimiter(10, stop, clock=lambda: stop.now))
    for _ in range(2):
        answers.client.scan(TableName="events")
    answers.client.query(TableName="events", KeyConditionExpression="id = :id")
    assert b'"ReturnConsumedCapacity": "TOTAL"' in answers.sent[0]
    assert stop.waited == pytest.approx([0, 0.5, 0.5])
    answers.body = b'{"Items":[]}'
    answers.client.scan(TableName="others")
    assert b"ReturnConsumedCapacity" not in answers.sent[-1]
    assert len(stop.waited) == 3
