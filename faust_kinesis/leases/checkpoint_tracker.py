"""The checkpoint of a shard: the longest completed prefix of its batches."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SHARD_END = "SHARD_END"


@dataclass(slots=True, eq=False)
class _Open:
    last_sequence_number: str
    done: bool = False


class CheckpointTracker:
    """The batches of one shard in flight, oldest first, and the checkpoint they allow."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: deque[_Open] = deque()
        self._checkpoint: str | None = None
        self._closed = False

    def add(self, last_sequence_number: str) -> _Open:
        """Add a batch as delivered, after all earlier ones. Pass the result to `complete`."""
        batch = _Open(last_sequence_number)
        self._open.append(batch)
        return batch

    def complete(self, batch: _Open) -> bool:
        """Mark the batch as completed; True when the checkpoint moved."""
        batch.done = True
        moved = False
        while self._open and self._open[0].done:
            self._checkpoint = self._open.popleft().last_sequence_number
            moved = True
        return moved

    def close(self) -> None:
        """The shard has no more records than those added so far."""
        self._closed = True

    @property
    def checkpoint(self) -> str | None:
        """What may be checkpointed now: None before the first completion, SHARD_END once a closed shard is complete."""
        return SHARD_END if self._closed and not self._open else self._checkpoint

    @property
    def pending(self) -> int:
        """Batches delivered and not part of the completed prefix."""
        return len(self._open)

    @property
    def has_room(self) -> bool:
        """Whether another batch may be read."""
        return len(self._open) < self._limit
