"""What is stored reaches the stream, where somebody sees to it: the relay, or the watch."""

from __future__ import annotations

import json
from typing import Any

from simulation.aws.streams.kinesis import Stream
from simulation.aws.streams.shard_log import Shard
from simulation.invariants.history import Histories


class Arrivals:
    """Follows what is put on the stream."""

    def __init__(self, histories: Histories, stream: Stream) -> None:
        self._histories = histories
        self._arrived: set[tuple[str, int]] = set()
        stream.listeners.append(self._put)

    def go_back(self) -> None:
        """What the table holds by now reaches the stream no more: it came back by no change of a table."""
        self._arrived = {
            (account, number) for account, items in self._histories.items.items() for number in range(1, len(items) + 1)
        }

    def _put(self, _: Shard, __: str, data: bytes) -> None:
        """A record of any change will do: whoever reads it looks at the event."""
        try:
            record: Any = json.loads(data)
            keys = record["dynamodb"]["Keys"]
            if self._histories.was_lost(data):
                return
            self._arrived.add((keys["aggregateId"]["S"], int(keys["sequenceNumber"]["N"])))
        except (KeyError, TypeError, ValueError):
            return

    def missing(self) -> list[tuple[str, int]]:
        """Events that are stored and were never on the stream."""
        return [
            (account, number)
            for account, items in sorted(self._histories.items.items())
            for number in range(1, len(items) + 1)
            if (account, number) not in self._arrived
        ]
