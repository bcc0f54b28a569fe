import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from aws_client.call_pool import CallPool
from aws_client.retry import RetryPolicy
from faust_kinesis.errors import NotSentError, RequestRefusedError
from faust_kinesis.sending.ordered_writer import OrderedWriter
from faust_kinesis.sending.put_records import RefusalBackoff
from tests.support.waiting import eventually

Placed = tuple[str, str]
"""Shard id and sequence number."""
Verdict = Callable[[int, dict[str, Any]], str | None]
"""From the call's number and a record to the code it is refused with, or None."""


class Kinesis:
    """PutRecords in memory."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.calls: list[list[bytes]] = []
        self.put: list[tuple[str, bytes]] = []

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.calls.append([record["Data"] for record in Records])
        results: list[dict[str, Any]] = []
        for record in Records:
            if code := self.verdict(len(self.calls), record):
                results.append({"ErrorCode": code, "ErrorMessage": "m"})
            else:
                self.put.append((record["PartitionKey"], record["Data"]))
                results.append({"ShardId": "shardId-000000000003", "SequenceNumber": str(len(self.put))})
        return {"Records": results, "FailedRecordCount": sum("ErrorCode" in result for result in results)}


@pytest.fixture
async def writers() -> AsyncIterator[Callable[[Kinesis], OrderedWriter[Placed]]]:
    calls = CallPool(1, "test")
    made: list[OrderedWriter[Placed]] = []

    def make(kinesis: Kinesis) -> OrderedWriter[Placed]:
        at_once = RefusalBackoff(RetryPolicy(base=0))
        made.append(
            OrderedWriter("s", cast("Any", kinesis), calls, 0.0, answer=lambda *placed: placed, backoff=at_once)
        )
        return made[-1]

    yield make
    for writer in made:
        await writer.stop()
    calls.close()


async def test_only_what_was_refused_goes_again_and_no_key_is_reordered(
    writers: Callable[[Kinesis], OrderedWriter[Placed]],
) -> None:
    kinesis = Kinesis(
        lambda call, record: "ProvisionedThroughputExceededException" if record["Data"] == b"a1" and call < 4 else None
    )
    writer = writers(kinesis)
    sent = [await writer.add(key, f"{key}{number}".encode()) for number in (1, 2, 3) for key in "ab"]
    answers = await asyncio.gather(*sent)
    assert [data for key, data in kinesis.put if key == "a"] == [b"a1", b"a2", b"a3"]
    assert [data for key, data in kinesis.put if key == "b"] == [b"b1", b"b2", b"b3"]
    assert len(kinesis.put) == 6
    assert {shard for shard, _ in answers} == {"shardId-000000000003"}


async def test_a_permanent_refusal_is_reported_and_the_next_records_go_on(
    writers: Callable[[Kinesis], OrderedWriter[Placed]],
) -> None:
    def verdict(call: int, record: dict[str, Any]) -> str | None:
        if record["Data"] == b"bad":
            answer: Any = {"Error": {"Code": "InvalidArgumentException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
            raise ClientError(answer, "PutRecords")
        return None

    kinesis = Kinesis(verdict)
    writer = writers(kinesis)
    bad = await writer.add("k", b"bad")
    good = await writer.add("k", b"good")
    with pytest.raises(RequestRefusedError, match="stream s"):
        await bad
    assert (await good)[1] == "1"


async def test_flush_waits_for_all(writers: Callable[[Kinesis], OrderedWriter[Placed]]) -> None:
    kinesis = Kinesis(lambda call, record: None)
    writer = writers(kinesis)
    sent = [await writer.add("k", str(number).encode()) for number in range(20)]
    await writer.flush()
    assert all(future.done() for future in sent)
    assert len(kinesis.calls) == 20  # one record of a key in a call


async def test_what_was_not_put_at_a_stop_says_so(writers: Callable[[Kinesis], OrderedWriter[Placed]]) -> None:
    kinesis = Kinesis(lambda call, record: "InternalFailure")
    writer = writers(kinesis)
    sent = await writer.add("k", b"x")
    await eventually(lambda: len(kinesis.calls) > 0)
    await writer.stop()
    with pytest.raises(NotSentError):
        await sent
