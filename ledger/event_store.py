"""The event store: append under optimistic locking, and load, on one DynamoDB table.

Two invariants are kept here and nowhere else: the stored sequence numbers of an aggregate are 1..n, and an append is
stored whole or not at all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import structlog
from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from ledger.aws import CONTENTION, THROTTLING, aws_errors, error_code, translate
from ledger.errors import (
    AppendTooLargeError,
    CorruptHistoryError,
    PermanentError,
    RejectedEventError,
    ThrottledError,
    TransientError,
    VersionConflictError,
)
from ledger.events import DomainEvent, encode_payload
from ledger.stored_event import StoredEvent, timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger(__name__)

#: AWS, "Amazon DynamoDB quotas": actions in one TransactWriteItems, bytes in it, bytes in one item.
MAX_TRANSACTION_ITEMS: Final = 100
MAX_TRANSACTION_BYTES: Final = 4 * 1024 * 1024
MAX_ITEM_BYTES: Final = 400 * 1024


@dataclass(frozen=True, slots=True)
class ProvenVersion:
    """A version that this process has read from the table, or written to it.

    Events are never deleted, so what was once read stays true; a bare ``int`` is only a client's claim. Made by
    ``EventStore`` alone.
    """

    aggregate_id: str
    number: int


@dataclass(frozen=True, slots=True)
class History:
    """Events of one aggregate in order, and the version they reach."""

    events: list[StoredEvent]
    version: ProvenVersion


class _ConditionFailedError(PermanentError):
    """Internal: the write's condition did not hold at this sequence number.

    ``resent``: the request had been sent before, so that the event in the way may be our own.
    """

    def __init__(self, conflicting: int, *, resent: bool) -> None:
        super().__init__(conflicting)
        self.conflicting = conflicting
        self.resent = resent


class EventStore:
    """Append-only histories in ``domain-events-{profile}``. Safe to share between threads."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str, *, patience: float = 10.0) -> None:
        """``patience``: seconds for which a write is tried again while it meets throttling or contention."""
        self._dynamodb = dynamodb
        self._table = table
        self._patience = patience

    def append(
        self,
        aggregate_id: str,
        events: Sequence[DomainEvent],
        expected: ProvenVersion | int,
        *,
        aggregate_type: str,
        correlation_id: str,
        now: datetime | None = None,
    ) -> History:
        """Store ``events`` as versions ``expected + 1`` and on: all of them or none.

        One event after a proven version is a conditional PutItem, one write unit a KB. Several events, or a claimed
        version above 0, are one TransactWriteItems, two write units a KB; the claim is proven by a ConditionCheck on
        the event at that version, without which a version ahead of the truth would punch a hole into the history.

        A write whose answer was lost, and which is tried again by the SDK or here, finds its own events stored and
        succeeds: a conflict is reported only for events that somebody else wrote.

        Returns the stored events and the version they prove. Raises VersionConflictError, AppendTooLargeError (both:
        nothing was written), ThrottledError or EndpointError. After these two the write may have succeeded.
        """
        number = expected.number if isinstance(expected, ProvenVersion) else expected
        if isinstance(expected, ProvenVersion) and expected.aggregate_id != aggregate_id:
            raise ValueError(f"a proof of {expected.aggregate_id} proves nothing about {aggregate_id}")
        if number < 0 or not events:
            raise ValueError(f"an append needs events and a version of 0 or more, got {len(events)} at {number}")
        occurred_at = timestamp(now or datetime.now(UTC))
        stored = [
            StoredEvent(
                aggregate_id,
                sequence_number,
                aggregate_type,
                event.event_type,
                encode_payload(event),
                occurred_at,
                correlation_id,
            )
            for sequence_number, event in enumerate(events, start=number + 1)
        ]
        proven = isinstance(expected, ProvenVersion) or number == 0
        self._check_size(stored, actions=len(stored) + (not proven))
        try:
            self._write(stored, claimed=None if proven else number)
        except _ConditionFailedError as failed:
            if not (failed.resent and self._holds(stored)):
                actual = self.version(aggregate_id).number
                raise VersionConflictError(
                    aggregate_id, expected=number, actual=actual, conflicting=failed.conflicting
                ) from None
            log.info("append_recognised", account=aggregate_id, version=stored[-1].sequence_number)
        return History(stored, ProvenVersion(aggregate_id, stored[-1].sequence_number))

    def load(self, aggregate_id: str, *, after: int = 0, until: int | None = None) -> History:
        """Read the events ``after < sequence number <= until`` (default: all), strongly consistent, page by page.

        ``after`` is a claim: when nothing follows it, the version of the answer is what is stored up to it.

        Raises CorruptHistoryError when the events that are there do not follow one another without a hole, and
        ThrottledError or EndpointError.
        """
        events = list(self.read(aggregate_id, after=after, until=until))
        if events:
            return History(events, ProvenVersion(aggregate_id, events[-1].sequence_number))
        stored = self.version(aggregate_id).number if after else 0
        return History(events, ProvenVersion(aggregate_id, min(stored, after)))

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
            if event.sequence_number != expected:
                raise CorruptHistoryError(
                    f"{aggregate_id}: event {expected} is missing, the next one stored is {event.sequence_number}. "
                    "Only a write past the event store can do that: restore the table to a moment before it."
                )
            yield event
            expected += 1

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

    def _query(self, condition: str, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ConsistentRead=True,
        )
        with aws_errors(f"loading {values[':a']['S']}"):
            for page in pages:
                yield from page["Items"]

    def _check_size(self, stored: list[StoredEvent], *, actions: int) -> None:
        sizes = [event.size() for event in stored]
        if max(sizes) > MAX_ITEM_BYTES:
            raise AppendTooLargeError(
                f"{stored[0].aggregate_id}: an event of {max(sizes)} bytes; DynamoDB stores at most {MAX_ITEM_BYTES}"
            )
        if actions > MAX_TRANSACTION_ITEMS or sum(sizes) > MAX_TRANSACTION_BYTES:
            raise AppendTooLargeError(
                f"{stored[0].aggregate_id}: {actions} actions of {sum(sizes)} bytes; one transaction holds at most "
                f"{MAX_TRANSACTION_ITEMS} actions and {MAX_TRANSACTION_BYTES} bytes. Append fewer events at once."
            )

    def _write(self, stored: list[StoredEvent], *, claimed: int | None) -> None:
        """Write with the cheapest request that keeps the invariants; try again while it is throttled or contended.

        A retry after an unknown outcome is safe: ``append`` recognises its own events.
        """
        for attempt in Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_delay(self._patience),
            wait=wait_random_exponential(0.02, max=1),
            reraise=True,
        ):
            with attempt:
                try:
                    if len(stored) == 1 and claimed is None:
                        self._put(stored[0])
                    else:
                        self._transact(stored, claimed)
                except _ConditionFailedError as failed:
                    failed.resent |= attempt.retry_state.attempt_number > 1
                    raise

    def _put(self, event: StoredEvent) -> None:
        with aws_errors(f"appending event {event.sequence_number} of {event.aggregate_id}"):
            try:
                self._dynamodb.put_item(
                    TableName=self._table,
                    Item=event.to_item(),
                    ConditionExpression="attribute_not_exists(sequenceNumber)",
                )
            except ClientError as error:
                if error_code(error) == "ConditionalCheckFailedException":
                    raise _ConditionFailedError(event.sequence_number, resent=_resent(error)) from None
                if error_code(error) == "ValidationException":
                    raise RejectedEventError(f"{event.aggregate_id}: event {event.sequence_number}: {error}") from None
                raise

    def _transact(self, stored: list[StoredEvent], claimed: int | None) -> None:
        actions: list[Any] = []
        numbers = [event.sequence_number for event in stored]
        if claimed is not None:
            key = {"aggregateId": {"S": stored[0].aggregate_id}, "sequenceNumber": _number(claimed)}
            condition = "attribute_exists(sequenceNumber)"
            actions.append({"ConditionCheck": {"TableName": self._table, "Key": key, "ConditionExpression": condition}})
            numbers.insert(0, claimed)
        condition = "attribute_not_exists(sequenceNumber)"
        actions += [
            {"Put": {"TableName": self._table, "Item": event.to_item(), "ConditionExpression": condition}}
            for event in stored
        ]
        doing = f"appending events {stored[0].sequence_number} to {numbers[-1]} of {stored[0].aggregate_id}"
        with aws_errors(doing):
            try:
                self._dynamodb.transact_write_items(TransactItems=actions)
            except ClientError as error:
                if error_code(error) != "TransactionCanceledException":
                    raise
                raise _cancellation(error, numbers, doing) from error

    def _holds(self, stored: list[StoredEvent]) -> bool:
        """Whether exactly these events are stored: ``occurredAt`` and ``correlationId`` tell ours from another's.

        Only asked after a request was sent again: two commands of one correlation id can fall on one microsecond.
        """
        first, last = stored[0], stored[-1]
        return (
            list(self.read(first.aggregate_id, after=first.sequence_number - 1, until=last.sequence_number)) == stored
        )


def _cancellation(error: ClientError, numbers: list[int], doing: str) -> Exception:
    """Why a transaction was cancelled, from the reason DynamoDB gives for each of its items, in their order."""
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    codes = {str(reason.get("Code")) for reason in reasons} - {"None"}
    for reason, number in zip(reasons, numbers, strict=False):
        if reason.get("Code") == "ConditionalCheckFailed":
            return _ConditionFailedError(number, resent=_resent(error))
        if reason.get("Code") == "ValidationError":
            return RejectedEventError(f"{doing}: event {number} is malformed: {reason.get('Message')}")
    if codes and codes <= THROTTLING | CONTENTION:
        return ThrottledError(f"{doing}: cancelled ({', '.join(sorted(codes))})")
    return translate(error, doing)


def _resent(error: ClientError) -> bool:
    """Whether the SDK had sent the request before this answer to it."""
    return error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}
