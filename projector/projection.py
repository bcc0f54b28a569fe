"""A projection: a fold of an aggregate's events, the rows that hold it, and the error for what it cannot fold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from ledger.aggregates.aggregate_type import AnyType
from ledger.aggregates.identifiers import TYPE_NAME
from ledger.errors import PermanentError
from ledger.store.errors import UndecodableEventError
from ledger.store.stored_event import StoredEvent
from projector.columns import Columns

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)

#: The sort key of an aggregate's head, in a table whose rows have a part. It sorts before every part.
HEAD: Final = "!"
#: Bounds of all parts, without the head.
ALL_PARTS: Final = ('"', "~")
#: What a row holds beside its state.
_OWN_ATTRIBUTES: Final = frozenset({"aggregateId", "eventHash", "halted", "revision", "version"})
#: What the projector serves beside its read models.
_OWN_PATHS: Final = frozenset({"dead-letters", "docs", "health", "metrics", "ready"})


class UnprojectableEventError(PermanentError):
    """An event that the projection cannot fold: unreadable, absent from the event store, or against a rule."""

    def __init__(self, aggregate_id: str, sequence_number: int, reason: str) -> None:
        self.aggregate_id = aggregate_id
        self.sequence_number = sequence_number
        self.reason = reason
        super().__init__(f"aggregate {aggregate_id}: event {sequence_number} cannot be applied: {reason}")


def failed(what: str, stored: StoredEvent, error: Exception) -> UnprojectableEventError:
    """What becomes of any exception in a domain: it says where, and not its words, which may repeat the event."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({trace.tb_frame.f_code.co_qualname}, line {trace.tb_lineno})" if trace is not None else ""
    reason = f"the {what} failed with {type(error).__name__}{place}"
    return UnprojectableEventError(stored.aggregate_id, stored.sequence_number, reason)


class Witness(Protocol[S_co]):
    """Computes an aggregate's states by other code than the fold, an event at a time."""

    def add(self, event: Any, stored: StoredEvent) -> None:
        """Take the next event."""

    def states(self) -> Mapping[str, S_co]:
        """The state of each part (HEAD without parts) after the events so far."""


