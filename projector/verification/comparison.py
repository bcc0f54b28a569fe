"""Compares an aggregate's rows with its events: which rows are right, and what the others should be. Pure.

A row is right when it is the fold of the events 1..its own version. A lower version than the event store's is lag.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Generic, Literal, TypeVar

from ledger.errors import PermanentError
from ledger.store.errors import CorruptHistoryError
from ledger.store.parallel_scan import Item
from ledger.store.stored_event import StoredEvent
from projector.projection import HEAD, Halt, Projection, Row
from projector.verification.expected_rows import ExpectedRows

S = TypeVar("S")

#: agrees: every row is the fold of all its events. behind: right, but of fewer events. missing: no row yet, which is
#: behind by all. halted: right, and waiting for an operator. wrong: a row that no prefix folds to. extra: rows of an
#: aggregate without events. unreadable: the event store's own history is broken.
Kind = Literal["agrees", "behind", "missing", "halted", "wrong", "extra", "unreadable"]


@dataclass(frozen=True, slots=True)
class StoredRow(Generic[S]):
    """A row as the table holds it; ``row`` is None when it cannot be read."""

    item: Item
    row: Row[S] | None


@dataclass(frozen=True, slots=True)
class RowDifference(Generic[S]):
    """A row that differs: as it was read (None: it is missing), and as it should be (None: it should not exist)."""

    part: str
    found: StoredRow[S] | None
    expected: Row[S] | None
    reason: str


@dataclass(frozen=True, slots=True)
class Compared(Generic[S]):
    """One aggregate's outcome. ``version``: its head's, None without a head; ``stored``: the event store's."""

    aggregate_id: str
    kind: Kind
    version: int | None
    stored: int
    reason: str = ""
    differences: tuple[RowDifference[S], ...] = ()
    halted: Halt | None = None

    @property
    def behind(self) -> int:
        """Events that the event store holds and the head does not."""
        return max(self.stored - (self.version or 0), 0)


@dataclass(frozen=True, slots=True)
class AggregateHistory:
    """One aggregate's events in order; iterating raises CorruptHistoryError where they cannot be read further."""

    aggregate_id: str
    events: Iterable[StoredEvent]
    skipped: Callable[[str, int], bool]


def compare(
    projection: Projection[S],
    image: Callable[[Row[S]], Item],
    aggregate: AggregateHistory,
    rows: Mapping[str, StoredRow[S]],
) -> Compared[S]:
    """Compare an aggregate's rows, by part, with its events, which are read after them. ``image``: a row's item."""
    stored = rows.get(HEAD)
    head = stored.row if stored else None
    version = head.version if head else None
    halted = head.halted if head else None
    # What cannot be read has no version: take the whole history.
    limits = {part: each.row.version if each.row else (inf if part == HEAD else 0) for part, each in rows.items()}
    folded = ExpectedRows(projection, aggregate.aggregate_id, aggregate.skipped, limits)
    broken = None
    try:
        for event in aggregate.events:
            folded.add(event)
    except CorruptHistoryError as error:
        broken = str(error)

    def outcome(kind: Kind, reason: str = "", differences: Sequence[RowDifference[S]] = ()) -> Compared[S]:
        return Compared(aggregate.aggregate_id, kind, version, folded.stored, reason, tuple(differences), halted)

    furthest = max((each.row.version for each in rows.values() if each.row), default=0)
    if broken is not None and furthest > folded.stored:
        return outcome("unreadable", f"the event store cannot be read after version {folded.stored}: {broken}")
    if broken is None and not folded.stored and rows and not (version == 0 and len(rows) == 1):
        extra = [RowDifference(part, each, None, "no event belongs to it") for part, each in rows.items()]
        return outcome("extra", "the event store holds no event of it", extra)
    try:
        expected = folded.rows()
    except PermanentError as error:
        return outcome("unreadable", f"its events cannot be folded: {error}")
    differences = [
        difference
        for part in sorted(rows.keys() | expected.keys())
        if (difference := _difference(image, part, rows.get(part), expected.get(part))) is not None
    ]
    if differences:
        return outcome(
            "wrong", "; ".join(_named(projection, difference) for difference in differences[:5]), differences
        )
    if halted is not None:
        return outcome("halted", f"event {halted.sequence_number}: {halted.reason}")
    if version is None and (folded.stored or broken):
        return outcome("missing")
    return outcome("behind" if folded.stored > (version or 0) else "agrees")


def _difference(
    image: Callable[[Row[S]], Item], part: str, found: StoredRow[S] | None, expected: Row[S] | None
) -> RowDifference[S] | None:
    if expected is None:
        assert found is not None
        return RowDifference(part, found, None, "no event belongs to it")
    if found is None:
        return RowDifference(part, None, expected, "it is missing")
    has = {name: value for name, value in found.item.items() if name not in {"halted", "revision"}}
    # A row that was stored without its event's hash is given one by the next event.
    should = image(expected if "eventHash" in has else replace(expected, event_hash=None))
    names = sorted(name for name in has.keys() | should.keys() if has.get(name) != should.get(name))
    if not names and found.row is not None:
        return None
    differences = [f"{name} is {_shown(has.get(name))}, should be {_shown(should.get(name))}" for name in names]
    return RowDifference(part, found, expected, ", ".join(differences) or "it cannot be read")


def _named(projection: Projection[Any], difference: RowDifference[Any]) -> str:
    return (
        difference.reason
        if difference.part == HEAD
        else f"{projection.part_name} {difference.part}: {difference.reason}"
    )


def _shown(value: Any) -> str:
    match value:
        case None:
            return "absent"
        case {"NULL": _}:
            return "none"
        case {"L": list(values)}:
            return f"[{', '.join(map(_shown, values))}]"[:100]
        case _:
            return str(next(iter(value.values())))[:100]
