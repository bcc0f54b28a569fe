"""Answers whose JSON is what botocore returns, apart from their times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

#: Puts datetimes in place of seconds since 1970, within a JSON value.
Reader = Callable[[Any], None]


class _BlobError(Exception):
    """A shape holds blobs."""


def reader(shape: Any) -> Reader | None:
    """What makes botocore's answer of a shape's JSON; None where it holds blobs, which are base64 in JSON.

    Attribute values count as plain JSON: one that holds a binary attribute is none.
    """
    try:
        found = _reader(shape)
    except _BlobError:
        return None
    return found or (lambda _: None)


def _reader(shape: Any) -> Reader | None:
    if shape is None or shape.name == "AttributeValue":
        return None
    if shape.type_name == "blob":
        raise _BlobError
    if shape.type_name == "structure":
        return _structure(shape)
    if shape.type_name in {"list", "map"}:
        member = _reader(shape.member if shape.type_name == "list" else shape.value)
        return None if member is None else lambda value: _each(value, member)
    return None


def _each(values: Any, member: Reader) -> None:
    for value in values.values() if isinstance(values, dict) else values:
        member(value)


def _structure(shape: Any) -> Reader | None:
    times = [name for name, member in shape.members.items() if member.type_name == "timestamp"]
    readers = {name: found for name, member in shape.members.items() if (found := _reader(member)) is not None}
    if not times and not readers:
        return None

    def read(value: dict[str, Any]) -> None:
        for name in times:
            if name in value:
                value[name] = datetime.fromtimestamp(value[name], UTC)
        for name, member in readers.items():
            if name in value:
                member(value[name])

    return read
