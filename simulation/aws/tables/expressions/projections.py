"""Projections: the part of an item that a request asks for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from simulation.aws.errors import validation
from simulation.aws.tables.expressions.reader import Names, Path, Reader, found, overlap, resolved
from simulation.aws.tables.values import Item


class Projection:
    """A projection. ``names``, ``values``: what it takes from the request."""

    __slots__ = ("_paths", "names", "values")

    def __init__(self, text: str) -> None:
        reader = Reader(text)
        paths = [reader.path()]
        while reader.accept(","):
            paths.append(reader.path())
        reader.end()
        self._paths = tuple(paths)
        self.names = frozenset(reader.names)
        self.values: frozenset[str] = frozenset()

    def paths(self, names: Names) -> list[Path]:
        """The paths of names. Raises ValidationException when two overlap."""
        paths = [resolved(path, names) for path in self._paths]
        if overlap(paths):
            raise validation("Invalid ProjectionExpression: Two document paths overlap with each other")
        return paths


@lru_cache(maxsize=1024)
def projection(text: str) -> Projection:
    """Compile a projection. Raises ValidationException, NotModelledError."""
    return Projection(text)


def project(item: Item, paths: Iterable[Path]) -> Item:
    """What an item has at some paths of names, at these paths."""
    part: Item = {}
    for path in paths:
        held = found(item, path)
        if held is not None:
            here: Any = part
            for step in path[:-1]:
                here = here.setdefault(step, {"M": {}})["M"]
            here[path[-1]] = held
    return part
