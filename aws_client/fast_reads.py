"""Fast parsing of what DynamoDB's reads answer: botocore parses it member by member, some 15 µs an item.

It hooks into ``before-parse``, botocore's event for custom parsing, of Scan, Query and BatchGetItem. Items of texts and
numbers are read at once; the rest of the answer, and an answer that is not exactly as expected here, stay botocore's.
Without the event, everything would work as before, at botocore's speed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_Items = list[dict[str, Annotated[dict[Literal["S", "N"], str], msgspec.Meta(min_length=1, max_length=1)]]]


class _Rest(msgspec.Struct, forbid_unknown_fields=True, gc=False, rename="pascal", kw_only=True):
    count: Raw | UnsetType = UNSET
    scanned_count: Raw | UnsetType = UNSET
    last_evaluated_key: Raw | UnsetType = UNSET
    consumed_capacity: Raw | UnsetType = UNSET


class _Page(_Rest, forbid_unknown_fields=True, gc=False, rename="pascal", kw_only=True):
    items: _Items


class _BatchRest(msgspec.Struct, forbid_unknown_fields=True, gc=False, rename="pascal", kw_only=True):
    unprocessed_keys: Raw | UnsetType = UNSET
    consumed_capacity: Raw | UnsetType = UNSET


class _Batch(_BatchRest, forbid_unknown_fields=True, gc=False, rename="pascal", kw_only=True):
    responses: dict[str, _Items]


#: By operation: its answer, what is left of that without the items, and the member that holds these.
_ANSWERS: Final[dict[str, tuple[type[msgspec.Struct], type[msgspec.Struct], str]]] = {
    "Scan": (_Page, _Rest, "Items"),
    "Query": (_Page, _Rest, "Items"),
    "BatchGetItem": (_Batch, _BatchRest, "Responses"),
}
_encode: Final = msgspec.json.Encoder().encode


def install_fast_reads(dynamodb: DynamoDBClient) -> None:
    """Make the client's ``scan``, ``query`` and ``batch_get_item`` parse faster, with the same result. Idempotent."""
    for operation in _ANSWERS:
        event, unique_id = f"before-parse.dynamodb.{operation}", f"kinfold-{operation}"
        dynamodb.meta.events.register(event, parser(operation), unique_id=unique_id)


def parser(operation: str) -> Callable[..., None]:
    """What handles ``before-parse`` of an operation."""
    answer, rest, member = _ANSWERS[operation]
    return partial(_parse, msgspec.json.Decoder(answer).decode, rest, member)


def _parse(
    decode: Callable[[bytes], Any],
    rest: type[msgspec.Struct],
    member: str,
    *,
    response_dict: dict[str, Any],
    customized_response_dict: dict[str, Any],
    **_: object,
) -> None:
    """Parse the items, and leave the rest of the body to botocore."""
    if response_dict["status_code"] != 200:
        return
    try:
        answer = decode(response_dict["body"])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    response_dict["body"] = _encode(rest(**{name: getattr(answer, name) for name in rest.__struct_fields__}))
    customized_response_dict[member] = getattr(answer, member.lower())
