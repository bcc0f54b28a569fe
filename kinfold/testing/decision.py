"""What an aggregate decides, as the writer asks it: on its fold, and on a snapshot whose used ids are archived."""

from copy import deepcopy
from typing import Any, TypeVar

from kinfold.testing.difference import hold, same
from kinfold.testing.history import History
from ledger.aggregates.aggregate_type import Aggregate, AggregateType
from ledger.aggregates.errors import RefusedError
from ledger.aggregates.events import Event
from ledger.store.stored_event import StoredEvent
from writer.resource import Command

S = TypeVar("S")
E = TypeVar("E", bound=Event)


def decide(history: History[S, E], command: Command[S]) -> tuple[Event, ...] | RefusedError:
    """The events that the command brings about, or its refusal.

    Raises AssertionError where the command changes the state, brings about nothing or an event of no such aggregate,
    refuses by a rule that it does not declare, or decides otherwise on the aggregate as a snapshot gives it.
    """
    __tracebackhide__ = True
    outcome = _decided(history.aggregate(), command)
    if isinstance(outcome, RefusedError):
        hold(
            type(outcome) in command.refusals,
            f"{type(command).__name__}.refusals lacks {type(outcome).__name__}: {outcome}",
        )
    if history.events:
        again = _decided(recalled(history, command), command)
        archived = f"{command!r} is decided otherwise on a snapshot with its used ids in the archive"
        same(_shown(outcome), _shown(again), f"{archived}: does `used_id` name the id?")
    return outcome


def brought_about(kind: AggregateType[S, E], command: Command[S], state: S) -> tuple[E, ...]:
    """The events that the command brings about. Raises RefusedError; AssertionError for none, or none of the type's."""
    __tracebackhide__ = True
    events: tuple[Any, ...] = tuple(command.decide(state))
    foreign = [each for each in events if type(each) not in kind.events.models]
    hold(bool(events), f"{command!r} brings about no event: it must be one at least, or a refusal")
    hold(not foreign, f"{command!r} brings about what is no event of {kind.name}: {foreign}")
    return events


def recalled(history: History[S, E], command: Command[S]) -> Aggregate[S, E]:
    """The aggregate as the writer has it before it decides the command, in a process that has just started.

    Read from a snapshot; of the ids that the archive has, it knows again the one that the command asks of.
    """
    aggregate, archived = snapshot_of(history), history.aggregate().used_ids
    used, asked = aggregate.used_ids, command.used_id(aggregate.state)
    if used is not None and archived is not None and asked is not None and used.may_be_archived(asked):
        number = archived.recent.get(asked, 0)
        if asked in {_used_by(history, stored) for stored in history.stored[max(number - 1, 0) : number]}:
            aggregate.recall_ids([asked])
    return aggregate


def snapshot_of(history: History[S, E]) -> Aggregate[S, E]:
    """The aggregate, its used ids left to the archive, as its snapshot gives it back."""
    aggregate = history.aggregate()
    aggregate.leave_ids(aggregate.version)
    codec, version = history.kind.snapshots, aggregate.version
    state = codec.load(codec.dump(aggregate.state), codec.schema, history.id, version)
    hold(state is not None, f"{history.kind.name}: a snapshot of the schema that is written is not read")
    assert state is not None
    return Aggregate(history.kind, history.id, version, state)


def _used_by(history: History[S, E], stored: StoredEvent) -> str | None:
    archive = history.kind.archive
    return archive.used_by(stored.decode(history.kind)) if archive is not None else None


def _decided(aggregate: Aggregate[S, E], command: Command[S]) -> tuple[Event, ...] | RefusedError:
    __tracebackhide__ = True
    before = deepcopy(aggregate.state)
    hold(before == aggregate.state, f"{type(before).__name__} has no `==` by its fields: make it a dataclass")
    outcome: tuple[Event, ...] | RefusedError
    try:
        outcome = brought_about(aggregate.type, command, aggregate.state)
    except RefusedError as refusal:
        outcome = refusal
    same(before, aggregate.state, f"{command!r} changes the state when it decides")
    return outcome


def _shown(outcome: tuple[Event, ...] | RefusedError) -> tuple[object, ...]:
    return (type(outcome), str(outcome)) if isinstance(outcome, RefusedError) else outcome
