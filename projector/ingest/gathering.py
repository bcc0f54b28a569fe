"""Which batches are handled together: the more of an aggregate's events are applied at once, the fewer gaps and writes.

The native destination scatters an aggregate over all shards, so an event of one shard's batch often lacks those of
another's. A worker that polls reads all of its shards at the same moments; their answers come one after the other.
"""

import asyncio
from typing import Any, Final

from faust_kinesis.records import RecordBatch

#: Records after which no further batch is collected.
MAX_TOGETHER: Final = 32_000
#: Seconds after which no further batch of the same moment is waited for. GetRecords takes some ten milliseconds.
SAME_MOMENT: Final = 0.015


class Gathering:
    """Collects batches until those that came together are all there. For one reader."""

    def __init__(self, *, same_moment: bool) -> None:
        """``same_moment``: whether all shards are read at the same moments, so that waiting a little gathers more."""
        self._same_moment = same_moment
        self._shards: set[str] = set()
        self._together: list[RecordBatch] = []

    async def add(self, batch: RecordBatch, waiting: "asyncio.Queue[Any]") -> list[RecordBatch]:
        """Add a batch, behind which others may be ``waiting``. Returns what is to be handled; none while more comes.

        At the end of the stream the batches of one moment are waited for, where there were several shards so far. While
        a worker is behind, its batches are long, and time counts.
        """
        self._together.append(batch)
        self._shards.add(batch.shard_id)
        if sum(len(each.records) for each in self._together) < MAX_TOGETHER:
            if waiting.empty() and self._same_moment and len(self._shards) > 1 and batch.millis_behind_latest == 0:
                await asyncio.sleep(SAME_MOMENT)
            if not waiting.empty():
                return []
        together, self._together = self._together, []
        return together
