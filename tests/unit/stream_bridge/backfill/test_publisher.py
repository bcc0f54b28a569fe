"""Putting change records: full calls, partial failures, records that no stream takes."""

import threading
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_kinesis import KinesisClient

from ledger.errors import ThrottledError
from ledger.store.change_record import decode
from ledger.store.stored_event import StoredEvent
from stream_bridge.backfill.publisher import Publisher
from tests.support.accounts import stored_event
from tests.unit.ledger.runtime.test_rate_limiter import TimeLapse

TABLE = "domain-events-t"


class Stream:
    """Takes records as PutRecords does, and refuses those that ``refuses`` says, by call and place."""

    def __init__(self, refuses: Any = lambda call, place: False) -> None:
        self.calls: list[int] = []
        self.taken: list[StoredEvent] = []
        self._refuses = refuses

    def put_records(self, *, StreamName: str, Records: list[dict[str, Any]]) -> Any:  # noqa: N803
        assert len(Records) <= 500
        assert sum(len(each["Data"]) + len(each["PartitionKey"]) for each in Records) <= 5 * 1024 * 1024
        self.calls.append(len(Records))
        results: list[dict[str, str]] = []
        for place, record in enumerate(Records):
            if self._refuses(len(self.calls), place):
                results.append({"ErrorCode": "ProvisionedThroughputExceededException"})
                continue
            event = decode(record["Data"], TABLE)
            assert record["PartitionKey"] == event.aggregate_id
            self.taken.append(event)
            results.append({"SequenceNumber": "1", "ShardId": "shardId-0"})
        return {"Records": results}


def publisher(stream: Stream, stop: threading.Event | None = None) -> Publisher:
    return Publisher(cast(KinesisClient, stream), "s", TABLE, "us-east-1", stop or threading.Event())


def test_calls_are_full() -> None:
    stream = Stream()
    events = [stored_event(number=number) for number in range(1, 1201)]
    assert publisher(stream).put(events) == []
    assert stream.calls == [500, 500, 200]
    assert stream.taken == events


def test_a_call_holds_what_every_endpoint_takes() -> None:
    stream = Stream()
    events = [stored_event(number=number, payload="x" * 400_000) for number in range(1, 31)]
    assert publisher(stream).put(events) == []
    assert stream.taken == events
    assert len(stream.calls) == 3


@given(st.sets(st.tuples(st.integers(1, 3), st.integers(0, 20))))
def test_what_is_refused_is_put_again_and_nothing_else(refused: set[tuple[int, int]]) -> None:
    stream = Stream(lambda call, place: (call, place) in refused)
    events = [stored_event(number=number) for number in range(1, 21)]
    publisher(stream, TimeLapse()).put(events)
    assert sorted(stream.taken, key=lambda each: each.sequence_number) == events


def test_a_record_that_no_stream_takes_is_given_back_and_holds_up_no_other() -> None:
    stream = Stream()
    large = stored_event(number=2, payload="x" * 1024**2)
    assert publisher(stream).put([stored_event(number=1), large, stored_event(number=3)]) == [large]
    assert [each.sequence_number for each in stream.taken] == [1, 3]


def test_a_stream_that_refuses_for_good_is_said_to_throttle() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(ThrottledError, match="refuses 1 records"):
        publisher(Stream(lambda call, place: True), stop).put([stored_event(number=1)])
