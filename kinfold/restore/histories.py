"""Whether every aggregate's sequence numbers are 1..n in a table that was restored.

A backup may hold a part of a transaction (AWS, "Using DynamoDB backup and restore": it does not guarantee causal
consistency across items), and then a history has a hole, which no fold can pass.
"""

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from ledger.errors import PermanentError
from ledger.runtime.aws import aws_errors
from ledger.runtime.progress_bar import ProgressReport
from ledger.store.parallel_scan import (
    Cursor,
    Item,
    RetryUntilStopped,
    SegmentedScan,
    approximate_size,
    read_segments,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Aggregates that a message names.
_NAMED: Final = 20

#: First and last of the sequence numbers that are missing.
Hole = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Histories:
    """What the events table holds. ``holes``: by aggregate, what is missing before its last event."""

    events: int
    aggregates: int
    holes: Mapping[str, Sequence[Hole]]


class HolesError(PermanentError):
    """Histories with holes: nothing can be folded over them, and nothing was changed."""

    exit_code = 4

    def __init__(self, table: str, holes: Mapping[str, Sequence[Hole]]) -> None:
        named = "; ".join(
            f"aggregate {aggregate_id}: {described(each)}" for aggregate_id, each in list(holes.items())[:_NAMED]
        )
        more = f"; and {len(holes) - _NAMED} more aggregates" if len(holes) > _NAMED else ""
        super().__init__(
            f"{len(holes)} histories in {table} have holes ({named}{more}). Restore the table to another moment: a "
            "backup may hold a part of a transaction"
        )


def described(holes: Sequence[Hole]) -> str:
    """Holes in words, such as ``3, 7 to 9``."""
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in holes)


def check_histories(
    dynamodb: "DynamoDBClient", table: str, segments: int, retry: RetryUntilStopped, progress: ProgressReport
) -> Histories:
    """Read every key of the table once, in parallel segments, and once more those of an aggregate that has a hole.

    Memory holds an entry an aggregate. Raises ResourceError.
    """
    counts: defaultdict[str, int] = defaultdict(int)
    last: defaultdict[str, int] = defaultdict(int)
    lock, read = threading.Lock(), [0] * segments

    def count(items: list[Item]) -> None:
        with lock:
            for item in items:
                aggregate_id, number = item["aggregateId"]["S"], int(item["sequenceNumber"]["N"])
                counts[aggregate_id] += 1
                last[aggregate_id] = max(last[aggregate_id], number)

    def moved(segment: int, cursor: Cursor) -> None:
        read[segment] = cursor.items
        progress.advance(table, sum(read))

    progress.begin(table, "checking", retry(partial(approximate_size, dynamodb, table)), 0)
    scan = SegmentedScan(dynamodb, table, ProjectionExpression="aggregateId, sequenceNumber")
    read_segments(scan, (Cursor(),) * segments, count, moved, retry)
    doubtful = [aggregate_id for aggregate_id in counts if counts[aggregate_id] != last[aggregate_id]]
    # Once more: what was appended meanwhile is no hole.
    holes = {aggregate_id: retry(partial(_holes, dynamodb, table, aggregate_id)) for aggregate_id in doubtful}
    return Histories(sum(counts.values()), len(counts), {name: found for name, found in holes.items() if found})


def _holes(dynamodb: "DynamoDBClient", table: str, aggregate_id: str) -> list[Hole]:
    found: list[Hole] = []
    expected = 1
    with aws_errors(f"reading the history of {aggregate_id}"):
        for page in dynamodb.get_paginator("query").paginate(
            TableName=table,
            KeyConditionExpression="aggregateId = :a",
            ExpressionAttributeValues={":a": {"S": aggregate_id}},
            ProjectionExpression="sequenceNumber",
            ConsistentRead=True,
        ):
            for item in page["Items"]:
                number = int(item["sequenceNumber"]["N"])
                if number > expected:
                    found.append((expected, number - 1))
                expected = number + 1
    return found
