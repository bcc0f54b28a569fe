"""What an agent receives: a batch of records of one shard, and how to complete it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Record:
    """One record as Kinesis keeps it.

    `arrived_at` is Kinesis's own approximate time, UTC and aware. `sequence_number` is unique and increasing within the
    shard; it is a string of up to 56 digits. `sub_sequence_number` is not 0 only inside a record that KPL aggregated.
    """

    data: bytes = field(repr=False)
    partition_key: str
    sequence_number: str
    arrived_at: datetime
    sub_sequence_number: int = 0


@dataclass(slots=True, eq=False)
class RecordBatch:
    """Consecutive records of one shard, in the shard's order; never empty.

    Delivered at least once: after a crash or a change of owner, records are redelivered, in other batches.
    """

    stream: str
    shard_id: str
    records: tuple[Record, ...] = field(repr=False)
    millis_behind_latest: int
    on_complete: Callable[[], None] = field(default=lambda: None, repr=False)
    _completed: bool = field(default=False, init=False)

    def complete(self) -> None:
        """Declare the effect of every record durable, so that the checkpoint may move past this batch.

        Idempotent, returns at once; call it on the event loop's thread. The checkpoint is written soon after, and
        only once every earlier batch of the shard is complete too. A batch that is never completed is redelivered after
        a restart.
        """
        if not self._completed:
            self._completed = True
            self.on_complete()

    @property
    def completed(self) -> bool:
        """Whether `complete` was called."""
        return self._completed
