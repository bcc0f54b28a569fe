"""The two PartiQL statements that a read model writes: an INSERT, and an UPDATE of one item under conditions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from simulation.aws.errors import NotModelledError

_CONDITION: Final = re.compile(r'\s*"(\w+)"\s*(=\s*\?|IS MISSING)\s*')
_INSERT: Final = re.compile(r"""INSERT INTO "([\w.-]+)" VALUE \{(.*)\}""")
_FIELD: Final = re.compile(r"\s*'(\w+)'\s*:\s*\?\s*")
_UPDATE: Final = re.compile(r'UPDATE "([\w.-]+)" (.*) WHERE (.*)')
_SET: Final = re.compile(r'(?:SET\s+)?"(\w+)"\s*=\s*\?,?\s*')


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement taken apart: what it assigns, and the conditions that its WHERE names. Parameters in this order."""

    table: str
    insert: bool
    assigned: tuple[str, ...]
    equal: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def parse(text: str) -> Statement:
    """Take a statement apart. Raises NotModelledError for any other shape."""
    if found := _INSERT.fullmatch(text):
        fields = _all(_FIELD, found[2].split(","))
        return Statement(found[1], True, tuple(match[1] for match in fields))
    if found := _UPDATE.fullmatch(text):
        assigned = [match[1] for match in _SET.finditer(found[2])]
        if _SET.sub("", found[2]).strip():
            raise NotModelledError(text)
        conditions = _all(_CONDITION, found[3].split(" AND "))
        same = tuple(match[1] for match in conditions if match[2] != "IS MISSING")
        missing = tuple(match[1] for match in conditions if match[2] == "IS MISSING")
        return Statement(found[1], False, tuple(assigned), same, missing)
    raise NotModelledError(text)


def _all(pattern: re.Pattern[str], parts: Iterable[str]) -> list[re.Match[str]]:
    found = [(pattern.fullmatch(part), part) for part in parts]
    for match, part in found:
        if match is None:
            raise NotModelledError(part)
    return [match for match, _ in found if match]
