"""The catalogue of problems (RFC 9457) that the services answer, and the headers that every response carries.

Knows no web framework: a service renders a ``ProblemError`` with the response class of its own. The rules of the domain
are problems, too; the writer adds them (writer.problems).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeGuard
from uuid import uuid4

from ledger.errors import AccessRefusedError, ConfigurationError, PermanentError, ResourceError

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:kinfold:problem:"

CORRELATION_HEADER: Final = "X-Correlation-ID"
#: What a client may name its request by. It becomes a field of log lines and events, so it must not forge either.
_CORRELATION_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)
#: RFC 8259, 8.1 and 11: JSON is in UTF-8 and its media type has no parameter; many clients send this one.
_JSON: Final = re.compile(r'application/json(?:[ \t]*;[ \t]*charset=("?)utf-8\1)?', re.ASCII | re.IGNORECASE)
_MAX_NAME: Final = 40
#: OWASP, "REST Security Cheat Sheet": a response is one caller's data, never to be cached, framed, run or sniffed.
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def is_correlation_id(given: str | None) -> TypeGuard[str]:
    """Whether the X-Correlation-ID header holds an id that is taken."""
    return given is not None and _CORRELATION_ID.fullmatch(given) is not None


def correlation_id(given: str | None) -> str:
    """The client's id from the X-Correlation-ID header if it is a valid one, otherwise a new one."""
    return given if is_correlation_id(given) else uuid4().hex


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem. ``detail`` and ``members`` are those of its example.

    ``retry_after``: seconds after which a client may retry one of status 503, the transient ones.
    """

    name: str
    status: int
    title: str
    detail: str
    members: Mapping[str, Any] = field(default_factory=dict)
    retry_after: int = 1

    def of(self, detail: str | None = None, headers: Mapping[str, str] | None = None, **members: Any) -> "ProblemError":
        """A problem of this type; ``detail`` is the example's by default, ``members`` extend the body."""
        return ProblemError(self, detail, headers, **members)

    def example(self) -> dict[str, Any]:
        """The body of an example."""
        return self.of(**self.members).body("order-4711")


