"""What a projection makes of a history: its rows, by the projector's own engine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kinfold.testing.history import Dated, History
from kinfold.testing.memory import MemoryEvents, MemoryReadModel
from ledger.aggregates.aggregate_type import AnyType
from ledger.aggregates.events import Event
from projector.projection import HEAD, Projection, Row, UnprojectableEventError

S = TypeVar("S")


@dataclass(frozen=True)
class Projected(Generic[S]):
    """The rows of one aggregate: its head, and its parts by name."""

    head: Row[S]
    rows: Mapping[str, Row[S]]

    @property
    def state(self) -> S | None:
        """The head's state; None in a projection with parts."""
        return self.head.state

    @property
    def parts(self) -> Mapping[str, S]:
        """The state of each part, in order of their names."""
        return {part: row.state for part, row in sorted(self.rows.items()) if row.state is not None}


def project(
    projection: Projection[S], *events: Event | Dated[Any], of: AnyType | None = None, aggregate_id: str = "alice"
) -> Projected[S]:
    """Deliver the history of one aggregate, one event at least; give ``at(moment, event)`` where its time counts.

    ``of``: its type, where the projection takes several that have such events.

    Raises UnprojectableEventError for an event that the projection cannot fold, where a projector would halt the
    aggregate; TypeError for events of none of the types that the projection takes.
    """
    plain = [each.event if isinstance(each, Dated) else each for each in events]
    fitting = (kind for kind in projection.aggregates if {type(each) for each in plain} <= {*kind.events.models})
    kind = of or next(fitting, None)
    if kind is None or not events:
        raise TypeError(f"{projection.name}: give events of one aggregate that it takes, not {plain}")
    history = History.of(kind, events, aggregate_id=aggregate_id)
    history.survives()
    model = MemoryReadModel(projection)
    for poison in model.worker(MemoryEvents([history])).apply(history.stored):
        raise UnprojectableEventError(poison.aggregate_id, poison.sequence_number or 0, poison.reason)
    rows = {part: model.row(item) for (_, part), item in model.items.items()}
    return Projected(rows.pop(HEAD), rows)
