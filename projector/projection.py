"""A projection: a fold of an account's events, the rows that hold it, and the error for what it cannot fold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from ledger.domain.events import DomainEvent
from ledger.errors import PermanentError
from ledger.store.errors import UndecodableEventError
from ledger.store.stored_event import StoredEvent
from projector.columns import Columns

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)

#: The sort key of an account's head, in a table whose rows have a part. It sorts before every part.
HEAD: Final = "!"
#: Bounds of all parts, without the head.
ALL_PARTS: Final = ('"', "~")


class UnprojectableEventError(PermanentError):
    """An event that the projection cannot fold: unreadable, absent from the event store, or against a rule."""

    def __init__(self, account_id: str, sequence_number: int, reason: str) -> None:
        self.account_id = account_id
        self.sequence_number = sequence_number
        self.reason = reason
        super().__init__(f"account {account_id}: event {sequence_number} cannot be applied: {reason}")


#: The event that was decoded last: several folds take the same one in turn. Shared by threads, and harmless so.
_latest: list[tuple[StoredEvent, DomainEvent]] = []


def decoded(stored: StoredEvent) -> DomainEvent:
    """Read the domain event for a fold. Raises UnprojectableEventError when it cannot be read."""
    for latest, event in _latest:
        if latest is stored:
            return event
    try:
        event = stored.decode()
    except UndecodableEventError as error:
        raise UnprojectableEventError(stored.aggregate_id, stored.sequence_number, error.reason) from None
    _latest[:] = [(stored, event)]
    return event


class Witness(Protocol[S_co]):
    """Computes an account's states by other code than the fold, an event at a time."""

    def add(self, event: StoredEvent) -> None:
        """Take the next event. Raises UnprojectableEventError when it cannot be read."""

    def states(self) -> Mapping[str, S_co]:
        """The state of each part (HEAD without parts) after the events so far."""


@dataclass(frozen=True, slots=True)
class Projection(Generic[S]):
    """A read model, by one fold.

    Every account has a **head** row: the version up to which its events are folded, and whether it is halted. A
    projection without ``part`` keeps its state there. One with ``part`` keeps one state for each part of an account (a
    day, a bet), in rows of their own with the version of the last event folded into them; the head follows once
    they are durable. So every row is the fold of a prefix of its own events, whatever crashes in between.

    ``fold`` raises UnprojectableEventError for an event that it can never fold. ``witness``, where a projection has
    one, begins one for an account (by its id); verify compares with it.
    """

    name: str
    #: The path under which rows are served: GET /{path}/{account_id}.
    path: str
    columns: Columns[S]
    fold: Callable[[S | None, StoredEvent], S]
    #: The attribute that names a row's part, which part an event belongs to, and the reader of a part that a client
    #: names: it returns it as ``part`` does, and raises ValueError for what can be none.
    part_name: str | None = None
    part: Callable[[StoredEvent], str] | None = None
    parse_part: Callable[[str], str] | None = None
    witness: Callable[[str], Witness[S]] | None = None

    def __post_init__(self) -> None:
        """Raises TypeError for a projection with some of what describes its parts, and not all."""
        if len({self.part_name is None, self.part is None, self.parse_part is None}) > 1:
            raise TypeError(f"projection {self.name}: part_name, part and parse_part go together")

    def table(self, profile: str, generation: int) -> str:
        """The table of one generation."""
        return f"{self.name}-{profile}-{generation}"

    def part_of(self, event: StoredEvent) -> str:
        """The part of the account that the event is folded into; HEAD without parts."""
        return self.part(event) if self.part else HEAD

    def to_json(self, row: "Row[S]") -> dict[str, Any]:
        """A row as the HTTP API shows it."""
        part = {self.part_name: row.part} if self.part_name and row.part != HEAD else {}
        state = self.columns.to_json(row.state) if row.state is not None else {}
        halted = {"halted": row.halted.to_json()} if row.halted else {}
        return {"accountId": row.account_id, **part, "version": row.version, **state, **halted}


@dataclass(frozen=True, slots=True)
class Halt:
    """Why an account is halted: the event, the reason, since when (ISO 8601), and the dead letter with the details."""

    sequence_number: int
    reason: str
    at: str
    dead_letter: str

    def to_json(self) -> dict[str, Any]:
        """The halt as a reader of the account sees it."""
        return {"sequenceNumber": self.sequence_number, "reason": self.reason, "at": self.at, "id": self.dead_letter}


@dataclass(frozen=True, slots=True)
class Row(Generic[S]):
    """One row: the fold of the events 1..version that belong to it.

    ``state`` is None in the head of a projection with parts, and before the first event. ``revision`` counts how often
    a repair has rewritten the row: two rows of one version and different revisions may differ. ``event_hash`` is that
    of the event at ``version``; None before the first event, and in a row that was stored without.
    """

    account_id: str
    part: str
    version: int
    state: S | None
    halted: Halt | None = None
    revision: int = 0
    event_hash: str | None = None

    def advanced(self, event: StoredEvent, state: S | None) -> "Row[S]":
        """The row after ``event``, in its new state."""
        version, event_hash = event.sequence_number, event.event_hash
        return Row(self.account_id, self.part, version, state, self.halted, self.revision, event_hash)
