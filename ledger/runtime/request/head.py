"""What the head of a request says (RFC 9110, RFC 3986), and what every service refuses in one. Knows no web framework.

What a client states is evaluated or refused, never passed over: who hears 201 believes in the condition that it sent.

    head = RequestHead.from_asgi(scope)
    head.check()                            # whatever is served there
    head.check_taken(Taken(parameters, fields))     # what the route evaluates, once that is known

Both raise ProblemError.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import unquote_to_bytes

from ledger.runtime.problems import EXPECTATION_FAILED, UNSUPPORTED_MEDIA_TYPE, malformed, require_json

#: The fields that state a condition of the request (RFC 9110, 13.1) or the key under which it counts once.
_CONDITIONS: Final = ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range")
_STATED: Final = (*_CONDITIONS, "Idempotency-Key")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
#: A service that decoded these would serve another resource than the one that a proxy before it has let pass.
_AMBIGUOUS: Final = re.compile(r"\.\.?|.*[/\\].*", re.DOTALL)


def combined(lines: Sequence[str] | None) -> str | None:
    """The value of a field: several lines are one list (RFC 9110, 5.3), so that none is passed over."""
    return ", ".join(line.strip() for line in lines) if lines else None


@dataclass(frozen=True, slots=True)
class Taken:
    """What a route evaluates of a request: query parameters, and fields that state a condition or a key."""

    parameters: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RequestHead:
    """Method, path and query as they were sent (percent-encoded), and the field lines in their order."""

    method: str
    path: str
    query: str
    lines: Sequence[tuple[str, str]]

    @classmethod
    def from_asgi(cls, scope: Mapping[str, Any]) -> Self:
        """The head of the request of an ASGI scope (ASGI, "HTTP & WebSocket")."""
        lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        return cls(scope["method"], scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1"), lines)

    def field(self, name: str) -> str | None:
        """The value of a field, of all its lines; None when there is none."""
        return combined([value for each, value in self.lines if each.lower() == name.lower()])

    def check(self) -> None:
        """Refuse what no route of any service can take: a path of two readings, an expectation, an encoding."""
        for segment in self.path.split("/"):
            if _AMBIGUOUS.fullmatch(_decoded("path", segment)):
                raise malformed("path", "no segment of the path may be . or .. or hold an encoded slash or backslash")
        expected = self.field("Expect")
        if expected is not None and expected.lower() != "100-continue":
            raise EXPECTATION_FAILED.of()
        if (self.field("Content-Encoding") or "identity").lower() != "identity":
            # RFC 9110, 15.5.16: the answer says which encoding would do.
            headers = {"Accept-Encoding": "identity"}
            raise UNSUPPORTED_MEDIA_TYPE.of("Send the body without a Content-Encoding.", headers)

    def check_taken(self, taken: Taken) -> None:
        """Refuse a query parameter that the route does not know or has twice, and a condition it does not evaluate."""
        seen = set()
        for pair in filter(None, self.query.split("&")):
            name, *_ = (_decoded("query", part.replace("+", " ")) for part in pair.partition("="))
            if name not in taken.parameters:
                known = ", ".join(sorted(taken.parameters)) or "none"
                raise malformed(name, f"is no query parameter here; known: {known}")
            if name in seen:
                raise malformed(name, "is given twice")
            seen.add(name)
        for stated in _STATED:
            if stated.lower() not in taken.fields and self.field(stated) is not None:
                raise malformed(stated, "is not evaluated here: send the request without it")

    def require_json(self) -> None:
        """Refuse a request whose body does not say that it is JSON, with 415."""
        require_json(self.field("Content-Type"))


def _decoded(where: str, text: str) -> str:
    """Percent-decode a part of the target. Raises ProblemError: it is no text in UTF-8, or holds control characters."""
    if not text.isascii() or _BROKEN_ESCAPE.search(text):
        raise malformed(where, "what is not a visible ASCII character is written as % and two hexadecimal digits")
    try:
        decoded = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise malformed(where, "is not UTF-8") from None
    if _CONTROL.search(decoded):
        raise malformed(where, "holds a control character")
    return decoded