@dataclass(frozen=True, slots=True)
class Projection(Generic[S]):
    """A read model of some aggregate types, by one fold.

    Every aggregate has a **head** row: the version up to which its events are folded, and whether it is halted. A
    projection without ``part`` keeps its state there. One with ``part`` keeps one state for each part of an aggregate
    (a day, an order), in rows of their own with the version of the last event folded into them; the head follows once
    they are durable. So every row is the fold of a prefix of its own events, whatever crashes in between.

    ``fold`` gives the state after an event, from the state before (None before the first), the event, and the event as
    it is stored, with its number and its time. It raises UnprojectableEventError for one that it can never fold: its
    aggregate is halted there. ``witness``, where a projection has one, begins one for an aggregate (by its id); verify
    compares with it.
    """

    name: str
    #: The path under which rows are served: GET /{path}/{id}, and GET /{path} for all.
    path: str
    #: Whose events it folds; all others are passed by.
    aggregates: tuple[AnyType, ...]
    columns: Columns[S]
    fold: Callable[[S | None, Any, StoredEvent], S]
    #: The attribute that names a row's part, which part an event belongs to, and the reader of a part that a client
    #: names: it returns it as ``part`` does, and raises ValueError for what can be none.
    part_name: str | None = None
    part: Callable[[Any, StoredEvent], str] | None = None
    parse_part: Callable[[str], str] | None = None
    witness: Callable[[str], Witness[S]] | None = None

    def __post_init__(self) -> None:
        """Raises TypeError for one without aggregates, or with a name, path, columns or parts that cannot be."""
        if not (TYPE_NAME.fullmatch(self.name) and TYPE_NAME.fullmatch(self.path)):
            raise TypeError(f"projection {self.name!r}: name and path are lower case letters, digits and hyphens")
        if self.path in _OWN_PATHS:
            raise TypeError(f"projection {self.name}: /{self.path} is the projector's own")
        if not self.aggregates:
            raise TypeError(f"projection {self.name} takes no aggregates")
        if len({self.part_name is None, self.part is None, self.parse_part is None}) > 1:
            raise TypeError(f"projection {self.name}: part_name, part and parse_part go together")
        taken = {*_OWN_ATTRIBUTES, *(kind.id_name for kind in self.aggregates), self.part_name, f"{self.part_name}s"}
        if twice := taken.intersection(self.columns.names):
            raise TypeError(
                f"projection {self.name}: a row has {', '.join(sorted(map(str, twice)))} beside its columns"
            )

    def table(self, profile: str, generation: int) -> str:
        """The table of one generation."""
        return f"{self.name}-{profile}-{generation}"

    def takes(self, key: str) -> bool:
        """Whether the aggregate of this key is one that it folds."""
        return any(kind.id_of(key) is not None for kind in self.aggregates)

    def page(self, head: "Row[S]", parts: "Sequence[Row[S]]") -> dict[str, Any]:
        """An aggregate as the HTTP API shows it: its head, and some of its parts, where the projection has parts."""
        body = self.to_json(head)
        if self.part_name:
            shown = [self.to_json(row) for row in parts]
            id_name = self.kind_of(head.aggregate_id).id_name
            body[f"{self.part_name}s"] = [{key: value for key, value in row.items() if key != id_name} for row in shown]
        return body

    def kind_of(self, key: str) -> AnyType:
        """The type of the aggregate of this key; the first one for a key that it does not take."""
        return next((kind for kind in self.aggregates if kind.id_of(key) is not None), self.aggregates[0])

    def taken(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        """Those of the events that it folds."""
        names = {kind.name for kind in self.aggregates}
        return [event for event in events if event.aggregate_type in names]

    def key_of(self, text: str) -> str | None:
        """The key of the aggregate that a client names: by an id of the first type, or by a key; None for neither."""
        key = self.aggregates[0].key(text)
        return key if self.takes(key) else text if self.takes(text) else None

    def decode(self, stored: StoredEvent) -> Any:
        """Read the domain event. Raises UnprojectableEventError when it cannot be read, or is not of its key's type."""
        kind = self.aggregates[0] if len(self.aggregates) == 1 else self.kind_of(stored.aggregate_id)
        try:
            return stored.decode(kind)
        except UndecodableEventError as error:
            raise UnprojectableEventError(stored.aggregate_id, stored.sequence_number, error.reason) from None

    def after(self, state: S | None, stored: StoredEvent) -> S:
        """The state after the stored event. Raises UnprojectableEventError, also for a fold that fails."""
        return self.folded(state, self.decode(stored), stored)

    def folded(self, state: S | None, event: Any, stored: StoredEvent) -> S:
        """The same, of an event that is read already: what ``decode`` gives of ``stored``."""
        try:
            return self.fold(state, event, stored)
        except (UnprojectableEventError, MemoryError):
            raise
        except Exception as error:
            raise failed("fold", stored, error) from error

    def witness_of(self, key: str) -> Witness[S] | None:
        """A witness of the aggregate of this key, if the projection has one."""
        return self.witness(str(self.kind_of(key).id_of(key))) if self.witness is not None else None

    def part_of(self, event: StoredEvent) -> str:
        """The part of the aggregate that the event is folded into; HEAD without parts.

        Raises UnprojectableEventError for an event that cannot be read, or of which ``part`` fails to tell.
        """
        return HEAD if self.part is None else self.part_by(self.decode(event), event)

    def part_by(self, event: Any, stored: StoredEvent) -> str:
        """The same, of an event that is read already: what ``decode`` gives of ``stored``."""
        if self.part is None:
            return HEAD
        try:
            return self.part(event, stored)
        except (UnprojectableEventError, MemoryError):
            raise
        except Exception as error:
            raise failed("part", stored, error) from error

    def to_json(self, row: "Row[S]") -> dict[str, Any]:
        """A row as the HTTP API shows it."""
        kind = self.kind_of(row.aggregate_id)
        part = {self.part_name: row.part} if self.part_name and row.part != HEAD else {}
        state = self.columns.to_json(row.state) if row.state is not None else {}
        halted = {"halted": row.halted.to_json()} if row.halted else {}
        return {kind.id_name: kind.id_of(row.aggregate_id), **part, "version": row.version, **state, **halted}


@dataclass(frozen=True, slots=True)
class Halt:
    """Why an aggregate is halted: the event, the reason, since when (ISO 8601), and the dead letter with details."""

    sequence_number: int
    reason: str
    at: str
    dead_letter: str

    def to_json(self) -> dict[str, Any]:
        """The halt as a reader of the aggregate sees it."""
        return {"sequenceNumber": self.sequence_number, "reason": self.reason, "at": self.at, "id": self.dead_letter}


@dataclass(frozen=True, slots=True)
class Row(Generic[S]):
    """One row: the fold of the events 1..version that belong to it.

    ``state`` is None in the head of a projection with parts, and before the first event. ``revision`` counts how often
    a repair has rewritten the row: two rows of one version and different revisions may differ. ``event_hash`` is that
    of the event at ``version``; None before the first event, and in a row that was stored without.
    """

    aggregate_id: str
    part: str
    version: int
    state: S | None
    halted: Halt | None = None
    revision: int = 0
    event_hash: str | None = None

    def advanced(self, event: StoredEvent, state: S | None) -> "Row[S]":
        """The row after ``event``, in its new state."""
        version, event_hash = event.sequence_number, event.event_hash
        return Row(self.aggregate_id, self.part, version, state, self.halted, self.revision, event_hash)
