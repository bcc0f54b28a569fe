"""A history of one aggregate: its events as a domain gives them, and as they are stored."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from kinfold.testing.difference import same
from ledger.aggregates.aggregate_type import Aggregate, AggregateType
from ledger.aggregates.events import Event
from ledger.store.stored_event import StoredEvent
from ledger.store.transactions import Draft

S = TypeVar("S")
E = TypeVar("E", bound=Event)

#: When events occur that are given without a time.
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
#: The correlation id of every event here.
_CORRELATION: Final = "testing"


@dataclass(frozen=True, slots=True)
class Dated(Generic[E]):
    """An event, and when it occurs."""

    moment: datetime
    event: E


def at(moment: str | datetime, event: E) -> Dated[E]:
    """An event that occurs at a moment: ISO 8601 such as ``2026-01-31`` or ``2026-01-31T12:00``, UTC unless it says.

    Raises ValueError for another text.
    """
    when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return Dated(when if when.tzinfo is not None else when.replace(tzinfo=UTC), event)


@dataclass(frozen=True, repr=False)
class History(Generic[S, E]):
    """Events 1, 2, 3 … of one aggregate. An event without a time occurs when the one before it did."""

    kind: AggregateType[S, E]
    id: str
    dated: tuple[Dated[E], ...] = ()

    @classmethod
    def of(
        cls, kind: AggregateType[S, E], events: Iterable[E | Dated[E]] = (), *, aggregate_id: str = "alice"
    ) -> "History[S, E]":
        """A history of these events. Raises TypeError for an id that its aggregate type does not take."""
        if not kind.ids.accepts(aggregate_id):
            raise TypeError(f"{kind.ids.sentence}, and {aggregate_id!r} is none: name one by aggregate_id")
        return cls(kind, aggregate_id).then(events)

    def then(self, events: Iterable[E | Dated[E]]) -> "History[S, E]":
        """The history that goes on with these events."""
        dated = list(self.dated)
        for each in events:
            moment = dated[-1].moment if dated else START
            dated.append(each if isinstance(each, Dated) else Dated(moment, each))
        return replace(self, dated=tuple(dated))

    @property
    def key(self) -> str:
        """The key of the aggregate."""
        return self.kind.key(self.id)

    @property
    def events(self) -> tuple[E, ...]:
        """The events, as they were given."""
        return tuple(each.event for each in self.dated)

    @cached_property
    def stored(self) -> tuple[StoredEvent, ...]:
        """The events, as the event store would hold them."""
        return tuple(
            stored
            for number, each in enumerate(self.dated)
            for stored in Draft(self.key, number, self.kind.name, now=each.moment).add([each.event], _CORRELATION)
        )

    def aggregate(self, until: int | None = None) -> Aggregate[S, E]:
        """The aggregate after the events up to number ``until`` (default: all), each of them read from its payload.

        Raises UndecodableEventError.
        """
        aggregate = Aggregate.new(self.kind, self.id)
        for event in self.stored[:until]:
            aggregate.apply(event.decode(self.kind))
        return aggregate

    def survives(self) -> None:
        """Raise AssertionError, with the difference, unless each event is read from its payload as it was given."""
        __tracebackhide__ = True
        for event, stored in zip(self.events, self.stored, strict=True):
            read: Any = stored.decode(self.kind)
            same(event, read, f"{stored.event_type} is read from its payload as another event")

    def __repr__(self) -> str:
        events = ", ".join(f"at({each.moment.isoformat()!r}, {each.event!r})" for each in self.dated)
        return f"History.of({self.kind.name.upper()}, [{events}], aggregate_id={self.id!r})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """As hypothesis shows it where an example fails."""
        printer.text("…" if cycle else repr(self))
