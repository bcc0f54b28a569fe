"""Variables KINFOLD_... of the environment that nobody reads: misspelt, most of them."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Final

from kinfold.settings.reference import all_settings

_PREFIX: Final = "KINFOLD_"


def known_variables() -> frozenset[str]:
    """Every variable KINFOLD_... that a service or a command reads."""
    return frozenset(each.variable for each in all_settings() if each.variable.startswith(_PREFIX))


def unknown_variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Each variable that nobody reads, with the nearest one that somebody does, if one is near.

    Of an environment that ``ledger.runtime.environment`` has left our own variables of.
    """
    known = known_variables()
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name not in known:
            yield name, next(iter(difflib.get_close_matches(name, known, n=1)), None)
