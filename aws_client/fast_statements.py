"""BatchExecuteStatement without botocore's walk through each parameter of each statement, twice on the way out.

It hooks into botocore's documented events: ``before-parameter-build`` and ``before-call`` on the way out, and
``before-parse`` on the way back. Addressing, signing, sending, retries and errors stay botocore's. Values are in
DynamoDB's own JSON already, so the body is what botocore would write.
"""

import json
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_OPERATION: Final = "dynamodb.BatchExecuteStatement"
_HELD: Final = "kinfold-statements"


def send_statements_as_they_are(dynamodb: "DynamoDBClient") -> None:
    """Have the client's ``batch_execute_statement`` work as ever, but sooner. Safe to repeat.

    What is no JSON (a binary value, say) goes botocore's way. So does an answer that is not exactly as expected here.
    botocore checks the first statement only: a parameter of a wrong type in another is DynamoDB's to refuse.
    """
    events = dynamodb.meta.events
    events.register(f"before-parameter-build.{_OPERATION}", _hold, unique_id="kinfold-hold-statements")
    events.register_last(f"before-call.{_OPERATION}", _put, unique_id="kinfold-put-statements")
    events.register(f"before-parse.{_OPERATION}", _parse, unique_id="kinfold-parse-responses")


def _hold(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    """Leave botocore the first statement alone to check and to write."""
    statements = params.get("Statements")
    if not isinstance(statements, list) or len(statements) < 2:
        return
    try:
        context[_HELD] = orjson.Fragment(orjson.dumps(statements)), len(statements)
    except orjson.JSONEncodeError:
        return
    params["Statements"] = statements[:1]


def _put(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    """Put all statements in the place of the first."""
    held = context.get(_HELD)
    if held is not None:
        body = orjson.loads(params["body"])
        params["body"] = orjson.dumps({**body, "Statements": held[0]})


def _parse(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Take the responses out of the body, and leave the rest of it to botocore."""
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
    """Whether botocore would read a response as it stands: a table and at most an error in words."""
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
