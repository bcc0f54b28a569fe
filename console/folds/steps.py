"""An aggregate after each of its events: by the fold of commands, by each read model's fold, and by its witness.

steps = Steps(kind, "alice", projections, skipped)
for event in events:
steps.add(event)
steps.shown()           # what each of them makes of the events so far
"""

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from ledger.aggregates.aggregate_type import Aggregate, AnyType
from ledger.errors import PermanentError
from ledger.store.stored_event import StoredEvent
from projector.projection import HEAD, Projection
from projector.verification.expected_rows import ExpectedRows

#: Whose fold a state is of.
COMMANDS: Final = "commands"
FOLD: Final = "fold"
WITNESS: Final = "witness"


@dataclass(frozen=True, slots=True)
class Shown:
    """A state as an operator sees it: by the path of each value, its text.

    ``name``: the aggregate's type or the read model's name; ``by``: COMMANDS, FOLD or WITNESS. ``failure``: why the
    events cannot be folded further.
    """

    name: str
    by: str
    values: Mapping[str, str]
    failure: str | None = None


class Steps:
    """One aggregate, an event after the other. Not thread-safe."""

    def __init__(
        self,
        kind: AnyType,
        aggregate_id: str,
        projections: Sequence[Projection[Any]],
        skipped_by: Callable[[str], Callable[[str, int], bool]],
    ) -> None:
        """``projections``: those that take the aggregate. ``skipped_by``: by a projection's name, what it skips."""
        self.aggregate: Aggregate[Any, Any] = Aggregate.new(kind, aggregate_id)
        self.version = 0
        self.last: StoredEvent | None = None
        self._failure: str | None = None
        key = self.aggregate.key
        self._rows: list[tuple[Projection[Any], str, ExpectedRows[Any]]] = []
        for each in projections:
            skipped = skipped_by(each.name)
            self._rows.append((each, FOLD, ExpectedRows(each, key, skipped, witnessed=False)))
            if each.witness is not None:
                self._rows.append((each, WITNESS, ExpectedRows(each, key, skipped)))

    def add(self, event: StoredEvent) -> None:
        """Fold the next event. What cannot fold it says so in ``shown``, and stays where it is."""
        self.version, self.last = event.sequence_number, event
        if self._failure is None:
            try:
                self.aggregate.apply(event.decode(self.aggregate.type))
            except PermanentError as error:
                self._failure = str(error)
        for _, _, rows in self._rows:
            rows.add(event)

    def leave_ids(self) -> None:
        """Leave the ids that were used so far to the archive, as a snapshot does: no fold needs them."""
        self.aggregate.leave_ids(self.version)

    def copy(self) -> "Steps":
        """The same, to be folded on by itself."""
        kept = {id(each): each for each, _, _ in self._rows} | {id(self.aggregate.type): self.aggregate.type}
        return copy.deepcopy(self, kept)

    def shown(self) -> list[Shown]:
        """What each fold makes of the events so far; the same paths name the same things by fold and by witness."""
        kind, state = self.aggregate.type, self.aggregate.state
        values = dict(_flat(json.loads(kind.snapshots.dump(state)))) if self.aggregate.version else {}
        shown = [Shown(kind.name, COMMANDS, values, self._failure)]
        for projection, by, rows in self._rows:
            try:
                found = dict(_row_values(projection, rows))
                shown.append(Shown(projection.name, by, found))
            except PermanentError as error:
                shown.append(Shown(projection.name, by, {}, str(error)))
        return shown

    def numbers(self) -> Iterator[tuple[str, float]]:
        """The numbers in the heads of the read models, by their fold: name and value."""
        for projection, by, rows in self._rows:
            if by != FOLD or projection.part is not None or rows.failure is not None:
                continue
            state = rows.rows()[HEAD].state
            for field in getattr(state, "__dataclass_fields__", ()):
                value = getattr(state, field)
                if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
                    yield f"{projection.name}.{field}", float(value)


def _row_values(projection: Projection[Any], rows: ExpectedRows[Any]) -> Iterator[tuple[str, str]]:
    for part, row in rows.rows().items():
        if row.state is not None:
            prefix = "" if part == HEAD else f"{part} "
            for name, value in _flat(projection.columns.to_json(row.state)):
                yield prefix + name, value


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each value in a JSON document, by its path."""
    match value:
        case dict():
            for name, each in value.items():
                yield from _flat(each, f"{path}.{name}" if path else name)
        case list():
            for index, each in enumerate(value):
                yield from _flat(each, f"{path}[{index}]")
        case None:
            yield path, "none"
        case bool():
            yield path, "yes" if value else "no"
        case _:
            yield path, str(value)
