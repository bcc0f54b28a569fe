"""Fast parsing of what DynamoDB's reads answer: botocore parses it member by member, some 15 µs an item.

It hooks into ``before-parse``, botocore's event for custom parsing, of Scan and Query. Items of texts and numbers are
read at once; the rest of the answer, and an answer that is not exactly as expected here, stay botocore's. Without the
event, everything would work as before, at botocore's speed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_Value = Annotated[dict[Literal["S", "N"], str], msgspec.Meta(min_length=1, max_length=1)]


class _Rest(msgspec.Struct, forbid_unknown_fields=True, gc=False, rename="pascal", kw_only=True):
    count: Raw | UnsetType = UNSET
    scanned_count: Raw | UnsetType = UNSET
    last_evaluated_key: Raw | UnsetType = UNSET
    consumed_capacity: Raw | UnsetType = UNSET


class _Answer(_Rest, forbid_unknown_fields=True, gc=False, rename="pascal", kw_only=True):
    items: list[dict[str, _Value]]


_decode: Final = msgspec.json.Decoder(_Answer).decode
_encode: Final = msgspec.json.Encoder().encode


def install_fast_reads(dynamodb: DynamoDBClient) -> None:
    """Make the client's ``scan`` and ``query`` parse faster, with the same result. Idempotent."""
    for operation in ("Scan", "Query"):
        dynamodb.meta.events.register(f"before-parse.dynamodb.{operation}", _parse, unique_id=f"kinfold-{operation}")


def _parse(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Parse the items, and leave the rest of the body to botocore."""
    if response_dict["status_code"] != 200:
        return
    try:
        answer = _decode(response_dict["body"])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    rest = _Rest(
        count=answer.count,
        scanned_count=answer.scanned_count,
        last_evaluated_key=answer.last_evaluated_key,
        consumed_capacity=answer.consumed_capacity,
    )
    response_dict["body"] = _encode(rest)
    customized_response_dict["Items"] = answer.items
