"""What is wrong with a malformed request, in words for the person who sent it.

A message never repeats a value, and a name that the client chose only in part: whatever was sent, the answer is small.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from writer.problems import FieldFault, Problem, malformed

_MAX_FAULTS: Final = 10
_MAX_NAME: Final = 40
_MAX_MESSAGE: Final = 200

_ID_RULE: Final = "letters, digits and . _ : - only, a letter or digit first"
#: By field and pydantic's error type, where pydantic's own words are not for people or too many.
_MESSAGES: Final[Mapping[tuple[str, str], str]] = {
    ("accountId", "string_pattern_mismatch"): f"an account id has 1 to 128 characters: {_ID_RULE}",
    ("betId", "string_pattern_mismatch"): f"a bet id has 1 to 64 characters: {_ID_RULE}",
    ("currency", "literal_error"): (
        "not a currency that an account can be held in: send an ISO 4217 code in capitals whose minor unit has two "
        'places, such as "EUR", "USD" or "GBP"'
    ),
    ("body", "missing"): "the request needs a body: send a JSON object",
}
_MESSAGES_OF_TYPE: Final[Mapping[str, str]] = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this request",
    "model_attributes_type": "must be a JSON object",
    "model_type": "must be a JSON object",
}


def describe(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Turn pydantic's errors of one request into one problem that names each field that is wrong."""
    faults = [_fault(error) for error in errors[:_MAX_FAULTS]]
    detail = "; ".join(f"{fault.field}: {fault.message}" for fault in faults)
    more = len(errors) - len(faults)
    return malformed(f"{detail}; and {more} more" if more else detail, faults)


def _fault(error: Mapping[str, Any]) -> FieldFault:
    kind, place = str(error["type"]), error["loc"]
    if kind == "json_invalid":
        # The parser's words name what it expected and where, never what it found.
        reason = error.get("ctx", {}).get("error", "it cannot be parsed")
        return FieldFault(field="body", message=f"is not JSON: {reason} at character {place[-1]}"[:_MAX_MESSAGE])
    field = str(place[-1])
    message = _MESSAGES.get((field, kind)) or _MESSAGES_OF_TYPE.get(kind) or str(error["msg"])
    return FieldFault(field=_shortened(field), message=message.removeprefix("Value error, ")[:_MAX_MESSAGE])


def _shortened(name: str) -> str:
    printable = name if name.isprintable() else ascii(name)
    return printable if len(printable) <= _MAX_NAME else printable[:_MAX_NAME] + "..."
