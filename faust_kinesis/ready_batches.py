"""Batches that a source has read and nobody has taken yet, and the failure that ends them."""

from __future__ import annotations

import asyncio
from collections import deque

from faust_kinesis.errors import FaustKinesisError
from faust_kinesis.records import RecordBatch


class ReadyBatches:
    """The waiting half of `ShardSource.next_batch`, for one reader. Every method is called on one event loop."""

    def __init__(self) -> None:
        self.failure: FaustKinesisError | None = None
        self._batches: deque[tuple[object, RecordBatch]] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    def add(self, batch: RecordBatch, owner: object) -> None:
        """Add a batch behind the others; `owner` is who may withdraw it."""
        self._batches.append((owner, batch))
        self._changed.set()

    def withdraw(self, owner: object) -> None:
        """Remove the owner's batches that nobody has taken."""
        self._batches = deque(entry for entry in self._batches if entry[0] != owner)

    def close(self) -> None:
        """Hand out nothing more."""
        self._closed = True

    def fail(self, error: FaustKinesisError) -> None:
        """Close, and let the reader meet the error; the first one stays."""
        self.failure = self.failure or error
        self.close()
        self._changed.set()

    async def next(self, timeout: float) -> RecordBatch | None:  # noqa: ASYNC109 - a poll, not a deadline
        """See `ShardSource.next_batch`."""
        # Closed, it waits as well: a reader that is told "nothing" at once asks again, and nothing else runs.
        if self.failure is None and (self._closed or not self._batches):
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), timeout)
            except TimeoutError:
                return None
        if self.failure is not None:
            raise self.failure
        return self._batches.popleft()[1] if self._batches and not self._closed else None
