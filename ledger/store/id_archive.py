"""The archive of used ids: what an aggregate's state leaves to it, so that the state does not grow for ever.

An item an id, in the table of the snapshots, since neither is worth anything without the other: ``aggregateId`` names
the aggregate and the id, ``sequenceNumber`` the event that used it up. Whoever finds one looks at that event: where a
restore of the events table has lost it, the item is worth nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aws_client.batch_reads import MAX_KEYS, BatchRead, chunks
from aws_client.batch_writes import MAX_PUTS, BatchPut
from ledger.aggregates.aggregate_type import AnyType
from ledger.runtime.aws import aws_errors, retrying
from ledger.store.parallel_scan import Item
from ledger.store.stored_event import StoredEvent

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: No key of an aggregate has it in it.
_MARK: Final = "#"
#: For how long a throttled put is tried again. Nobody waits for it.
_RETRY_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class ArchivedId:
    """An id that event ``used_at`` of its aggregate used up, as the archive has it."""

    aggregate_id: str
    used_id: str
    used_at: int

    def is_used_by(self, event: StoredEvent, kind: AnyType) -> bool:
        """Whether the event that is stored at the number, of an aggregate of this type, is the one that used it up.

        Raises CorruptHistoryError for one that cannot be read.
        """
        return kind.archive is not None and kind.archive.used_by(event.decode(kind)) == self.used_id

    @classmethod
    def from_item(cls, item: Item) -> "ArchivedId | None":
        """Read an item of the snapshots' table; None for a snapshot."""
        aggregate_id, mark, used_id = item["aggregateId"]["S"].partition(_MARK)
        return cls(aggregate_id, used_id, int(item["sequenceNumber"]["N"])) if mark else None


@dataclass(frozen=True, slots=True)
class IdArchive:
    """The archive in ``snapshots-{profile}``. Safe to share between threads.

    Raises ThrottledError, EndpointError, ResourceError.
    """

    dynamodb: "DynamoDBClient"
    table: str

    def store(self, aggregate_id: str, used: Mapping[str, int]) -> None:
        """Archive ids, each by the number of the event that used it up: all are durable at the end. Idempotent."""
        for some in chunks(list(used.items()), MAX_PUTS):
            items = [{**_key(aggregate_id, used_id), "sequenceNumber": {"N": str(number)}} for used_id, number in some]
            put = BatchPut(self.dynamodb, self.table, items)
            for attempt in retrying(_RETRY_SECONDS):
                with attempt, aws_errors(f"archiving {len(some)} used ids of {aggregate_id}"):
                    put()

    def find(self, aggregate_id: str, used_ids: Iterable[str]) -> list[ArchivedId]:
        """Those of the ids that are archived, strongly consistent."""
        found: list[ArchivedId | None] = []
        for keys in chunks([_key(aggregate_id, used_id) for used_id in used_ids], MAX_KEYS):
            read = BatchRead(self.dynamodb, self.table, keys, ConsistentRead=True)
            with aws_errors(f"looking for {len(keys)} used ids of {aggregate_id}"):
                found += map(ArchivedId.from_item, read())
        return [each for each in found if each is not None]


def _key(aggregate_id: str, used_id: str) -> dict[str, Any]:
    return {"aggregateId": {"S": f"{aggregate_id}{_MARK}{used_id}"}}
