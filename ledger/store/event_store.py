"""The event store: append under optimistic locking, and load, on one DynamoDB table.

Two invariants are kept here and nowhere else: the stored sequence numbers of an aggregate are 1..n, and an append is
stored whole or not at all.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import structlog

from aws_client.batch_reads import MAX_KEYS, BatchRead, chunks
from aws_client.fast.reads import items_as
from ledger.aggregates.events import Event
from ledger.errors import EndpointError
from ledger.runtime.aws import aws_errors, retrying
from ledger.store.errors import ConditionFailedError, CorruptHistoryError, VersionConflictError
from ledger.store.stored_event import AnyItem, EventItem, EventReference, StoredEvent
from ledger.store.transactions import CommandPut, Draft, EventWrite

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger(__name__)

#: No aggregate can have this id (ledger.aggregates.identifiers), so a read of it finds nothing: a cheap probe.
_NOBODY: Final = "-"


@dataclass(frozen=True, slots=True)
class ProvenVersion:
    """A version that this process has read from the table, or written to it.

    Events are never deleted, so what was once read stays true, of this table; a bare ``int`` is only a client's claim.
    Made by ``EventStore`` alone. ``event_hash``: of the event at that version, None where it was not read.
    ``table_id``: of the table, None where that was not known, and the proof is good for an append right after it.
    """

    aggregate_id: str
    number: int
    event_hash: str | None = field(default=None, compare=False)
    table_id: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class History:
    """Events of one aggregate in order, the version they reach, and the hash of the event that they follow, if any.

    After an append, ``write_units`` is what DynamoDB charged for it, 0 when the answer to the write was lost, and
    ``retries`` how often it was tried again.
    """

    events: list[StoredEvent]
    version: ProvenVersion
    follows: str | None = field(default=None, compare=False)
    write_units: float = field(default=0.0, compare=False)
    retries: int = field(default=0, compare=False)

    @property
    def whole(self) -> bool:
        """Whether these are all events there are."""
        return not self.events or self.events[0].sequence_number == 1

    def after(self, number: int) -> "History | None":
        """What follows the event ``number``, with its hash; None where that event is not one of these."""
        if not self.events or not self.events[0].sequence_number <= number <= self.version.number:
            return None
        at = number - self.events[0].sequence_number
        return History(self.events[at + 1 :], self.version, self.events[at].event_hash)


class EventStore:
    """Append-only histories in ``domain-events-{profile}``. Safe to share between threads."""

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        table: str,
        *,
        retry_seconds: float = 10.0,
        guard: Callable[[], object] = lambda: None,
        table_id: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``retry_seconds``: for how long a write is retried while it meets throttling or contention.

        ``guard`` is called before each append, and may refuse it. ``table_id`` gives the id of the table that there is
        now, None while nobody knows: without it, no proof may be kept.
        """
        self._dynamodb = dynamodb
        self._table = table
        self._retry_seconds = retry_seconds
        self._guard = guard
        self._table_id = table_id

    def append(
        self,
        aggregate_id: str,
        events: Sequence[Event],
        expected: ProvenVersion | int,
        *,
        aggregate_type: str,
        correlation_id: str,
        command: Callable[[Sequence[StoredEvent]], CommandPut] | None = None,
        now: datetime | None = None,
    ) -> History:
        """Store ``events`` as versions ``expected + 1`` and on: all of them or none.

        One event after a proven version is a conditional PutItem, one write unit a KB. Several events, or a claimed
        version above 0, are one TransactWriteItems, two write units a KB; the claim is proven by a ConditionCheck on
        the event at that version, without which a version ahead of the truth would punch a hole into the history.
        ``command`` makes, from the events as they will be stored, a record that is stored with them in one transaction.

        A write whose answer was lost, and which is tried again by the SDK or here, finds its own events stored and
        succeeds: a conflict is reported only for events that somebody else wrote.

        Returns the stored events and the version they prove. Raises VersionConflictError, CommandRecordedError,
        AppendTooLargeError, or what ``guard`` raises (nothing was written), ThrottledError or EndpointError. After
        these two the write may have succeeded, or succeed yet.
        """
        number = expected.number if isinstance(expected, ProvenVersion) else expected
        draft = Draft(aggregate_id, number, aggregate_type, now=now)
        stored = draft.add(events, correlation_id)
        if command is not None:
            draft.record(command(stored))
        return self.commit(draft, expected)

    def commit(self, draft: Draft, expected: ProvenVersion | int, *, retry_seconds: float | None = None) -> History:
        """Store what is drafted after the version ``expected``, like ``append``: all of it or nothing.

        ``retry_seconds`` in place of the store's own. Raises as ``append`` does; CommandRecordedError names the keys.
        """
        self._guard()
        aggregate_id, number, stored = draft.aggregate_id, draft.after, draft.events
        if isinstance(expected, ProvenVersion) and expected.aggregate_id != aggregate_id:
            raise ValueError(f"a proof of {expected.aggregate_id} proves nothing about {aggregate_id}")
        if number < 0 or not stored:
            raise ValueError(f"an append needs events and a version of 0 or more, got {len(stored)} at {number}")
        table_id = expected.table_id if isinstance(expected, ProvenVersion) else self._table_id()
        proven = number == 0 or (isinstance(expected, ProvenVersion) and (table_id is None or self.vouches(expected)))
        write = EventWrite(self._table, stored, None if proven else number, draft.commands)
        write.check_size()
        version = ProvenVersion(aggregate_id, stored[-1].sequence_number, stored[-1].event_hash, table_id)
        try:
            units, retries = self._write(write, self._retry_seconds if retry_seconds is None else retry_seconds)
        except ConditionFailedError as failed:
            if failed.resent and failed.conflicting == number:
                # Once somebody has made the claim true, an earlier request may still arrive and be carried out.
                raise EndpointError(
                    f"appending to {aggregate_id}: version {number} is claimed and not stored, and an earlier request "
                    "without an answer may still be carried out; read the version and ask again"
                ) from None
            if not (failed.resent and self._holds(stored)):
                actual = self.version(aggregate_id).number
                raise VersionConflictError(
                    aggregate_id, expected=number, actual=actual, conflicting=failed.conflicting
                ) from None
            log.info("append_recognised", aggregate=aggregate_id, version=version.number)
            return History(stored, version)
        return History(stored, version, write_units=units, retries=retries)

    def vouches(self, version: ProvenVersion) -> bool:
        """Whether a version that was proven a while ago still is: the table is known to be the same one."""
        return version.table_id is not None and version.table_id == self._table_id()

    def load(self, aggregate_id: str, *, after: int = 0, until: int | None = None) -> History:
        """Read the events ``after < sequence number <= until`` (default: all), strongly consistent, page by page.

        ``after`` is a claim: when nothing follows it, the version of the answer is what is stored up to it.

        Raises CorruptHistoryError when the events that are there do not follow one another without a hole, and
        ThrottledError or EndpointError.
        """
        table_id = self._table_id()
        # The event at ``after`` comes along: it proves the claim in the same request when nothing follows it.
        events = list(self.read(aggregate_id, after=max(after - 1, 0), until=until))
        if events:
            version = ProvenVersion(aggregate_id, events[-1].sequence_number, events[-1].event_hash, table_id)
            return History(events[1:], version, events[0].event_hash) if after else History(events, version)
        stored = self.version(aggregate_id).number if after else 0
        return History(events, ProvenVersion(aggregate_id, min(stored, after), table_id=table_id))

    def read(self, aggregate_id: str, *, after: int = 0, until: int | None = None) -> Iterator[StoredEvent]:
        """Like ``load``, an event at a time: memory holds one page (at most 1 MB) however long the history."""
        condition, values = (
            "aggregateId = :a AND sequenceNumber > :n",
            {":a": {"S": aggregate_id}, ":n": _number(after)},
        )
        if until is not None:
            condition = "aggregateId = :a AND sequenceNumber BETWEEN :n AND :u"
            values |= {":n": _number(after + 1), ":u": _number(until)}
            if until <= after:
                return
        expected = after + 1
        for item in self._query(condition, values):
            event = StoredEvent.from_item(item)
            _expect(event, expected)
            yield event
            expected += 1

    def newest(self, aggregate_id: str, *, until: int | None = None, limit: int) -> list[StoredEvent]:
        """Read at most ``limit`` events, the newest first, from sequence number ``until`` down (default: the last).

        Raises CorruptHistoryError, ThrottledError, EndpointError.
        """
        condition, values = "aggregateId = :a", {":a": {"S": aggregate_id}}
        if until is not None:
            condition, values = condition + " AND sequenceNumber <= :u", values | {":u": _number(until)}
        events: list[StoredEvent] = []
        # Without a limit, DynamoDB would read 1 MB for however few events.
        for item in islice(self._query(condition, values, ScanIndexForward=False, Limit=limit), limit):
            event = StoredEvent.from_item(item)
            if events:
                _expect(event, events[-1].sequence_number - 1)
            events.append(event)
        return events

    def tail(self, aggregate_id: str, *, limit: int) -> History:
        """Read the last ``limit`` events, or all of a shorter history, strongly consistent.

        Raises CorruptHistoryError, ThrottledError, EndpointError.
        """
        table_id = self._table_id()
        events = self.newest(aggregate_id, limit=limit)[::-1]
        if not events:
            return History(events, ProvenVersion(aggregate_id, 0, table_id=table_id))
        if len(events) < limit:
            _expect(events[0], 1)
        last = events[-1]
        return History(events, ProvenVersion(aggregate_id, last.sequence_number, last.event_hash, table_id))

    def holds(self, event: EventReference) -> bool:
        """Whether the event is stored, strongly consistent: not merely one at its number.

        Raises CorruptHistoryError, ThrottledError, EndpointError.
        """
        number = event.sequence_number
        return any(each.reference == event for each in self.read(event.aggregate_id, after=number - 1, until=number))

    def lost(self, events: Iterable[EventReference]) -> set[EventReference]:
        """Those of the events that are not stored, strongly consistent. Raises ThrottledError, EndpointError."""
        asked = set(events)
        found = self.find((each.aggregate_id, each.sequence_number) for each in asked)
        return asked - {event.reference for event in found}

    def find(self, numbers: Iterable[tuple[str, int]]) -> Iterator[StoredEvent]:
        """The events that are stored at these numbers of these aggregates, in no order, strongly consistent.

        Raises CorruptHistoryError, ThrottledError, EndpointError.
        """
        keys = [{"aggregateId": {"S": aggregate_id}, "sequenceNumber": _number(at)} for aggregate_id, at in {*numbers}]
        for chunk in chunks(keys, MAX_KEYS):
            read = BatchRead(self._dynamodb, self._table, chunk, ConsistentRead=True)
            for attempt in retrying(self._retry_seconds):
                with (
                    attempt,
                    aws_errors(f"looking for {len(chunk)} events in {self._table}"),
                    items_as(EventItem),
                ):
                    items = read()
            yield from map(StoredEvent.from_item, items)

    def probe(self) -> None:
        """Ask whether an append could be made. Raises what ``guard`` raises, ResourceError, or a transient error."""
        self._guard()
        self.version(_NOBODY)

    def version(self, aggregate_id: str) -> ProvenVersion:
        """Read the aggregate's version, strongly consistent; 0 when it has no events."""
        with aws_errors(f"reading the version of {aggregate_id}"):
            page = self._dynamodb.query(
                TableName=self._table,
                KeyConditionExpression="aggregateId = :a",
                ExpressionAttributeValues={":a": {"S": aggregate_id}},
                ProjectionExpression="sequenceNumber",
                ScanIndexForward=False,
                ConsistentRead=True,
                Limit=1,
            )
        return ProvenVersion(aggregate_id, int(page["Items"][0]["sequenceNumber"]["N"]) if page["Items"] else 0)

    def _query(self, condition: str, values: dict[str, Any], **options: Any) -> Iterator[AnyItem]:
        # Not by botocore's paginator, which takes 60 µs of CPU time a page beside the call's 400.
        while True:
            with aws_errors(f"loading {values[':a']['S']}"), items_as(EventItem):
                page = self._dynamodb.query(
                    TableName=self._table,
                    KeyConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    ConsistentRead=True,
                    **options,
                )
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            options["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _write(self, write: EventWrite, retry_seconds: float) -> tuple[float, int]:
        """Send the write, again while it is throttled or contended; returns its write units and the retries.

        A retry after an unknown outcome is safe: ``append`` recognises its own events.
        """
        for attempt in retrying(retry_seconds):
            with attempt:
                retries = attempt.retry_state.attempt_number - 1
                try:
                    return write.send(self._dynamodb), retries
                except ConditionFailedError as failed:
                    failed.resent |= retries > 0
                    raise
        raise AssertionError("a retry loop ends with an answer or an error")

    def _holds(self, stored: list[StoredEvent]) -> bool:
        """Whether exactly these events are stored: ``occurredAt`` and ``correlationId`` tell ours from another's.

        Only asked after a request was sent again: two commands of one correlation id can fall on one microsecond.
        """
        first, last = stored[0], stored[-1]
        return (
            list(self.read(first.aggregate_id, after=first.sequence_number - 1, until=last.sequence_number)) == stored
        )


def _expect(event: StoredEvent, number: int) -> None:
    if event.sequence_number != number:
        raise CorruptHistoryError(
            f"{event.aggregate_id}: event {number} is missing, the next one stored is {event.sequence_number}. "
            "Only a write past the event store can do that: restore the table to a moment before it."
        )


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}
