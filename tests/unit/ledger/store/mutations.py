"""What is almost right: a JSON value, or bytes, changed in a few places."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st


def mutated_json(value: Any, names: Sequence[str] = ()) -> st.SearchStrategy[Any]:
    """The value with up to three of its parts removed, renamed or replaced; ``names``: more names than it has."""
    known = sorted({str(step) for path in _paths(value) for step in path} | set(names))
    leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    inner = st.dictionaries(st.sampled_from(known), leaves, max_size=3)
    others = leaves | inner | st.lists(leaves, max_size=2) | st.sampled_from(known)
    return st.lists(st.tuples(st.randoms(use_true_random=False), st.sampled_from(known), others), max_size=3).map(
        lambda changes: _changed(value, changes)
    )


def mutated_bytes(data: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with up to three pieces replaced by others, or cut off."""
    at = st.integers(0, len(data))
    piece = st.binary(max_size=4) | st.sampled_from([data[start : start + 20] for start in range(0, len(data), 5)])
    return st.lists(st.tuples(at, st.integers(0, 6), piece), max_size=3).map(lambda edits: _edited(data, edits))


def _changed(value: Any, changes: Iterable[tuple[Any, str, Any]]) -> Any:
    root = copy.deepcopy(value)
    for random, name, other in changes:
        paths = [path for path in _paths(root) if path]
        if not paths:
            break
        *way, last = random.choice(paths)
        parent = root
        for step in way:
            parent = parent[step]
        match random.choice(["remove", "rename", "replace", "add"]):
            case "remove":
                del parent[last]
            case "rename" if isinstance(parent, dict):
                parent[name] = parent.pop(last)
            case "add" if isinstance(parent, dict):
                parent[name] = other
            case _:
                parent[last] = other
    return root


def _paths(value: Any) -> list[tuple[Any, ...]]:
    steps: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        steps = value.items()
    elif isinstance(value, list):
        steps = enumerate(value)
    return [(), *((step, *path) for step, part in steps for path in _paths(part))]


def _edited(data: bytes, edits: Iterable[tuple[int, int, bytes]]) -> bytes:
    for at, length, piece in edits:
        data = data[:at] + piece + data[at + length :]
    return data
