"""Checks one aggregate of a read model against the event store.

Its rows are read before its events, so that what is appended meanwhile can make a row late and never wrong; and before
the skips, so that no row is called wrong for what an operator has skipped meanwhile.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from ledger.runtime.aws import aws_errors
from ledger.store.event_store import EventStore
from ledger.store.parallel_scan import Item
from projector.dead_letters.letters import Skips
from projector.engine.read_model import ReadModel
from projector.projection import HEAD
from projector.verification.comparison import AggregateHistory, Compared, StoredRow, compare

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

S = TypeVar("S")

#: Outcomes worth a second check: an operator may have skipped an event meanwhile.
_DOUBTFUL: Final = frozenset({"wrong", "extra", "unreadable"})


class Checker(Generic[S]):
    """Compares single aggregates. Safe between threads. Raises ThrottledError, EndpointError, ResourceError."""

    def __init__(self, dynamodb: "DynamoDBClient", store: EventStore, model: ReadModel[S], skips: Skips) -> None:
        """``skips`` has been loaded."""
        self.model = model
        self._dynamodb = dynamodb
        # Made once: botocore makes a class for each.
        self._queries = dynamodb.get_paginator("query")
        self._store = store
        self._skips = skips

    @property
    def skipped(self) -> Callable[[str, int], bool]:
        """Whether an operator has skipped an event, as far as was loaded."""
        return self._skips.of(self.model.projection.name)

    def check(self, aggregate_id: str) -> Compared[S]:
        """Compare one aggregate's current rows with its events."""
        compared = self._compare(aggregate_id, self._rows(aggregate_id))
        if compared.kind not in _DOUBTFUL:
            return compared
        # In this order: whatever was skipped when the rows were written is known when they are judged.
        rows = self._rows(aggregate_id)
        self._skips.load()
        return self._compare(aggregate_id, rows)

    def _compare(self, aggregate_id: str, rows: dict[str, StoredRow[S]]) -> Compared[S]:
        aggregate = AggregateHistory(aggregate_id, self._store.read(aggregate_id), self.skipped)
        return compare(self.model.projection, self.model.image, aggregate, rows)

    def _rows(self, aggregate_id: str) -> dict[str, StoredRow[S]]:
        """The head, and then the parts: read in this order, no part is behind the head that was read."""
        model = self.model
        with aws_errors(f"reading {model.table} of aggregate {aggregate_id}"):
            head = self._dynamodb.get_item(TableName=model.table, Key=model.key(aggregate_id), ConsistentRead=True)
            rows = {HEAD: _stored(model, head["Item"])} if "Item" in head else {}
            name = model.projection.part_name
            if name is None:
                return rows
            for page in self._queries.paginate(
                TableName=model.table,
                KeyConditionExpression="aggregateId = :a AND #part > :head",
                ExpressionAttributeNames={"#part": name},
                ExpressionAttributeValues={":a": {"S": aggregate_id}, ":head": {"S": HEAD}},
                ConsistentRead=True,
            ):
                rows |= {item[name]["S"]: _stored(model, item) for item in page["Items"]}
        return rows


def _stored(model: ReadModel[S], item: Item) -> StoredRow[S]:
    return StoredRow(item, model.readable(item))