class ProblemError(PermanentError):
    """What is wrong with one request: raised to end it, or rendered at once. Its message is the problem's detail.

    ``headers`` are those of the response beside MEDIA_TYPE.
    """

    def __init__(
        self, kind: ProblemType, detail: str | None = None, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        self.type = kind
        self.detail = kind.detail if detail is None else detail
        self.members = members
        retry = {"Retry-After": str(kind.retry_after)} if kind.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
        self.headers = {**retry, **(headers or {})}
        super().__init__(self.detail)

    def body(self, correlation_id: str | None) -> dict[str, Any]:
        """The fields of the response's body."""
        named = {} if correlation_id is None else {"correlationId": correlation_id}
        return {
            "type": TYPE_PREFIX + self.type.name,
            "title": self.type.title,
            "status": self.type.status,
            "detail": self.detail,
            **named,
            **self.members,
        }

    def render(self, correlation_id: str | None) -> bytes:
        """The response's body in JSON."""
        return json.dumps(self.body(correlation_id), separators=(",", ":")).encode()


# Every service.

MALFORMED_REQUEST: Final = ProblemType(
    "malformed-request",
    400,
    "The request is not well-formed",
    "amount: is required",
    {"errors": [{"field": "amount", "message": "is required"}]},
)
CROSS_ORIGIN: Final = ProblemType(
    "cross-origin",
    403,
    "A web page of another origin may not do this",
    "This service is open to everybody, so it takes no change from a browser's page that it has not served itself.",
)
EXPECTATION_FAILED: Final = ProblemType(
    "expectation-failed",
    417,
    "The expectation cannot be met",
    "The only expectation that is met is Expect: 100-continue.",
)
UNAUTHENTICATED: Final = ProblemType(
    "unauthenticated", 401, "Authentication required", "this request needs a token: send Authorization: Bearer TOKEN."
)
MISSING_SCOPE: Final = ProblemType(
    "missing-scope", 403, "The token does not allow this", "token shop does not have the scope write, which this needs."
)
UNKNOWN_PATH: Final = ProblemType("unknown-path", 404, "Not Found", "Nothing is served under this path.")
METHOD_NOT_ALLOWED: Final = ProblemType(
    "method-not-allowed",
    405,
    "Method Not Allowed",
    "This path does not take PUT; the Allow header lists what it takes.",
)
REQUEST_TIMEOUT: Final = ProblemType(
    "request-timeout", 408, "The request did not arrive in time", "The body of a request has 30 s to arrive."
)
BODY_TOO_LARGE: Final = ProblemType(
    "body-too-large", 413, "The request body is too large", "A request body has at most 65536 bytes."
)
HEAD_TOO_LARGE: Final = ProblemType(
    "head-too-large",
    431,
    "The request's head is too large",
    "The path, the query and the headers of a request have at most 8192 bytes together.",
)
UNSUPPORTED_MEDIA_TYPE: Final = ProblemType(
    "unsupported-media-type", 415, "Unsupported Media Type", "Send JSON in UTF-8, with Content-Type: application/json."
)
INTERNAL_ERROR: Final = ProblemType(
    "internal-error",
    500,
    "Internal Server Error",
    "The service failed on this request. Its log has the cause under this correlation id.",
)
NOT_READY: Final = ProblemType(
    "not-ready",
    503,
    "The service is not ready",
    "The events table cannot be reached. The writer's log has the cause.",
)
TABLE_REPLACED: Final = ProblemType(
    "events-table-replaced",
    503,
    "The events table was made anew",
    "table domain-events-prod was made anew: restore its events if they are lost, then `kinfold restore`",
    retry_after=60,
)
AWS_REFUSES: Final = ProblemType(
    "aws-refuses",
    503,
    "AWS refuses the service a call that it needs",
    "AWS refuses dynamodb:PutItem on table/domain-events-prod to this service; nothing was done. Whoever runs it has "
    "to grant it.",
    retry_after=30,
)
UNUSABLE_RESOURCE: Final = ProblemType(
    "unusable-resource",
    503,
    "The service cannot use what it needs",
    "A table or a setting that the service needs cannot be used. Its log has the cause under this correlation id.",
    retry_after=30,
)
HELD_UP: Final = ProblemType(
    "held-up",
    503,
    "The service has made no progress for a while",
    "for 31 s: the endpoint does not answer",
    retry_after=5,
)

# The writer.

UNKNOWN_VERSION: Final = ProblemType(
    "unknown-version",
    404,
    "There never was this version",
    "Aggregate alice is at version 7 and was never at version 9.",
    {"actualVersion": 7},
)
VERSION_CONFLICT: Final = ProblemType(
    "version-conflict",
    409,
    "Other commands were faster",
    "Other commands were faster on alice, now at version 7, each time this one was decided; nothing was "
    "written. Send it again.",
    {"expectedVersion": 6, "actualVersion": 7},
)
PRECONDITION_FAILED: Final = ProblemType(
    "precondition-failed",
    412,
    "A condition of the request does not hold",
    "If-Match asks for version 6, and alice is at version 7; nothing was written. Read it and decide anew.",
    {"expectedVersion": 6, "actualVersion": 7},
)
IDEMPOTENCY_KEY_REUSED: Final = ProblemType(
    "idempotency-key-reused",
    422,
    "The Idempotency-Key stands for another command",
    "This Idempotency-Key was used for another command; nothing was written. A new command needs a new key.",
)
UNAVAILABLE: Final = ProblemType(
    "unavailable",
    503,
    "The event store is unavailable",
    "The event store did not answer in time, so the command may have been carried out or not: send it again with the "
    "same Idempotency-Key, and it counts once.",
)
UNREADABLE_HISTORY: Final = ProblemType(
    "unreadable-history",
    503,
    "The history cannot be read",
    "alice: event 7 cannot be read: unknown event type 'BonusGranted'; nothing was written. Deploy the version of "
    "Kinfold that wrote it, or a later one.",
    {"sequenceNumber": 7},
    retry_after=60,
)
OVERLOADED: Final = ProblemType(
    "overloaded",
    503,
    "The writer is overloaded",
    "The writer has more requests than it can answer in time; nothing was done for this one. Send it again.",
)

# The projector.

BAD_QUERY: Final = ProblemType(
    "bad-query", 400, "The query is not well-formed", "limit is a whole number of 0 or more, not 'x'"
)
BAD_BODY: Final = ProblemType(
    "bad-body", 400, "The body is not well-formed", 'a body like {"reason": "ticket 4711"}, at most 2000 characters'
)
CURSOR_OUTDATED: Final = ProblemType(
    "cursor-outdated",
    410,
    "The cursor leads into rows that are no longer shown",
    "balance-summary was rebuilt after this cursor was made, and shows other rows now: begin without a cursor",
)
NOT_THERE_YET: Final = ProblemType(
    "not-there-yet",
    503,
    "The projection has not reached this version yet",
    "alice is at version 6 here, not yet at 7; ask again",
    {"version": 6},
)
HALTED: Final = ProblemType(
    "halted",
    503,
    "It is halted in this projection",
    "alice is halted at version 6: payload of FundsDeposited: amount: is not an amount",
    {"version": 6},
    retry_after=60,
)
ENDPOINT_UNAVAILABLE: Final = ProblemType(
    "endpoint-unavailable",
    503,
    "The read model is unavailable",
    "the endpoint does not answer",
)
UNREADABLE_ROW: Final = ProblemType(
    "unreadable-row",
    503,
    "The row cannot be read",
    "a row of alice in balance-summary-local-1 cannot be read: `kinfold projector verify --repair` rewrites it",
    retry_after=60,
)
UNKNOWN_DEAD_LETTER: Final = ProblemType(
    "unknown-dead-letter",
    404,
    "There is no such dead letter",
    "there is no dead letter balance-summary~alice~7; `kinfold projector dead-letters list` has all",
)
DEAD_LETTER_CONFLICT: Final = ProblemType(
    "dead-letter-conflict",
    409,
    "The dead letter's event cannot be skipped",
    "alice is at version 7 in the read model: event 7 was applied meanwhile and cannot be skipped",
)


def unknown(kind: str, example: str, begins: str = "") -> ProblemType:
    """The type of the problem that there is no aggregate of this type; ``begins``: how one comes to be."""
    told = f"There is no {kind} {example}" + (f": {begins}." if begins else ".")
    return ProblemType(f"unknown-{kind}", 404, "Not Found", told)


def bad_id(kind: str, rule: str) -> ProblemError:
    """The problem that a path holds no id of an aggregate of this type, whose ``rule`` is a sentence."""
    return ProblemType(f"bad-{kind}-id", 400, f"The path holds no {kind} id", rule).of()


def body_timeout(seconds: float) -> ProblemError:
    """The problem of a request whose body did not arrive in time; the connection is of no use any more."""
    return REQUEST_TIMEOUT.of(f"The body of a request has {seconds:g} s to arrive.", {"Connection": "close"})


def of_status(status: int, method: str, headers: Mapping[str, str] | None = None) -> ProblemError:
    """The problem in place of an error response that a web framework makes itself."""
    match status:
        case HTTPStatus.NOT_FOUND:
            return UNKNOWN_PATH.of(headers=headers)
        case HTTPStatus.METHOD_NOT_ALLOWED:
            detail = f"This path does not take {method[:20]}; the Allow header lists what it takes."
            return METHOD_NOT_ALLOWED.of(detail, headers)
        case _:
            known = HTTPStatus(status)
            name = known.phrase.lower().replace(" ", "-")
            return ProblemType(name, status, known.phrase, known.description or known.phrase).of(headers=headers)


def malformed(field: str, message: str) -> ProblemError:
    """The problem that one field, parameter or header of a request is wrong: 400. ``field`` may be a client's word."""
    shown = shortened(field)
    return MALFORMED_REQUEST.of(f"{shown}: {message}", errors=[{"field": shown, "message": message}])


def shortened(name: str) -> str:
    """A name that the client chose, so that an answer stays small and printable whatever was sent."""
    printable = name if name.isprintable() else ascii(name)
    return printable if len(printable) <= _MAX_NAME else printable[:_MAX_NAME] + "..."


def require_json(content_type: str | None) -> None:
    """Refuse a request whose Content-Type is not application/json, in UTF-8: raises ProblemError of status 415."""
    if not _JSON.fullmatch(content_type or ""):
        raise UNSUPPORTED_MEDIA_TYPE.of()


def of_resource(error: ResourceError | ConfigurationError) -> ProblemError:
    """The problem of a request that failed for want of something that whoever runs the service has to mend."""
    if not isinstance(error, AccessRefusedError):
        return UNUSABLE_RESOURCE.of()
    return AWS_REFUSES.of(
        f"AWS refuses {error.refused} to this service; nothing was done. Whoever runs it has to grant it."
    )
