"""What was derived from events that a restored table no longer holds, and would be believed, or is in the way."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from aws_client.tables import unchanged, write_if
from ledger.aggregates.aggregate_type import AggregateTypes
from ledger.runtime.aws import aws_errors
from ledger.runtime.progress_bar import ProgressReport
from ledger.store.change_record import decode
from ledger.store.errors import CorruptHistoryError, ForeignRecordError, UnusableRecordError
from ledger.store.event_store import EventStore
from ledger.store.id_archive import ArchivedId
from ledger.store.parallel_scan import Cursor, Item, RetryUntilStopped, SegmentedScan, approximate_size
from ledger.store.stored_event import EventReference, StoredEvent
from ledger.store.tables import Names
from projector.dead_letters.letters import DeadLetter, DeadLetters
from stream_bridge.backfill.progress import PREFIX

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Leftovers:
    """What is dropped: snapshots, archived ids, answers to commands, backfills under way, dead letters by their ids.

    ``unproven_answers`` stay: they were stored without the event that would tell.
    """

    snapshots: int = 0
    archived_ids: int = 0
    answers: int = 0
    unproven_answers: int = 0
    backfills: int = 0
    dead_letters: list[str] = field(default_factory=list)


class LeftoverSweep:
    """Finds the leftovers of one profile, and drops them. Safe to repeat, and while services wait for the restore."""

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        names: Names,
        store: EventStore,
        letters: DeadLetters,
        aggregates: AggregateTypes,
        retry: RetryUntilStopped,
        progress: ProgressReport,
        *,
        dry_run: bool,
    ) -> None:
        """``dry_run``: count, and drop nothing."""
        self._dynamodb = dynamodb
        self._names = names
        self._store = store
        self._letters = letters
        self._aggregates = aggregates
        self._retry = retry
        self._progress = progress
        self._dry_run = dry_run

    def run(self) -> Leftovers:
        """Look through snapshots, answers, dead letters and backfills. Raises ResourceError."""
        found = Leftovers()
        snapshot = ("aggregateId", "version", "eventHash", "createdAt", "sequenceNumber")
        for items in self._pages(self._names.snapshots, snapshot):
            archived = [(item, found_id) for item in items if (found_id := ArchivedId.from_item(item)) is not None]
            unused = self._unused([found_id for _, found_id in archived])
            worthless = [item for item, found_id in archived if found_id in unused]
            found.archived_ids += len(worthless)
            snapshots = self._worthless([item for item in items if "version" in item], _snapshot_of)
            found.snapshots += len(snapshots)
            for item in (*worthless, *snapshots):
                self._drop(self._names.snapshots, {"aggregateId": item["aggregateId"]}, item)
        answer = ("commandId", "aggregateId", "sequenceNumber", "eventHash", "expiresAt")
        for items in self._pages(self._names.commands, answer):
            proven = [item for item in items if "eventHash" in item]
            found.unproven_answers += len(items) - len(proven)
            for item in self._worthless(proven, _answer_of):
                self._drop(self._names.commands, {"commandId": item["commandId"]}, item)
                found.answers += 1
        for items in self._pages(self._names.bridge, ("id",)):
            for item in items:
                if item["id"]["S"].startswith(PREFIX):
                    self._drop(self._names.bridge, {"id": item["id"]}, item)
                    found.backfills += 1
        for stored in self._retry(lambda: list(self._letters.list())):
            if self._is_lost(stored.letter):
                self._drop(self._names.dead_letters, {"id": {"S": stored.id}}, {})
                log.warning("dead_letter_dropped", id=stored.id, state=stored.state, action="none: its event is lost")
                found.dead_letters.append(stored.id)
        return found

    def _pages(self, table: str, names: Sequence[str]) -> Iterator[list[Item]]:
        bound = {f"#a{index}": name for index, name in enumerate(names)}
        scan = SegmentedScan(
            self._dynamodb, table, ProjectionExpression=", ".join(bound), ExpressionAttributeNames=bound
        )
        cursor = Cursor()
        self._progress.begin(table, "reading items", self._retry(partial(approximate_size, self._dynamodb, table)), 0)
        while not cursor.ended:
            items, cursor = self._retry(partial(scan.page, 0, 1, cursor))
            yield items
            self._progress.advance(table, cursor.items)

    def _worthless(self, items: Sequence[Item], reference_of: Callable[[Item], EventReference | None]) -> list[Item]:
        """The items whose event is not stored, or is not known."""
        references = [reference_of(item) for item in items]
        lost = self._retry(partial(self._store.lost, [each for each in references if each is not None]))
        return [item for item, each in zip(items, references, strict=True) if each is None or each in lost]

    def _unused(self, archived: Sequence[ArchivedId]) -> set[ArchivedId]:
        """The ids that the event at the number of each does not use up."""
        numbers = {(each.aggregate_id, each.used_at) for each in archived}
        found = self._retry(lambda: list(self._store.find(numbers)))
        events = {(event.aggregate_id, event.sequence_number): event for event in found}
        return {each for each in archived if not self._is_used(events.get((each.aggregate_id, each.used_at)), each)}

    def _is_used(self, event: StoredEvent | None, archived: ArchivedId) -> bool:
        """Whether the event uses the id up. One that cannot be read may, and so may one of an unknown type."""
        if event is None:
            return False
        kind = self._aggregates.of_key(archived.aggregate_id)
        try:
            return kind is None or archived.is_used_by(event, kind)
        except CorruptHistoryError:
            return True

    def _is_lost(self, letter: DeadLetter) -> bool:
        """Whether a letter is about an event that is not stored. One about a record, or no aggregate, stays."""
        if letter.aggregate_id is None or letter.sequence_number is None or letter.projection is None:
            return False
        event = _event_of(letter.raw, self._names.events)
        if event is None:
            return True
        return bool(self._retry(partial(self._store.lost, [event.reference])))

    def _drop(self, table: str, key: dict[str, Any], item: Item) -> None:
        if self._dry_run:
            return
        # What a writer has made anew meanwhile stays.
        condition = unchanged(item, (*key, *(name for name in item if name not in key))) if item else {}

        def delete() -> None:
            with aws_errors(f"deleting what is left of lost events from {table}"):
                write_if(self._dynamodb.delete_item, TableName=table, Key=key, **condition)

        self._retry(delete)


def _snapshot_of(item: Item) -> EventReference | None:
    if "eventHash" not in item:
        return None
    return EventReference(item["aggregateId"]["S"], int(item["version"]["N"]), item["eventHash"]["S"])


def _answer_of(item: Item) -> EventReference:
    return EventReference(item["aggregateId"]["S"], int(item["sequenceNumber"]["N"]), item["eventHash"]["S"])


def _event_of(raw: bytes, table: str) -> StoredEvent | None:
    """The event of a letter's raw data: an item of the events table, or a change record, of a former table perhaps."""
    try:
        return decode(raw, table)
    except ForeignRecordError as foreign:
        return None if foreign.table == table else _event_of(raw, foreign.table)
    except UnusableRecordError:
        pass
    try:
        return StoredEvent.from_item(orjson.loads(raw))
    except (orjson.JSONDecodeError, CorruptHistoryError, AttributeError, TypeError):
        return None
