from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from aws_client.call_pool import CallPool
from aws_client.retry import RetryPolicy
from faust_kinesis.errors import CheckpointRefusedError
from faust_kinesis.leases.table import AT_TIMESTAMP, LATEST, TRIM_HORIZON, Lease
from faust_kinesis.polling.shard_reader import ShardReader, first_unread, iterator_request

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lease", "delivered", "first", "expected"),
    [
        (Lease("0", TRIM_HORIZON), None, False, {"ShardIteratorType": "TRIM_HORIZON"}),
        (Lease("0", LATEST, start_at=MOMENT), None, True, {"ShardIteratorType": "LATEST"}),
        (Lease("0", LATEST, start_at=MOMENT), None, False, {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": MOMENT}),
        (Lease("0", LATEST), None, False, {"ShardIteratorType": "LATEST"}),
        (
            Lease("0", AT_TIMESTAMP, start_at=MOMENT),
            None,
            True,
            {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": MOMENT},
        ),
        (Lease("0", "7"), None, False, {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": "7"}),
        (Lease("0", LATEST), "9", False, {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": "9"}),
    ],
)
def test_where_to_go_on(lease: Lease, delivered: str | None, first: bool, expected: dict[str, Any]) -> None:
    assert iterator_request(lease, delivered, at_first_start=first) == expected


def refusal(code: str) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(answer, "Op")


class Kinesis:
    """Answers with what it was given, in turn: errors are raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.iterators: list[dict[str, Any]] = []

    def get_shard_iterator(self, **request: Any) -> dict[str, str]:
        self.iterators.append({k: v for k, v in request.items() if k not in {"StreamName", "ShardId"}})
        if isinstance(self.answers[0], ClientError) and self.answers[0].operation_name == "GetShardIterator":
            raise self.answers.pop(0)
        return {"ShardIterator": f"it-{len(self.iterators)}"}

    def get_records(self, **request: Any) -> dict[str, Any]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return cast("dict[str, Any]", answer)


def page(*numbers: str, last: bool = False) -> dict[str, Any]:
    records = [
        {"Data": b"d", "PartitionKey": "k", "SequenceNumber": n, "ApproximateArrivalTimestamp": MOMENT} for n in numbers
    ]
    answer = {"Records": records, "MillisBehindLatest": 5}
    return answer if last else answer | {"NextShardIterator": "next"}


@pytest.fixture
def calls() -> Iterator[CallPool]:
    made = CallPool(1, "test", policy=RetryPolicy(base=0))
    yield made
    made.close()


def reader_of(kinesis: Kinesis, calls: CallPool, lease: Lease, *, first: bool = False) -> ShardReader:
    return ShardReader(cast("Any", kinesis), calls, "s", lease, 10, at_first_start=first)


async def test_an_expired_iterator_goes_on_after_the_last_record(calls: CallPool) -> None:
    kinesis = Kinesis(page("1", "2"), refusal("ExpiredIteratorException"), page("3"))
    reader = reader_of(kinesis, calls, Lease("0", TRIM_HORIZON))
    numbers = [record.sequence_number for _ in range(2) for record in (await reader.next_page()).records]
    assert numbers == ["1", "2", "3"]
    assert kinesis.iterators[1] == {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": "2"}


async def test_latest_that_expires_before_the_first_record_skips_nothing(calls: CallPool) -> None:
    kinesis = Kinesis(page(), refusal("ExpiredIteratorException"), page("1"))
    reader = reader_of(kinesis, calls, Lease("0", LATEST, start_at=MOMENT), first=True)
    assert (await reader.next_page()).records == ()
    assert len((await reader.next_page()).records) == 1
    assert [it["ShardIteratorType"] for it in kinesis.iterators] == ["LATEST", "AT_TIMESTAMP"]


async def test_throttling_is_waited_out(calls: CallPool) -> None:
    throttles = [refusal("ProvisionedThroughputExceededException") for _ in range(5)]
    reader = reader_of(Kinesis(*throttles, page("1", last=True)), calls, Lease("0", TRIM_HORIZON))
    read = await reader.next_page()
    assert read.last
    assert read.millis_behind_latest == 5


async def test_a_checkpoint_of_another_stream_is_refused_with_advice(calls: CallPool) -> None:
    answer: Any = {"Error": {"Code": "InvalidArgumentException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    kinesis = Kinesis(ClientError(answer, "GetShardIterator"))
    with pytest.raises(CheckpointRefusedError, match="reset its leases"):
        await reader_of(kinesis, calls, Lease("0", "77")).next_page()


RECORD = {"Records": ["r"], "NextShardIterator": "on"}
EMPTY = {"Records": [], "NextShardIterator": "on"}
BEHIND = EMPTY | {"MillisBehindLatest": 5}
TIP = EMPTY | {"MillisBehindLatest": 0}
END: dict[str, Any] = {"Records": []}


@pytest.mark.parametrize(
    ("answers", "reads"),
    [([RECORD], 1), ([BEHIND, EMPTY, RECORD], 3), ([BEHIND, TIP, RECORD], 2), ([EMPTY, END], 2), ([BEHIND] * 9, 5)],
)
def test_the_first_unread_record_is_looked_for_up_to_the_tip(answers: list[dict[str, Any]], reads: int) -> None:
    left = iter(answers)
    assert first_unread(lambda _: next(left), "begin") == answers[reads - 1]
    assert len(list(left)) == len(answers) - reads


def test_nothing_is_read_of_a_shard_without_an_iterator() -> None:
    assert first_unread(lambda _: RECORD, None) is None
