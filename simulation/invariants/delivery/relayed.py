"""The relay's checkpoints: none passes a change of the events table that is not on the stream."""

from __future__ import annotations

from collections.abc import Callable

from simulation.aws.streams.kinesis import Stream
from simulation.aws.streams.shard_log import Shard
from simulation.aws.streams.table_stream import TableStream
from simulation.aws.tables.table import Key, Table
from simulation.aws.tables.values import Item
from simulation.invariants.history import Violated
from simulation.invariants.records import event_of


class Relayed:
    """Follows the relay's table. Any bridge may have put an event on the stream; only that it is there counts."""

    def __init__(self, stream: Stream, source: Callable[[], TableStream | None], violated: Violated) -> None:
        """``source``: the events table's own stream."""
        self._violated = violated
        self._source = source
        self._shown: set[tuple[str, int]] = set()
        stream.listeners.append(self._arrived)

    def go_back(self) -> None:
        """Events were lost: others take their numbers."""
        self._shown.clear()

    def _arrived(self, _: Shard, __: str, data: bytes) -> None:
        event = event_of(data)
        if event is not None:
            self._shown.add(event)

    def changed(self, _: Table, key: Key, before: Item | None, after: Item | None) -> None:
        """A write to the relay's table."""
        source, shard_id = self._source(), key[0].partition("/")[2]
        if source is None or after is None or before is None or before["checkpoint"] == after["checkpoint"]:
            return
        checkpoint, shard = after["checkpoint"]["S"], source.log.shards.get(shard_id)
        if shard is None:
            return
        reached = shard.numbers[-1:] if checkpoint == "SHARD_END" else [int(checkpoint)]
        for number, record in zip(shard.numbers, shard.records, strict=True):
            keys = record["dynamodb"]["Keys"]
            event = keys["aggregateId"]["S"], int(keys["sequenceNumber"]["N"])
            if number <= max(reached) and record["eventName"] == "INSERT" and event not in self._shown:
                self._violated(
                    "the relay's checkpoint never passes what is not put",
                    f"{shard_id} at {checkpoint}: event {event[1]} of {event[0]}",
                )
