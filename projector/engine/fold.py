"""The fold of one aggregate's next events: pure, so that the engine, a redrive and the tests share it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from ledger.store.stored_event import StoredEvent
from projector.projection import HEAD, Projection, Row, UnprojectableEventError

S = TypeVar("S")

#: Whether an operator has skipped an event: aggregate and sequence number.
Skipped = Callable[[str, int], bool]


@dataclass(frozen=True, slots=True)
class Poison:
    """An event that a projection can never apply; ``event`` is None when the event store lacks it.

    ``sequence_number`` is None where a row of the aggregate cannot be read: until it is repaired, nothing is applied.
    """

    aggregate_id: str
    sequence_number: int | None
    reason: str
    event: StoredEvent | None


@dataclass(frozen=True, slots=True)
class Folded(Generic[S]):
    """An aggregate after its next events: its head, the parts that changed, and the event at which the fold ended."""

    head: Row[S]
    parts: Mapping[str, Row[S]]
    poison: Poison | None


def fold_on(
    projection: Projection[S],
    head: Row[S],
    parts: Mapping[str, Row[S]],
    events: Iterable[StoredEvent],
    skipped: Skipped,
) -> Folded[S]:
    """Fold ``events``, which follow the head without a gap, into the head and the parts they belong to.

    ``parts`` holds the rows that exist already. A part that crashed ahead of its head holds some of the events: these
    are not folded twice. Stops before the first event that cannot be applied; ``events`` may raise
    UnprojectableEventError itself, to the same effect. Where no row could hold what the events come to, the first one
    after which that is so cannot be applied.
    """
    seen: list[StoredEvent] = []
    folded = _folded(projection, head, parts, _noted(events, seen), skipped, projection.after)
    if storable(projection, (folded.head, *folded.parts.values())):
        return folded
    return _folded(projection, head, parts, seen, skipped, partial(_storable_after, projection))


def storable(projection: Projection[S], rows: Iterable[Row[S]]) -> bool:
    """Whether the table can hold the rows."""
    return all(row.state is None or projection.columns.refusal(row.state) is None for row in rows)


def _noted(events: Iterable[StoredEvent], seen: list[StoredEvent]) -> Iterator[StoredEvent]:
    for event in events:
        seen.append(event)
        yield event


def _storable_after(projection: Projection[S], state: S | None, event: StoredEvent) -> S:
    after = projection.after(state, event)
    if reason := projection.columns.refusal(after):
        raise UnprojectableEventError(event.aggregate_id, event.sequence_number, reason)
    return after


def _folded(
    projection: Projection[S],
    head: Row[S],
    parts: Mapping[str, Row[S]],
    events: Iterable[StoredEvent],
    skipped: Skipped,
    after: Callable[[S | None, StoredEvent], S],
) -> Folded[S]:
    # States as they grow, each with the event that it ends at: rows are made once, of the last ones.
    changed: dict[str, tuple[StoredEvent, S]] = {}
    state, last = head.state, None
    poison = None
    event = None
    try:
        for event in events:
            if not skipped(event.aggregate_id, event.sequence_number):
                if projection.part is None:
                    state = after(state, event)
                else:
                    part = projection.part_of(event)
                    if part in changed:
                        changed[part] = event, after(changed[part][1], event)
                    elif (row := parts.get(part)) is None or event.sequence_number > row.version:
                        changed[part] = event, after(row.state if row else None, event)
            last = event
    except UnprojectableEventError as error:
        held = event if event is not None and event.sequence_number == error.sequence_number else None
        poison = Poison(head.aggregate_id, error.sequence_number, error.reason, held)
    rows = {
        part: (parts.get(part) or Row(head.aggregate_id, part, 0, None)).advanced(*ended)
        for part, ended in changed.items()
    }
    return Folded(head.advanced(last, state) if last else head, rows, poison)


def first_head(aggregate_id: str) -> Row[S]:
    """The head of an aggregate that has no row yet."""
    return Row(aggregate_id, HEAD, 0, None)
