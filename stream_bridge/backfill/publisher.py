"""Change records put on the stream by ourselves, in full calls."""

import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import structlog

from faust_kinesis.sending.put_records import COMMON_RECORD, OutgoingRecord, RefusalBackoff, entries, fits, outcome_of
from ledger.errors import ThrottledError
from ledger.runtime.aws import aws_errors
from ledger.store.change_record import encode
from ledger.store.stored_event import StoredEvent

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

log = structlog.get_logger(__name__)

#: Rounds in a row in which a stream takes nothing before it counts as throttled: more than a minute.
_MAX_ROUNDS: Final = 20


class Publisher:
    """Puts events on the stream as the change records that DynamoDB would put. Safe to share between threads.

    Delivery: at least once, and in no order: the projector orders by sequence number. An aggregate's records go to one
    shard, by partition key.
    """

    def __init__(self, kinesis: "KinesisClient", stream: str, table: str, region: str, stop: threading.Event) -> None:
        """``table``: the events table, which the records name. ``stop`` ends the waiting between two rounds."""
        self._kinesis = kinesis
        self._stream = stream
        self._table = table
        self._region = region
        self._stop = stop

    def put(self, events: Iterable[StoredEvent]) -> list[StoredEvent]:
        """Put a record for each event; returns when Kinesis has them.

        Gives back the events that no stream takes, because their record is over 1 MiB (the limit that every stream
        has): the projector reads them from the event store when it meets the gap.

        Raises ThrottledError when Kinesis takes nothing for longer than a minute or ``stop`` is set meanwhile,
        EndpointError or ResourceError. Some records are on the stream then; putting all again is harmless.
        """
        too_large: list[StoredEvent] = []
        for call in self._calls(events, too_large):
            self._put_call(call)
        return too_large

    def _calls(
        self, events: Iterable[StoredEvent], too_large: list[StoredEvent]
    ) -> Iterator[list[OutgoingRecord[StoredEvent]]]:
        call: list[OutgoingRecord[StoredEvent]] = []
        size = 0
        for event in events:
            record = OutgoingRecord(event.aggregate_id, encode(event, self._table, self._region), event)
            if record.size > COMMON_RECORD:
                log.warning(
                    "record_too_large",
                    aggregate=event.aggregate_id,
                    sequence_number=event.sequence_number,
                    action="none: the projector reads it from the event store at the aggregate's next event",
                )
                too_large.append(event)
                continue
            if not fits(record, len(call), size):
                yield call
                call, size = [], 0
            call.append(record)
            size += record.size
        if call:
            yield call

    def _put_call(self, waiting: list[OutgoingRecord[StoredEvent]]) -> None:
        backoff = RefusalBackoff()
        while waiting:
            with aws_errors(f"putting {len(waiting)} records on stream {self._stream}"):
                answer = self._kinesis.put_records(StreamName=self._stream, Records=entries(waiting))
            outcome = outcome_of(waiting, answer)
            waiting, pause = outcome.refused, backoff.after(outcome)
            if waiting and backoff.should_log:
                log.warning(
                    "records_refused", stream=self._stream, records=len(waiting), code=outcome.code, action="put again"
                )
            if waiting and (backoff.rounds_without_progress == _MAX_ROUNDS or self._stop.wait(pause)):
                raise ThrottledError(
                    f"stream {self._stream} refuses {len(waiting)} records ({outcome.code}): slow down with --rate, or "
                    f"give it more shards with `kinfold bridge scale`"
                )
