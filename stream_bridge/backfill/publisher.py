"""Change records put on the stream by ourselves, in full calls."""

import random
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from aws_client.retry import delay, should_log
from faust_kinesis.sending.put_queue import COMMON_RECORD, MAX_BYTES, MAX_RECORDS
from ledger.errors import ThrottledError
from ledger.runtime.aws import aws_errors
from ledger.store.change_record import encode
from ledger.store.stored_event import StoredEvent

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

log = structlog.get_logger(__name__)

#: Rounds in which a call's refused records are put again before the whole is given up as throttled.
_ROUNDS: Final = 20


@dataclass(frozen=True, slots=True)
class _Put:
    key: str
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data) + len(self.key.encode())


class Publisher:
    """Puts events on the stream as the change records that DynamoDB would put. Safe to share between threads.

    Delivery: at least once, and in no order: the projector orders by sequence number. An account's records go to one
    shard, by partition key.
    """

    def __init__(self, kinesis: "KinesisClient", stream: str, table: str, region: str, stop: threading.Event) -> None:
        """``table``: the events table, which the records name. ``stop`` ends the waiting between two rounds."""
        self._kinesis = kinesis
        self._stream = stream
        self._table = table
        self._region = region
        self._stop = stop
        self._rng = random.Random()  # noqa: S311 - jitter, no secret

    def put(self, events: Iterable[StoredEvent]) -> list[StoredEvent]:
        """Put a record for each event; returns when Kinesis has them.

        Gives back the events that no stream takes, because their record is over 1 MiB (the limit that every stream
        has): the projector reads them from the event store when it meets the gap.

        Raises ThrottledError when Kinesis refuses records for longer than a minute or ``stop`` is set meanwhile,
        EndpointError or ResourceError. Some records are on the stream then; putting all again is harmless.
        """
        too_large: list[StoredEvent] = []
        for call in self._calls(events, too_large):
            self._put_call(call)
        return too_large

    def _calls(self, events: Iterable[StoredEvent], too_large: list[StoredEvent]) -> Iterator[list[_Put]]:
        call: list[_Put] = []
        size = 0
        for event in events:
            put = _Put(event.aggregate_id, encode(event, self._table, self._region))
            if put.size > COMMON_RECORD:
                log.warning(
                    "record_too_large",
                    account=event.aggregate_id,
                    sequence_number=event.sequence_number,
                    action="none: the projector reads it from the event store at the account's next event",
                )
                too_large.append(event)
                continue
            if call and (len(call) == MAX_RECORDS or size + put.size > MAX_BYTES):
                yield call
                call, size = [], 0
            call.append(put)
            size += put.size
        if call:
            yield call

    def _put_call(self, waiting: list[_Put]) -> None:
        code = ""
        for attempt in range(1, _ROUNDS + 1):
            with aws_errors(f"putting {len(waiting)} records on stream {self._stream}"):
                answer = self._kinesis.put_records(
                    StreamName=self._stream, Records=[{"PartitionKey": put.key, "Data": put.data} for put in waiting]
                )
            refused = [
                (put, result["ErrorCode"])
                for put, result in zip(waiting, answer["Records"], strict=True)
                if result.get("ErrorCode")
            ]
            if not refused:
                return
            waiting, code = [put for put, _ in refused], refused[0][1]
            if should_log(attempt):
                log.warning("records_refused", stream=self._stream, records=len(waiting), code=code, action="put again")
            if self._stop.wait(delay(attempt, self._rng.random(), maximum=5.0)):
                break
        raise ThrottledError(
            f"stream {self._stream} refuses {len(waiting)} records ({code}): slow down with --rate, or give it more "
            f"shards with `kinfold bridge scale`"
        )
