"""An aggregate type: the ids, the events and the fold of one kind of thing whose history is kept."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from pydantic import TypeAdapter
from pydantic.alias_generators import to_camel

from ledger.aggregates.events import Event, EventTypes
from ledger.aggregates.identifiers import MARK, TYPE_NAME, Identifier, is_key
from ledger.aggregates.used_ids import UsedIds

S = TypeVar("S")
E = TypeVar("E", bound=Event)


class SnapshotCodec(Protocol[S]):
    """Writes a state as text, and reads it back. A snapshot is a copy that can always be made anew from the events."""

    #: Raise it with every change to the fold or to the state: a snapshot of a schema that ``load`` does not know is
    #: never used, and the next one replaces it.
    schema: int

    def dump(self, state: S) -> str:
        """The state as text."""
        ...

    def load(self, text: str, schema: int, aggregate_id: str, version: int) -> S | None:
        """The state of the aggregate at ``version`` from its text; None for a schema that this code does not use.

        Raises ValueError, KeyError or TypeError for a text that cannot be read.
        """
        ...


class JsonSnapshots(Generic[S]):
    """The codec of a state that pydantic can write and read as it is: a model, or a dataclass of plain fields."""

    def __init__(self, state: type[S], *, schema: int = 1) -> None:
        self.schema = schema
        self._adapter: TypeAdapter[S] = TypeAdapter(state)

    def dump(self, state: S) -> str:
        """The state as JSON."""
        return self._adapter.dump_json(state).decode()

    def load(self, text: str, schema: int, aggregate_id: str, version: int) -> S | None:  # noqa: ARG002
        """Read the state. Raises ValidationError, a ValueError."""
        return self._adapter.validate_json(text) if schema == self.schema else None


@dataclass(frozen=True)
class Archive(Generic[S, E]):
    """What an archive needs to know of an aggregate whose ids are used once, such as the ids of orders.

    ``ids``: where the state has them; its fold adds each, with the number of the event. ``used_by``: the id that an
    event uses up, None for most.
    """

    ids: Callable[[S], UsedIds]
    used_by: Callable[[E], str | None]


def _alone(state: S) -> S:
    return state


@dataclass(frozen=True, kw_only=True)
class AggregateType(Generic[S, E]):
    """One kind of aggregate: what its histories are made of, and what they amount to.

    ``initial`` gives the state of an aggregate (by its id) that has no events. ``fold`` gives the state after an event
    that follows it, and never refuses one: a stored event is a fact. It may change the state that it is given and
    return it, if ``copy`` makes a state apart from another; a fold of frozen states needs no ``copy``.

    The events of an aggregate are stored under its **key**: its id alone where ``bare_ids`` says so, which at most one
    type of a ledger may have; ``TYPE~ID`` for every other one. So no two aggregates share a key.
    """

    #: Stored with every event: it may never change. Lower case, digits and hyphens.
    name: str
    events: EventTypes[E]
    initial: Callable[[str], S]
    fold: Callable[[S, E], S]
    snapshots: SnapshotCodec[S]
    copy: Callable[[S], S] = _alone
    #: The rule of its ids, within that of every id.
    ids: Identifier = field(default_factory=Identifier)
    bare_ids: bool = False
    archive: Archive[S, E] | None = None
    #: How many states of the usual size (some KB) one takes in memory, where it can be much larger.
    weight: Callable[[S], int] = field(default=lambda _: 1)

    def __post_init__(self) -> None:
        """Raises TypeError for a name that cannot be in a key."""
        if not TYPE_NAME.fullmatch(self.name):
            raise TypeError(f"aggregate type {self.name!r}: a name is lower case letters, digits and hyphens")

    @property
    def id_name(self) -> str:
        """The name of its ids in JSON, such as ``accountId``."""
        return to_camel(self.name.replace("-", "_")) + "Id"

    def key(self, aggregate_id: str) -> str:
        """The key under which the aggregate's events are stored."""
        return aggregate_id if self.bare_ids else f"{self.name}{MARK}{aggregate_id}"

    def id_of(self, key: str) -> str | None:
        """The id of the aggregate that has this key; None for a key of another type's."""
        if not is_key(key):
            return None
        name, _, aggregate_id = key.rpartition(MARK)
        own = name == ("" if self.bare_ids else self.name)
        return aggregate_id if own and self.ids.accepts(aggregate_id) else None


@dataclass(slots=True)
class Aggregate(Generic[S, E]):
    """One aggregate at a version: its state is the fold of its events 1..version; version 0 has none."""

    type: AggregateType[S, E]
    id: str
    version: int
    state: S

    @classmethod
    def new(cls, kind: AggregateType[S, E], aggregate_id: str) -> "Aggregate[S, E]":
        """An aggregate without events."""
        return cls(kind, aggregate_id, 0, kind.initial(aggregate_id))

    @property
    def key(self) -> str:
        """The key under which its events are stored."""
        return self.type.key(self.id)

    @property
    def used_ids(self) -> UsedIds | None:
        """The ids that it has used, if its type has such ids."""
        return self.type.archive.ids(self.state) if self.type.archive is not None else None

    def copy(self) -> "Aggregate[S, E]":
        """The same aggregate, to be changed by itself."""
        return Aggregate(self.type, self.id, self.version, self.type.copy(self.state))

    def recall_ids(self, used_ids: Iterable[str]) -> None:
        """Know again of used ids that the archive has."""
        if (used := self.used_ids) is not None:
            used.recall(used_ids)

    def leave_ids(self, version: int) -> None:
        """Leave the ids that were used up to ``version`` to the archive, which has them."""
        if (used := self.used_ids) is not None:
            used.leave(version)

    def apply(self, event: E) -> None:
        """Fold the event that follows."""
        self.state = self.type.fold(self.state, event)
        self.version += 1

    def __str__(self) -> str:
        return f"{self.type.name} {self.id}"


AnyType = AggregateType[Any, Any]


class AggregateTypes:
    """The aggregate types of a ledger, by name."""

    def __init__(self, types: Iterable[AnyType]) -> None:
        """Raises TypeError when two have one name, or two have bare ids."""
        self._types: Final[dict[str, AnyType]] = {}
        for each in types:
            if self._types.setdefault(each.name, each) is not each:
                raise TypeError(f"two aggregate types are named {each.name}")
        if len(bare := [each.name for each in self if each.bare_ids]) > 1:
            raise TypeError(f"only one aggregate type can have bare ids, not {' and '.join(bare)}")

    def __iter__(self) -> Iterator[AnyType]:
        return iter(self._types.values())

    def get(self, name: str) -> AnyType | None:
        """The type of this name, if there is one."""
        return self._types.get(name)

    def of_key(self, key: str) -> AnyType | None:
        """The type whose aggregates have keys like this one; None when there is none."""
        return next((each for each in self if each.id_of(key) is not None), None)

    def fits(self, key: str, name: str) -> bool:
        """Whether an aggregate of the type of this name can have this key; also for a type that is not here.

        An event for which it cannot was written past the event store.
        """
        prefix, mark, _ = key.rpartition(MARK)
        return is_key(key) and (not mark or prefix == name) and self.of_key(key) is self.get(name)

    @property
    def names(self) -> Sequence[str]:
        """The names of the types."""
        return tuple(self._types)
