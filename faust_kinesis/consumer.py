"""Faust's consumer, over a `ShardSource`.

**One Faust partition for the whole stream.** Faust gives all partitions of a topic to the same queue of the same agent
anyway; the source keeps order and completion per shard. So a split or merge needs no rebalance, during which Faust
would stop the whole app and drop what is in its queues. Offsets are our own, dense from 1: Faust enumerates gaps.

**Faust's acks have no effect.** They only feed its monitor, and its commit moves no checkpoint: see
`RecordBatch.complete`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, cast

from faust.transport.consumer import Consumer as FaustConsumer
from faust.types import TP, ConsumerMessage
from typing_extensions import override

from faust_kinesis.agents import check_agents
from faust_kinesis.errors import ConfigurationError, FaustKinesisError
from faust_kinesis.records import RecordBatch
from faust_kinesis.source import ShardSource, SourceTransport

log = logging.getLogger(__name__)

_GENERATION = 1
"""Faust drops messages of an older generation of assignments. Ours never changes."""


class Consumer(FaustConsumer):
    """Delivers each batch to Faust as one message."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._assigned: set[TP] = set()
        self._offset = 0

    @override
    async def subscribe(self, topics: Iterable[str]) -> None:
        """Start reading the app's stream, once. Called by Faust when its agents are up.

        Crashes the worker with a ConfigurationError when there is more than one stream, when an agent does not fit, or
        when the options or the environment cannot work.
        """
        streams = set(topics)
        if not streams or self._assigned:
            return
        try:
            stream = self._check(streams)
            source = self._transport.open_source(stream)
        except ConfigurationError as error:
            await self.crash(error)
            return
        await source.start()
        self._assigned = {TP(stream, 0)}
        # Faust finishes an assignment only after this subscription, so that it cannot be awaited here.
        self.add_future(self._assign())

    @override
    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """The next batch, if one comes within `timeout` seconds.

        Faust's own version drops what it fetched while its flow was stopped, and fetches it again.
        """
        if not self.flow_active:
            await self.can_resume_flow.wait()
        source = self._source
        if source is None or self.should_stop:
            return
        try:
            batch = await source.next_batch(timeout)
        except FaustKinesisError as error:
            await self.crash(error)
            return
        if batch is not None:
            tp = TP(batch.stream, 0)
            self._offset += 1
            yield tp, self._to_message(tp, batch)

    @override
    async def wait_empty(self) -> None:
        """Stop reading, and wait until agents have completed their batches, at most `stop_timeout` seconds."""
        if self._source is not None:
            self._source.stop_fetching()
        limit = self._transport.options.stop_timeout
        try:
            await asyncio.wait_for(super().wait_empty(), limit)
        except TimeoutError:
            log.error(  # noqa: TRY400 - the timeout's traceback tells nothing
                "Agents were still busy after %.0f s; their batches come again",
                limit,
                extra={"action": "agents_not_drained"},
            )

    @override
    async def on_stop(self) -> None:
        """Wait for the agents, checkpoint what they completed, release the leases."""
        await super().on_stop()
        if self._source is not None:
            await self._source.stop()

    @override
    def assignment(self) -> set[TP]:
        """The stream's only partition, once subscribed."""
        return self._assigned

    @override
    def highwater(self, tp: TP) -> int:
        """The last offset handed out. The lag is in the source's status."""
        return self._offset

    @override
    def topic_partitions(self, topic: str) -> int | None:
        """One."""
        return 1

    @override
    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        """The only one."""
        return 0

    @override
    async def position(self, tp: TP) -> int | None:
        """The last offset handed out."""
        return self._offset

    @override
    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """Nothing can be reread by offset."""
        return {}

    @override
    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """The last offsets handed out."""
        return dict.fromkeys(partitions, self._offset)

    @override
    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Nothing to do: what was not completed is still with the agents, or is redelivered after a restart."""
        return {}

    @override
    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Nothing to do, as in `seek_to_committed`."""

    @override
    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        """Streams are created by whoever owns them, never by a reader."""

    @property
    def _transport(self) -> SourceTransport:
        return cast("SourceTransport", self.transport)

    @property
    def _source(self) -> ShardSource | None:
        return self._transport.source

    def _check(self, streams: set[str]) -> str:
        check_agents(self.app, streams)
        if len(streams) > 1:
            raise ConfigurationError(
                "one Faust app reads one stream, since a lease table keeps the shards of one; this app has agents for"
                f" {', '.join(sorted(streams))}"
            )
        return next(iter(streams))

    async def _assign(self) -> None:
        self.app.on_rebalance_start()
        self.app.consumer_generation_id = _GENERATION
        await self.on_partitions_assigned(self._assigned, _GENERATION)

    @override
    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return True

    @override
    async def _seek(self, partition: TP, offset: int) -> None:
        """Nothing to do, as in `seek_to_committed`."""

    @override
    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        raise NotImplementedError("getmany asks the source itself")

    @override
    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    @override
    def _to_message(self, tp: TP, record: RecordBatch) -> ConsumerMessage:
        return ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=self._offset,
            timestamp=record.records[-1].arrived_at.timestamp(),
            timestamp_type=1,
            headers={},
            key=None,
            value=cast("bytes", record),  # decoded by BatchSchema, which passes it on
            checksum=None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )
