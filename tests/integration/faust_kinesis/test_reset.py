"""Leases set anew: everybody starts from another place, and only when nobody reads."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from faust_kinesis.errors import LeasesHeldError
from faust_kinesis.leases.reset import reset_leases
from faust_kinesis.leases.table import Lease
from faust_kinesis.options import StartingPosition
from faust_kinesis.polling.source import PollingSource
from tests.support.aws.stream import Stream
from tests.support.sources import sources, take, texts
from tests.support.waiting import eventually, next_second

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

pytestmark = pytest.mark.integration


async def test_leases_are_reset_only_when_nobody_has_them(
    stream: Stream, kinesis: "KinesisClient", dynamodb: "DynamoDBClient", application: str
) -> None:
    def reset(start: StartingPosition, *, even_if_held: bool = False) -> list[Lease]:
        return reset_leases(
            kinesis=kinesis,
            dynamodb=dynamodb,
            stream=stream.name,
            application=application,
            start=start,
            even_if_held=even_if_held,
        )

    stream.create(2)
    stream.put(*"abcdef")
    async with sources(PollingSource, stream.name, application, kinesis, dynamodb) as make_source:
        source = await make_source()
        last = {batch.shard_id: batch.records[-1].sequence_number for batch in await take(source, 6)}
        await eventually(lambda: all(shard.checkpoint == last.get(shard.shard_id) for shard in source.status()))
        with pytest.raises(LeasesHeldError, match="w1 has shardId"):
            await asyncio.to_thread(reset, "trim-horizon")
        await source.abort()
        assert len(await asyncio.to_thread(lambda: reset("trim-horizon", even_if_held=True))) == 2
        again = await make_source()
        assert sorted(texts(*await take(again, 6))) == list("abcdef")
        await again.stop()
        await next_second()
        moment = datetime.now(UTC)
        await next_second()
        stream.put(*"xyz")
        await asyncio.to_thread(reset, moment)
        from_moment = await make_source()  # whatever its own start says
        assert sorted(texts(*await take(from_moment, 3))) == list("xyz")
