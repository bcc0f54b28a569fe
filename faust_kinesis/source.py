"""The ShardSource protocol: where batches come from and completions go; and who opens one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from faust_kinesis.errors import FaustKinesisError
from faust_kinesis.options import KinesisOptions
from faust_kinesis.records import RecordBatch

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """A shard as this worker last saw it.

    `last_polled_at` is UTC: when this worker last read the shard, or began to while it never could; None where it does
    not. `millis_behind_latest` is None until it was read.

    `owner` is None where nobody reads the shard: its lease has none, or one that has not renewed it for the failover
    time. `lease_counter` rises with every renewal and checkpoint. `parents`, known of shards that this worker does not
    read, are read to their end first.
    """

    shard_id: str
    owner: str | None
    checkpoint: str
    millis_behind_latest: int | None
    last_polled_at: datetime | None
    pending_batches: int
    ended: bool
    lease_counter: int = 0
    parents: frozenset[str] = frozenset()


class SourceTransport(Protocol):
    """What Faust's consumer and producer here need of the transport that made them."""

    source: ShardSource | None

    @property
    def options(self) -> KinesisOptions:
        """The options in force. Raises ConfigurationError: they cannot work."""

    @property
    def kinesis(self) -> KinesisClient:
        """The Kinesis client. Raises ConfigurationError: none can be made."""

    def open_source(self, stream: str) -> ShardSource:
        """Make the source of the stream that the app reads, and keep it as `source`."""


class ShardSource(Protocol):
    """Batches of one stream's shards, checkpointed when they are completed.

    What holds for every source:

    - Each record is delivered **at least once** from the shard's starting position on, unless Kinesis trimmed it.
    - Within a shard, records come in the shard's order; redelivery starts over from a checkpoint, in order.
    - A shard starts only when its parents were read to their end and that end is checkpointed, or are gone.
    - A checkpoint names the last record of the longest **completed prefix** of the shard's batches, never more.
    - At most `buffer_batches` batches of a shard are queued or delivered and not completed.

    Every method is called on one event loop.
    """

    async def start(self) -> None:
        """Begin in the background and return at once.

        Waits for an endpoint or stream that is not there yet, and logs it.
        """

    async def next_batch(self, timeout: float) -> RecordBatch | None:  # noqa: ASYNC109 - a poll, not a deadline
        """The next batch of any shard, or None after `timeout` seconds without one.

        A batch is handed out once, and neither a timeout nor a cancellation of this call loses one.

        Raises FaustKinesisError: the source has failed for good; it is the same error as `failure`.
        """

    def stop_fetching(self) -> None:
        """Stop reading. Batches in flight may still be completed; queued ones are not handed out."""

    async def stop(self) -> None:
        """Checkpoint every completed prefix, release the leases, and end. Does not wait for batches in flight.

        Batches not completed by now are redelivered to the lease's next owner. Idempotent. Returns within
        `stop_timeout` even when the endpoint does not answer; then the leases expire instead.
        """

    async def abort(self) -> None:
        """End at once, as if the process had died: no lease is released, and nothing more is checkpointed.

        A write that is already on its way may still arrive. Idempotent.
        """

    def status(self) -> list[ShardStatus]:
        """All shards known, from memory. Cheap, never blocks, may be called from any thread."""

    @property
    def failure(self) -> FaustKinesisError | None:
        """Why the source ended by itself, or None. From any thread."""
