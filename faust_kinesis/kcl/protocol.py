"""The messages between the MultiLangDaemon and the process that works on one shard: one JSON object a line.

The daemon sends first and waits: for any number of checkpoints, each acknowledged, and then for exactly one status.
As KCL 3.1.3 reads and writes them (package software.amazon.kinesis.multilang.messages).
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import orjson

from faust_kinesis.errors import DaemonError
from faust_kinesis.records import Record


@dataclass(frozen=True, slots=True)
class Initialize:
    """A lease was taken: the shard, and the checkpoint to read from."""

    shard_id: str
    checkpoint: str
    sub_sequence_number: int = 0


@dataclass(frozen=True, slots=True)
class ProcessRecords:
    """The next records; none when KCL has nothing new. `millis_behind_latest` may be unknown."""

    records: tuple[Record, ...]
    millis_behind_latest: int | None


class LeaseEvent(Enum):
    """What happens to the lease; nothing but the action is sent."""

    LOST = "leaseLost"
    """Another worker owns the shard: nothing may be checkpointed any more."""
    SHARD_ENDED = "shardEnded"
    """All records of a closed shard were delivered; its end must be checkpointed before the answer."""
    SHUTDOWN_REQUESTED = "shutdownRequested"
    """The last chance to checkpoint before the lease is given up."""


@dataclass(frozen=True, slots=True)
class CheckpointAck:
    """The answer to a checkpoint; `error` is the simple name of a Java exception, None when it was stored."""

    sequence_number: str | None
    error: str | None


Message = Initialize | ProcessRecords | LeaseEvent | CheckpointAck


def parse(line: bytes) -> Message:
    """Parse one line. Raises DaemonError when it is no message; the error never repeats the line's content."""
    try:
        fields = orjson.loads(line)
        return _message(fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DaemonError(f"KCL sent a line of {len(line)} bytes that is no message: {type(error).__name__}") from None


def status(response_for: str) -> bytes:
    """The line that ends a turn; `response_for` is the action it answers."""
    return orjson.dumps({"action": "status", "responseFor": response_for}) + b"\n"


def checkpoint(sequence_number: str, sub_sequence_number: int) -> bytes:
    """The line that asks for a checkpoint at a record, or at SHARD_END.

    Always explicit: without a sequence number KCL checkpoints everything it has delivered.
    """
    fields = {"action": "checkpoint", "sequenceNumber": sequence_number, "subSequenceNumber": sub_sequence_number}
    return orjson.dumps(fields) + b"\n"


def _message(fields: Mapping[str, Any]) -> Message:
    match fields["action"]:
        case "initialize":
            return Initialize(
                str(fields["shardId"]), str(fields.get("sequenceNumber") or ""), fields.get("subSequenceNumber") or 0
            )
        case "processRecords":
            return ProcessRecords(tuple(map(_record, fields["records"])), fields.get("millisBehindLatest"))
        case "leaseLost" | "shardEnded" | "shutdownRequested" as action:
            return LeaseEvent(action)
        case "checkpoint":
            return CheckpointAck(fields.get("sequenceNumber"), fields.get("error"))
        case other:
            raise DaemonError(f"KCL sent an action that this version does not know: {str(other)[:40]!r}")


def _record(fields: Mapping[str, Any]) -> Record:
    arrived = fields.get("approximateArrivalTimestamp") or 0
    return Record(
        data=binascii.a2b_base64(fields.get("data") or ""),
        partition_key=fields["partitionKey"],
        sequence_number=fields["sequenceNumber"],
        arrived_at=datetime.fromtimestamp(arrived / 1000, UTC),
        sub_sequence_number=fields.get("subSequenceNumber") or 0,
    )
