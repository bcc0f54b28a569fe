"""An example of every problem that the API answers, by status, for the OpenAPI document."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from writer.problems import TYPE_PREFIX

_RULE: Final = "The command breaks a rule of the account"
#: Status -> (name of the problem's type, title, detail, further fields).
_EXAMPLES: Final[Mapping[int, tuple[tuple[str, str, str, dict[str, Any]], ...]]] = {
    400: (
        (
            "malformed-request",
            "The request is not well-formed",
            "amount: is required",
            {"errors": [{"field": "amount", "message": "is required"}]},
        ),
    ),
    401: (("unauthenticated", "Who are you?", "this request needs a token: send Authorization: Bearer TOKEN.", {}),),
    403: (
        (
            "scope-missing",
            "The token does not allow this",
            "token shop does not have the scope write, which this needs.",
            {},
        ),
    ),
    404: (
        ("unknown-account", "Not Found", "There is no account alice: its first deposit opens it.", {}),
        (
            "unknown-version",
            "The account never had this version",
            "Account alice is at version 7 and was never at version 9.",
            {"actualVersion": 7},
        ),
    ),
    409: (
        (
            "version-conflict",
            "The account changed while the command was decided",
            "Other commands were faster on account alice, now at version 7, each time this one was decided; nothing "
            "was written. Send it again.",
            {"expectedVersion": 6, "actualVersion": 7},
        ),
    ),
    412: (
        (
            "precondition-failed",
            "The account is not at the version that If-Match asks for",
            "If-Match asks for version 6, and account alice is at version 7; nothing was written. Read the account "
            "and decide anew.",
            {"expectedVersion": 6, "actualVersion": 7},
        ),
    ),
    413: (("body-too-large", "The request body is too large", "A request body has at most 65536 bytes.", {}),),
    415: (
        (
            "unsupported-media-type",
            "Unsupported Media Type",
            "Send JSON, with Content-Type: application/json.",
            {},
        ),
    ),
    422: (
        ("invalid-amount", _RULE, "account alice: 0.00 is not a positive amount", {"rule": "invalid-amount"}),
        (
            "currency-mismatch",
            _RULE,
            "account alice is held in EUR; USD cannot be booked on it",
            {"rule": "currency-mismatch"},
        ),
        (
            "insufficient-funds",
            _RULE,
            "account alice holds 10.00; 12.50 cannot be taken from it",
            {"rule": "insufficient-funds"},
        ),
        (
            "bet-already-placed",
            _RULE,
            "account alice: bet derby was already placed",
            {"rule": "bet-already-placed"},
        ),
        ("unknown-bet", _RULE, "account alice: no bet derby was placed", {"rule": "unknown-bet"}),
        (
            "bet-already-settled",
            _RULE,
            "account alice: bet derby was already settled",
            {"rule": "bet-already-settled"},
        ),
        (
            "idempotency-key-reused",
            "The Idempotency-Key stands for another command",
            "This Idempotency-Key was used for another command; nothing was written. A new command needs a new key.",
            {},
        ),
    ),
    431: (
        (
            "head-too-large",
            "The request's head is too large",
            "The path, the query and the headers of a request have at most 8192 bytes together.",
            {},
        ),
    ),
    500: (
        (
            "internal-error",
            "Internal Server Error",
            "The writer failed on this request. Its log has the cause under this correlation id.",
            {},
        ),
    ),
    503: (
        (
            "unavailable",
            "The event store is unavailable",
            "The event store did not answer in time, so the command may have been carried out or not: send it again "
            "with the same Idempotency-Key, and it counts once.",
            {},
        ),
        (
            "overloaded",
            "The writer is overloaded",
            "The writer has more requests than it can answer in time; nothing was done for this one. Send it again.",
            {},
        ),
        (
            "not-ready",
            "The writer is not ready",
            "The events table cannot be reached. The writer's log has the cause.",
            {},
        ),
    ),
}


def examples(status: int) -> dict[str, Any]:
    """The examples of one status, as OpenAPI has them: by name, each with a summary and a value."""
    return {
        name: {
            "summary": title,
            "value": {
                "type": TYPE_PREFIX + name,
                "title": title,
                "status": int(HTTPStatus(status)),
                "detail": detail,
                "correlationId": "order-4711",
                **more,
            },
        }
        for name, title, detail, more in _EXAMPLES[status]
    }
