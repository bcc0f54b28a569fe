"""One PutRecords call: what fits into it, what its answer took and refused, how long to wait after a refusal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from aws_client.retry import RetryPolicy, should_log

if TYPE_CHECKING:
    from mypy_boto3_kinesis.type_defs import (
        PutRecordsOutputTypeDef,
        PutRecordsRequestEntryTypeDef,
        PutRecordsResultEntryTypeDef,
    )

MAX_RECORDS = 500
"""PutRecords' limit on records a call."""
MAX_BYTES = 5 * 1024 * 1024
"""What every endpoint takes in a call. (AWS takes 10 MiB since 2025.) A larger record goes alone."""
MAX_RECORD = 10 * 1024 * 1024
"""The API's limit on data and key of one record; a stream's own limit may be 1 MiB, and then the service refuses it."""
COMMON_RECORD = 1024 * 1024
"""Every stream takes records up to this. A larger one goes alone, so that a refusal hits nothing else."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class OutgoingRecord(Generic[T]):
    """A record to put, and the `receipt` by which its sender learns the outcome."""

    partition_key: str
    data: bytes
    receipt: T

    @property
    def size(self) -> int:
        """As the API counts it."""
        return len(self.data) + len(self.partition_key.encode())


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What a call's answer took and refused, each in the call's order, and the code of the first refusal."""

    taken: list[tuple[OutgoingRecord[T], PutRecordsResultEntryTypeDef]]
    refused: list[OutgoingRecord[T]]
    code: str | None


def fits(record: OutgoingRecord[T], count: int, size: int) -> bool:
    """Whether a call with `count` records of `size` bytes has room for the record."""
    goes_alone = record.size > COMMON_RECORD or (count == 1 and size > COMMON_RECORD)
    return not count or (count < MAX_RECORDS and size + record.size <= MAX_BYTES and not goes_alone)


def entries(records: Sequence[OutgoingRecord[T]]) -> list[PutRecordsRequestEntryTypeDef]:
    """The records as PutRecords takes them."""
    return [{"PartitionKey": record.partition_key, "Data": record.data} for record in records]


def outcome_of(records: Sequence[OutgoingRecord[T]], answer: PutRecordsOutputTypeDef) -> Outcome[T]:
    """Split the records of a call by its answer."""
    results = list(zip(records, answer["Records"], strict=True))
    return Outcome(
        [(record, result) for record, result in results if not result.get("ErrorCode")],
        [record for record, result in results if result.get("ErrorCode")],
        next((result["ErrorCode"] for _, result in results if result.get("ErrorCode")), None),
    )


class RefusalBackoff:
    """The pauses of one sender between calls of which records are refused.

    They grow only while nothing is taken: a stream that takes some of each call is busy, not out.
    """

    def __init__(self, policy: RetryPolicy | None = None) -> None:
        self._policy = policy or RetryPolicy(maximum=5.0)
        self.rounds = 0
        self.rounds_without_progress = 0

    def after(self, outcome: Outcome[T]) -> float:
        """Seconds to wait before the refused records are put again; 0 when there are none."""
        if not outcome.refused:
            self.rounds = self.rounds_without_progress = 0
            return 0.0
        self.rounds += 1
        self.rounds_without_progress = 1 if outcome.taken else self.rounds_without_progress + 1
        return self._policy.delay(self.rounds_without_progress)

    @property
    def should_log(self) -> bool:
        """Whether to log this round."""
        return should_log(self.rounds)
