"""What the emulators never show of a DynamoDB Stream, by a scripted client: trimming, expiry, many shards, ends."""

from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from aws_client.call_pool import CallPool
from faust_kinesis.leases.topology import Shard
from ledger.errors import ResourceError
from stream_bridge.dynamodb_stream import StreamDescription, TableStream

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000"
SHARD = "shardId-00000000000000000000-aaaaaaaa"


def refusal(code: str, http_status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": http_status}}
    return ClientError(answer, "Op")


def record(number: int) -> dict[str, Any]:
    return {"dynamodb": {"SequenceNumber": str(number)}}


class Aws:
    """A table and its stream. ``script``: what the next GetRecords calls answer, errors among them."""

    def __init__(self, *script: Any, pages: list[list[dict[str, Any]]] | None = None) -> None:
        self.script = list(script)
        self.pages = pages or [[{"ShardId": SHARD, "SequenceNumberRange": {}}]]
        self.status = "ENABLED"
        self.arn: str | None = ARN
        self.iterators: list[tuple[str, str | None]] = []

    def describe_table(self, TableName: str) -> Any:  # noqa: N803
        return {"Table": {"LatestStreamArn": self.arn} if self.arn else {}}

    def describe_stream(self, StreamArn: str, ExclusiveStartShardId: str = "") -> Any:  # noqa: N803
        page = int(ExclusiveStartShardId or -1) + 1
        found = {"StreamLabel": StreamArn[-23:], "StreamStatus": self.status, "Shards": self.pages[page]}
        return {"StreamDescription": found | ({"LastEvaluatedShardId": str(page)} if self.pages[page + 1 :] else {})}

    def get_shard_iterator(self, ShardIteratorType: str, SequenceNumber: str | None = None, **_: Any) -> Any:  # noqa: N803
        self.iterators.append((ShardIteratorType, SequenceNumber))
        return {"ShardIterator": "i"}

    def get_records(self, ShardIterator: str, Limit: int) -> Any:  # noqa: N803
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


Open = Callable[[Aws], TableStream]


@pytest.fixture
async def stream() -> AsyncIterator[Open]:
    calls = CallPool(1, "test")
    yield lambda aws: TableStream(cast("Any", aws), cast("Any", aws), "t", calls)
    calls.close()


def page(*numbers: int, last: bool = False) -> dict[str, Any]:
    return {"Records": [record(number) for number in numbers]} | ({} if last else {"NextShardIterator": "n"})


async def test_every_page_of_shards_is_listed_with_their_descent(stream: Open) -> None:
    closed = {"ShardId": "a", "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "2"}}
    child = {"ShardId": "b", "ParentShardId": "a", "SequenceNumberRange": {"StartingSequenceNumber": "3"}}
    found = await stream(Aws(pages=[[closed], [child]])).describe()
    assert found.shards == {"a": Shard("a", is_open=False), "b": Shard("b", frozenset("a"))}
    assert (found.label, found.enabled) == (ARN[-23:], True)


async def test_a_stream_that_is_switched_off_has_no_open_shard(stream: Open) -> None:
    aws = Aws()
    aws.status = "DISABLED"
    found = await stream(aws).describe()
    assert (found.enabled, found.shards[SHARD].is_open) == (False, False)


async def test_a_table_without_a_stream_says_what_makes_one(stream: Open) -> None:
    aws = Aws()
    aws.arn = None
    with pytest.raises(ResourceError, match="has no stream"):
        await stream(aws).describe()


async def read(stream: TableStream, checkpoint: str, pages: int) -> list[tuple[list[int], bool, bool]]:
    reader = stream.reader(StreamDescription(ARN, "l", "ENABLED", {}), SHARD, checkpoint)
    found = [await reader.next_page() for _ in range(pages)]
    return [([int(r["dynamodb"]["SequenceNumber"]) for r in each.records], each.last, each.lost) for each in found]


async def test_it_begins_after_the_checkpoint_and_ends_with_the_shard(stream: Open) -> None:
    aws = Aws(page(4, 5), page(), page(6, last=True))
    assert await read(stream(aws), "3", 3) == [([4, 5], False, False), ([], False, False), ([6], True, False)]
    assert aws.iterators == [("AFTER_SEQUENCE_NUMBER", "3")]


async def test_an_expired_iterator_is_replaced_after_the_last_record(stream: Open) -> None:
    aws = Aws(page(4), refusal("ExpiredIteratorException"), page(5))
    assert await read(stream(aws), "TRIM_HORIZON", 2) == [([4], False, False), ([5], False, False)]
    assert aws.iterators == [("TRIM_HORIZON", None), ("AFTER_SEQUENCE_NUMBER", "4")]


async def test_an_expired_latest_that_read_nothing_yet_may_have_lost_something(stream: Open) -> None:
    aws = Aws(refusal("ExpiredIteratorException"), page(5))
    assert await read(stream(aws), "LATEST", 1) == [([5], False, True)]


async def test_trimmed_records_are_reported_once_and_what_is_left_is_read(stream: Open) -> None:
    aws = Aws(refusal("TrimmedDataAccessException"), page(9), page(10))
    assert await read(stream(aws), "3", 2) == [([9], False, True), ([10], False, False)]
    assert aws.iterators == [("AFTER_SEQUENCE_NUMBER", "3"), ("TRIM_HORIZON", None)]


async def test_throttling_is_sat_out(stream: Open) -> None:
    aws = Aws(refusal("LimitExceededException"), refusal("InternalServerError", 500), page(4))
    assert await read(stream(aws), "3", 1) == [([4], False, False)]


async def test_a_shard_that_is_gone_is_lost_and_over(stream: Open) -> None:
    aws = Aws(refusal("ResourceNotFoundException"), pages=[[]])
    assert await read(stream(aws), "3", 1) == [([], True, True)]


async def test_a_stream_that_was_replaced_is_an_error(stream: Open) -> None:
    aws = Aws(refusal("ResourceNotFoundException"))
    aws.arn = ARN.replace("2026", "2027")
    with pytest.raises(ResourceError, match="replaced by another"):
        await read(stream(aws), "3", 1)


async def test_a_refusal_that_no_retry_mends_is_an_error(stream: Open) -> None:
    with pytest.raises(ResourceError, match="AccessDenied"):
        await read(stream(Aws(refusal("AccessDeniedException"))), "3", 1)
