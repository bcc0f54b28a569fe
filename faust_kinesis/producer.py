"""Faust's producer, over PutRecords."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Any, cast
from uuid import uuid4

from faust.transport.producer import Producer as FaustProducer
from faust.types import TP, HeadersArg, RecordMetadata
from typing_extensions import override

from aws_client.call_pool import CallPool
from faust_kinesis.errors import RecordRefusedError
from faust_kinesis.sending.ordered_writer import OrderedWriter
from faust_kinesis.sending.put_records import MAX_RECORD
from faust_kinesis.source import SourceTransport

_MAX_KEY = 256
_PUT_THREADS = 4


class Producer(FaustProducer):
    """Sends to any number of streams, each through an `OrderedWriter` of its own."""

    def __post_init__(self) -> None:
        """Faust calls it at the end of the construction."""
        self._writers: dict[str, OrderedWriter[RecordMetadata]] = {}
        self._calls: CallPool | None = None

    @override
    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: HeadersArg | None,
        *,
        transactional_id: str | None = None,
    ) -> Awaitable[RecordMetadata]:
        """Queue a record for the stream `topic`; waits only while the queue is full.

        The key is the partition key; without one, the record goes to any shard. Records of one key keep their order.
        `timestamp` is ignored: Kinesis stamps records itself. The awaitable is that of `OrderedWriter.add`.

        Raises RecordRefusedError: Kinesis can never accept the record.
        """
        data = value or b""
        partition_key = _partition_key(key)
        if headers:
            raise RecordRefusedError(f"a record to stream {topic} has headers, and Kinesis has none: {sorted(headers)}")
        if partition is not None:
            raise RecordRefusedError(
                f"a record to stream {topic} names a partition; Kinesis chooses the shard by the key"
            )
        if len(data) + len(partition_key.encode()) > MAX_RECORD:
            raise RecordRefusedError(f"a record of {len(data)} bytes to stream {topic} is over {MAX_RECORD} bytes")
        return await self._writer(topic).add(partition_key, data)

    @override
    async def send_and_wait(self, *args: Any, **kwargs: Any) -> RecordMetadata:
        """Put a record, given as to `send`, and wait until Kinesis has it. Raises as `send` and its awaitable do."""
        return await (await self.send(*args, **kwargs))

    @override
    async def flush(self) -> None:
        """Wait until all that was sent is put or has failed; while the app stops, at most `stop_timeout` seconds."""
        limit = self._transport.options.stop_timeout if self.app.should_stop else None
        try:
            async with asyncio.timeout(limit):
                if self.state == "running":
                    await self.buffer.flush()
                await asyncio.gather(*(writer.flush() for writer in self._writers.values()))
        except TimeoutError:
            return  # the writers log, when they stop, what they could not put

    @override
    async def on_stop(self) -> None:
        """Put what is still queued, within `stop_timeout` seconds, and end."""
        await self.flush()
        writers, self._writers = list(self._writers.values()), {}
        await asyncio.gather(*(writer.stop() for writer in writers))
        if self._calls is not None:
            self._calls.close()
            self._calls = None
        await super().on_stop()

    @override
    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        """Streams are created by whoever owns them, never by a sender."""

    @override
    def key_partition(self, topic: str, key: bytes) -> TP:
        """One partition stands for the whole stream, as the consumer sees it."""
        return TP(topic, 0)

    @property
    def _transport(self) -> SourceTransport:
        return cast("SourceTransport", self.transport)

    def _writer(self, stream: str) -> OrderedWriter[RecordMetadata]:
        if self._calls is None:
            self._calls = CallPool(_PUT_THREADS, "put")
        if stream not in self._writers:
            linger = self.linger_ms / 1000
            self._writers[stream] = OrderedWriter(
                stream, self._transport.kinesis, self._calls, linger, answer=partial(_metadata, stream)
            )
        return self._writers[stream]


def _metadata(stream: str, shard_id: str, sequence_number: str) -> RecordMetadata:
    # The shard's number stands for Kafka's partition, the sequence number for its offset.
    shard = int(shard_id.rpartition("-")[2])
    return RecordMetadata(stream, shard, TP(stream, shard), int(sequence_number))


def _partition_key(key: bytes | None) -> str:
    if key is None:
        return str(uuid4())
    try:
        partition_key = key.decode()
    except UnicodeDecodeError as error:
        raise RecordRefusedError("a partition key is text, and this key is not UTF-8") from error
    if not 1 <= len(partition_key) <= _MAX_KEY:
        raise RecordRefusedError(f"a partition key has 1 to {_MAX_KEY} characters, not {len(partition_key)}")
    return partition_key
