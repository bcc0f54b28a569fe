"""Request bodies in JSON (RFC 8259), read strictly: nothing in one may mean two things."""

import json
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from ledger.runtime.problems import malformed

_MAX_REASON: Final = 200


def read_json(body: bytes) -> Any:
    """Read a body. Numbers become int or float.

    Raises ProblemError (400): it is not UTF-8 or not JSON, an object has a name twice, at whatever depth, or it is
    nested too deeply. Its detail never repeats a value.
    """
    try:
        return json.loads(body.decode(), object_pairs_hook=_once_each, parse_constant=_refused)
    except UnicodeDecodeError:
        raise malformed("body", "is not text in UTF-8") from None
    except json.JSONDecodeError as error:
        # The parser's words name what it expected and where, never what it found.
        raise malformed("body", f"is not JSON: {error.msg[:_MAX_REASON]} at character {error.pos}") from None
    except (ValueError, RecursionError):
        # A number of more digits than Python converts, an object inside too many others.
        raise malformed("body", "cannot be read as JSON") from None


def _once_each(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise malformed(name, "is given twice")
        found[name] = value
    return found


def _refused(constant: str) -> NoReturn:
    raise malformed("body", f"is not JSON: {constant} is no number of it")
