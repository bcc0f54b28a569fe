"""Rows of many aggregates read at once: which of them are exactly what they should be."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from aws_client.batch_reads import MAX_KEYS, BatchRead, chunks
from ledger.runtime.aws import aws_errors, retrying
from ledger.store.parallel_scan import Item
from projector.engine.read_model import ReadModel
from projector.projection import Row

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

S = TypeVar("S")

#: Seconds for which a call is retried here; whoever calls retries for longer.
_RETRY: Final = 10.0


class StoredRows(Generic[S]):
    """A read model's rows, read consistently. Safe to share between threads.

    Raises ThrottledError, EndpointError or ResourceError.
    """

    def __init__(self, dynamodb: "DynamoDBClient", model: ReadModel[S]) -> None:
        self._dynamodb = dynamodb
        self._model = model

    def agreeing(self, expected: Mapping[str, Mapping[str, Row[S]]]) -> set[str]:
        """Those aggregates that have the expected rows (by aggregate and part) to the last attribute, and no other."""
        wanted = {
            aggregate_id: [self._model.image(row) for _, row in sorted(rows.items())]
            for aggregate_id, rows in expected.items()
        }
        found = self._whole(wanted) if self._model.projection.part is not None else self._heads(wanted)
        return {aggregate_id for aggregate_id, rows in wanted.items() if found.get(aggregate_id) == rows}

    def _heads(self, wanted: Mapping[str, Any]) -> dict[str, list[Item]]:
        found: dict[str, list[Item]] = {}
        for keys in chunks([self._model.key(aggregate_id) for aggregate_id in wanted], MAX_KEYS):
            read = BatchRead(self._dynamodb, self._model.table, keys, ConsistentRead=True)
            for attempt in retrying(_RETRY):
                with attempt, aws_errors(f"reading {len(keys)} rows of {self._model.table}"):
                    found |= {item["aggregateId"]["S"]: [item] for item in read()}
        return found

    def _whole(self, wanted: Mapping[str, Any]) -> dict[str, list[Item]]:
        """Every row of each aggregate, head and parts, in order."""
        return {aggregate_id: self._of(aggregate_id) for aggregate_id in wanted}

    def _of(self, aggregate_id: str) -> list[Item]:
        rows: list[Item] = []
        start: Any = {}
        while True:
            with aws_errors(f"reading {self._model.table} of aggregate {aggregate_id}"):
                page = self._dynamodb.query(
                    TableName=self._model.table,
                    KeyConditionExpression="aggregateId = :a",
                    ExpressionAttributeValues={":a": {"S": aggregate_id}},
                    ConsistentRead=True,
                    **start,
                )
            rows += page["Items"]
            if "LastEvaluatedKey" not in page:
                return rows
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
