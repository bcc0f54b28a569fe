"""Given a history, when a command is decided, then these events follow, or a refusal."""

import re
from dataclasses import dataclass
from typing import Generic, TypeVar

from kinfold.testing.decision import decide
from kinfold.testing.difference import hold, same
from kinfold.testing.history import History
from ledger.aggregates.aggregate_type import AggregateType
from ledger.aggregates.errors import RefusedError
from ledger.aggregates.events import Event
from writer.resource import Command

S = TypeVar("S")
E = TypeVar("E", bound=Event)


def given(kind: AggregateType[S, E], *events: E, aggregate_id: str = "alice") -> "Given[S, E]":
    """An aggregate to which these events have happened; none: a new one.

    Each event is written as its payload and read again, as in a ledger. Raises AssertionError for one that does not
    survive this, UndecodableEventError for one that cannot be read.
    """
    __tracebackhide__ = True
    return Given(History.of(kind, events, aggregate_id=aggregate_id)).checked()


@dataclass(frozen=True)
class Given(Generic[S, E]):
    """An aggregate at a version: its history so far."""

    history: History[S, E]

    @property
    def state(self) -> S:
        """The state that the history folds to."""
        return self.history.aggregate().state

    def when(self, command: Command[S]) -> "When[S, E]":
        """Have the command decided as the writer does, and again on a snapshot whose used ids are in the archive.

        Raises AssertionError where the two differ, where the command changes the state, brings about no event, or
        refuses by a rule that its ``refusals`` lack.
        """
        __tracebackhide__ = True
        return When(self.history, command, decide(self.history, command))

    def checked(self) -> "Given[S, E]":
        """The same, once each of its events has survived its payload. Raises AssertionError."""
        __tracebackhide__ = True
        self.history.survives()
        return self


@dataclass(frozen=True)
class When(Generic[S, E]):
    """What became of a command, still to be checked."""

    history: History[S, E]
    command: Command[S]
    outcome: tuple[Event, ...] | RefusedError

    def then(self, *events: E) -> Given[S, E]:
        """The command brought about exactly these events, in this order. Returns the aggregate that they lead to.

        Raises AssertionError, with the difference.
        """
        __tracebackhide__ = True
        match self.outcome:
            case RefusedError() as refused:
                raise AssertionError(f"{self.command!r} was refused: {_named(refused)}") from refused
            case found:
                same(events, found, f"{self.command!r} brought about other events")
        return Given(self.history.then(events)).checked()

    def refuses(self, refusal: type[RefusedError], *, match: str = "") -> Given[S, E]:
        """The command was refused by exactly this rule; ``match`` is searched for in the message, as by pytest.

        Returns the aggregate as it was. Raises AssertionError.
        """
        __tracebackhide__ = True
        match self.outcome:
            case RefusedError() as refused:
                name = refusal.__name__
                hold(type(refused) is refusal, f"{self.command!r} was not refused by {name}, but by {_named(refused)}")
                found = re.search(match, str(refused))
                hold(found is not None, f"{self.command!r} was refused in other words than {match!r}: {refused}")
            case events:
                raise AssertionError(
                    f"{self.command!r} was not refused, but brought about {', '.join(map(repr, events))}"
                )
        return Given(self.history)


def _named(refusal: RefusedError) -> str:
    return f"{type(refusal).__name__}: {refusal}"
