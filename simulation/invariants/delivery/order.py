"""What the relay promises of the stream: the first occurrences of an account's events are 1, 2, 3, ..."""

from __future__ import annotations

from collections import defaultdict

from simulation.aws.streams.kinesis import Stream
from simulation.aws.streams.shard_log import Shard
from simulation.invariants.history import Histories, Violated
from simulation.invariants.records import event_of


class RelayOrder:
    """Follows what reaches the stream, for as long as nobody but the relay puts events on it."""

    def __init__(self, histories: Histories, stream: Stream, violated: Violated) -> None:
        self._histories = histories
        self._violated = violated
        self._seen: defaultdict[str, int] = defaultdict(int)
        self.watching = True
        stream.listeners.append(self._arrived)

    def go_back(self) -> None:
        """Events were lost, or the table has a stream again. What is stored counts as seen.

        It may have been lost to the stream with the old table, or was stored while the new one had none.
        """
        self._seen.update({account: len(items) for account, items in self._histories.items.items()})

    def _arrived(self, shard: Shard, partition_key: str, data: bytes) -> None:
        event = event_of(data)
        if event is None or not self.watching:
            return
        if self._histories.was_lost(data):
            return
        account, number = event
        if number > self._seen[account] + 1:
            self._violated(
                "the relay keeps each account's order",
                f"{shard.shard_id}: event {number} of {account} came before event {self._seen[account] + 1}",
            )
        self._seen[account] = max(self._seen[account], number)
