"""Fast writes: botocore validates and serializes each value of each item and statement by itself.

It hooks into botocore's documented events: ``before-parameter-build`` and ``before-call`` for the request,
``before-parse`` for the responses of BatchExecuteStatement. Endpoints, signing, sending, retries and errors stay
botocore's. Values are in DynamoDB's own JSON already, so the body is what botocore would write.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_HELD: Final = "kinfold-held"
#: What holds the values of each operation, and the least that botocore takes in its place.
_MEMBERS: Final[dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "BatchExecuteStatement": ("Statements", lambda statements: statements[:1]),
    "PutItem": ("Item", lambda _: {}),
    "TransactWriteItems": ("TransactItems", lambda _: [{}]),
}
_TYPES: Final[dict[str, type]] = {"Statements": list, "Item": dict, "TransactItems": list}


def install_fast_writes(dynamodb: "DynamoDBClient") -> None:
    """Make ``batch_execute_statement``, ``put_item`` and ``transact_write_items`` faster, with the same result.

    A request that is not JSON (one with a binary value) is left to botocore, and so is a response that is not exactly
    as expected. botocore validates the first statement only, and no item; DynamoDB refuses a value of a wrong type.
    Idempotent.
    """
    events = dynamodb.meta.events
    for operation in _MEMBERS:
        events.register(f"before-parameter-build.dynamodb.{operation}", _hold, unique_id=f"kinfold-hold-{operation}")
        events.register_last(f"before-call.dynamodb.{operation}", _put, unique_id=f"kinfold-put-{operation}")
    events.register("before-parse.dynamodb.BatchExecuteStatement", _parse, unique_id="kinfold-parse-responses")


def _hold(params: dict[str, Any], model: Any, context: dict[str, Any], **_: object) -> None:
    """Leave only the least to botocore, to validate and to serialize."""
    member, least = _MEMBERS[model.name]
    values = params.get(member)
    if not isinstance(values, _TYPES[member]) or not values or values == least(values):
        return
    try:
        context[_HELD] = member, orjson.Fragment(orjson.dumps(values))
    except orjson.JSONEncodeError:
        return
    params[member] = least(values)


def _put(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    """Replace the least in the body by all of it."""
    held = context.get(_HELD)
    if held is not None:
        params["body"] = orjson.dumps({**orjson.loads(params["body"]), held[0]: held[1]})


def _parse(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Parse the responses, and leave the rest of the body to botocore."""
    if response_dict["status_code"] != 200:
        return
    try:
        rest = json.loads(response_dict["body"])
        responses = rest.pop("Responses")
    except (AttributeError, KeyError, TypeError, ValueError):
        return
    if type(responses) is list and all(map(_is_plain, responses)):
        response_dict["body"] = json.dumps(rest).encode()
        customized_response_dict["Responses"] = responses


def _is_plain(response: Any) -> bool:
    """Whether botocore would return a response unchanged: a table, and at most an error of texts."""
    if type(response) is not dict:
        return False
    error = response.get("Error", {})
    return (
        response.keys() <= {"TableName", "Error"}
        and type(response.get("TableName", "")) is str
        and type(error) is dict
        and error.keys() <= {"Code", "Message"}
        and all(type(text) is str for text in error.values())
    )
