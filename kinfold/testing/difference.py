"""What a failed check says: the difference, a line each."""

import difflib


def same(wanted: object, found: object, otherwise: str) -> None:
    """Raise AssertionError, at the caller's line, unless both are equal: what is otherwise, and the difference.

    Lines of ``-`` for what was wanted, ``+`` for what there is instead, ``?`` under what differs; a tuple is a line for
    each of its members.
    """
    __tracebackhide__ = True
    if wanted != found:
        lines = "\n".join(line.rstrip("\n") for line in difflib.ndiff(_lines(wanted), _lines(found)))
        raise AssertionError(f"{otherwise} (- wanted, + found):\n{lines}")


def hold(condition: bool, otherwise: str) -> None:
    """Raise AssertionError, at the caller's line, unless the condition holds."""
    __tracebackhide__ = True
    if not condition:
        raise AssertionError(otherwise)


def _lines(value: object) -> list[str]:
    return [repr(each) for each in value] if isinstance(value, tuple) else [repr(value)]
