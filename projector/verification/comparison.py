"""Compares an account's rows with its events: which rows are right, and what the others should be. Pure.

A row is right when it is the fold of the events 1..its own version. A lower version than the event store's is lag.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

from ledger.errors import PermanentError
from ledger.store.parallel_scan import Item
from ledger.store.stored_event import StoredEvent
from projector.projection import HEAD, Halt, Projection, Row

S = TypeVar("S")

#: agrees: every row is the fold of all its events. behind: right, but of fewer events. missing: no row yet, which is
#: behind by all. halted: right, and waiting for an operator. wrong: a row that no prefix folds to. extra: rows of an
#: account without events. unreadable: the event store's own history is broken.
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
    """One account's outcome. ``version``: its head's, None without a head; ``stored``: the event store's."""

    account_id: str
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
class AccountHistory:
    """One account's events in order, as far as they can be read; ``broken``: why not further."""

    account_id: str
    events: Sequence[StoredEvent]
    broken: str | None
    skipped: Callable[[str, int], bool]

    @property
    def stored(self) -> int:
        """The version up to which the events can be read."""
        return self.events[-1].sequence_number if self.events else 0

    def event_hash(self, version: int) -> str | None:
        """The hash of the event at a version that can be read; None at version 0."""
        return self.events[version - 1].event_hash if version else None

    def folded(self, until: int) -> list[StoredEvent]:
        """The events 1..until that a projection folds: those that were not skipped."""
        return [
            event
            for event in self.events
            if event.sequence_number <= until and not self.skipped(self.account_id, event.sequence_number)
        ]


def compare(
    projection: Projection[S],
    image: Callable[[Row[S]], Item],
    account: AccountHistory,
    rows: Mapping[str, StoredRow[S]],
) -> Compared[S]:
    """Compare an account's rows, by part, with its events, which were read after them. ``image``: a row's item."""
    stored = rows.get(HEAD)
    head = stored.row if stored else None
    version = head.version if head else None
    halted = head.halted if head else None

    def outcome(kind: Kind, reason: str = "", differences: Sequence[RowDifference[S]] = ()) -> Compared[S]:
        return Compared(account.account_id, kind, version, account.stored, reason, tuple(differences), halted)

    furthest = max((each.row.version for each in rows.values() if each.row), default=0)
    if account.broken is not None and furthest > account.stored:
        return outcome("unreadable", f"the event store cannot be read after version {account.stored}: {account.broken}")
    if account.broken is None and not account.events and rows and not (halted and version == 0 and len(rows) == 1):
        extra = [RowDifference(part, each, None, "no event belongs to it") for part, each in rows.items()]
        return outcome("extra", "the event store holds no event of it", extra)
    try:
        expected = _expected(projection, account, rows, version)
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
    if version is None and (account.events or account.broken):
        return outcome("missing")
    return outcome("behind" if account.stored > (version or 0) else "agrees")


def _expected(
    projection: Projection[S], account: AccountHistory, rows: Mapping[str, StoredRow[S]], version: int | None
) -> dict[str, Row[S]]:
    """The rows that should exist, each at its own version, or at the version that it must have reached."""
    expected: dict[str, Row[S]] = {}
    if HEAD in rows:
        # A head that cannot be read has no version: take the whole history.
        at = min(account.stored if version is None else version, account.stored)
        state = _fold(projection, HEAD, account.folded(at)) if projection.part is None else None
        expected[HEAD] = Row(account.account_id, HEAD, at, state, event_hash=account.event_hash(at))
    if projection.part is None:
        return expected
    by_part: defaultdict[str, list[StoredEvent]] = defaultdict(list)
    for event in account.folded(account.stored):
        by_part[projection.part_of(event)].append(event)
    for part, events in by_part.items():
        found = rows.get(part)
        # A part may be ahead of its head, after a crash between the two writes, and never behind it.
        reached = max(expected[HEAD].version if HEAD in rows else 0, found.row.version if found and found.row else 0)
        prefix = [event for event in events if event.sequence_number <= reached]
        if prefix:
            first: Row[S] = Row(account.account_id, part, 0, None)
            expected[part] = first.advanced(prefix[-1], _fold(projection, part, prefix))
    return expected


def _fold(projection: Projection[S], part: str, events: list[StoredEvent]) -> S | None:
    if projection.witness is not None:
        return projection.witness(events).get(part)
    state: S | None = None
    for event in events:
        state = projection.fold(state, event)
    return state


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
    return "absent" if value is None else str(next(iter(value.values())))[:100]
