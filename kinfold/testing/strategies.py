"""Hypothesis strategies: the commands of a resource, and the histories that commands bring about."""

import re
from datetime import timedelta
from typing import Annotated, Any, Final, TypeVar

from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from kinfold.testing.decision import brought_about
from kinfold.testing.history import START, History, at
from ledger.aggregates.aggregate_type import AggregateType
from ledger.aggregates.errors import RefusedError
from ledger.aggregates.events import Event
from writer.resource import Command, Resource

S = TypeVar("S")
E = TypeVar("E", bound=Event)

#: Between two events: several fall on one day, and a history on several.
_STEP: Final = timedelta(hours=9)
#: More digits than a number of DynamoDB's has: what an int without a bound lets in.
_BEYOND: Final = 10**40


def commands(resource: Resource[S], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Command[S]]:
    """The resource's commands. ``fields``: the strategy of each field of this name, in whichever command has it.

    A field without one is drawn from its type, or from the pattern in its JSON schema; an int that has no upper bound
    goes beyond what DynamoDB holds, since a client can. Give a strategy to ids that several commands have to agree on,
    to what must be one of few, and to a type that hypothesis does not know.

    Raises TypeError for a name that no command has; drawing raises it for a value that a command does not take.
    """
    if unknown := fields.keys() - {name for model in resource.commands for name in model.model_fields}:
        raise TypeError(f"no command of {resource.path} has a field {', '.join(sorted(unknown))}")
    return st.one_of([_command(model, fields) for model in resource.commands])


@st.composite
def histories(
    draw: st.DrawFn, kind: AggregateType[S, E], commands: st.SearchStrategy[Command[S]], *, max_size: int = 24
) -> History[S, E]:
    """Histories of one aggregate: each command is decided on those before it, and what is refused is left out.

    ``max_size`` bounds the commands. An event comes nine hours after the one before it.
    """
    history = History(kind, draw(ids(kind)))
    # The aggregate at hand, as the command before left it: a fold from the start for each would be quadratic.
    aggregate = history.aggregate()
    count = draw(st.integers(1, max_size))
    for command in draw(st.lists(commands, min_size=count, max_size=count)):
        try:
            decided = brought_about(kind, command, aggregate.state)
        except RefusedError:
            continue
        for event in decided:
            history = history.then([at(START + len(history.dated) * _STEP, event)])
            aggregate.apply(event)
    return history


def ids(kind: AggregateType[Any, Any]) -> st.SearchStrategy[str]:
    """Ids of an aggregate type, of the pattern of its rule."""
    return _matching(TypeAdapter(Annotated[str, kind.ids]).json_schema()["pattern"])


def _command(model: type[Command[S]], fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Command[S]]:
    schema = model.model_json_schema(by_alias=False).get("properties", {})

    def drawn(name: str) -> st.SearchStrategy[Any]:
        if name in fields:
            return fields[name]
        if pattern := schema[name].get("pattern"):
            return _matching(pattern)
        field = model.model_fields[name]
        typed: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        unbounded = schema[name].get("type") == "integer" and not {"maximum", "exclusiveMaximum"} & schema[name].keys()
        return st.from_type(typed) | st.just(_BEYOND) if unbounded else st.from_type(typed)

    def made(values: dict[str, Any]) -> Command[S]:
        try:
            return model(**values)
        except ValidationError as error:
            raise TypeError(f"{model.__name__} does not take {values}: give strategies of its fields") from error

    return st.fixed_dictionaries({name: drawn(name) for name in model.model_fields}).map(made)


def _matching(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True)
