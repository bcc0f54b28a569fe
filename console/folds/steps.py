"""An aggregate after each of its events: by the fold of commands, by each read model's fold, and by its witness.

steps = Steps(kind, "alice", projections, skipped)
for event in events:
steps.add(event)
steps.shown()           # what each of them makes of the events so far
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
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
#: Parts that are shown of a read model.
PARTS: Final = 31


@dataclass(frozen=True, slots=True)
class Shown:
    """A state as an operator sees it: by the path of each value, its text.

    ``name``: the aggregate's type or the read model's name; ``by``: COMMANDS, FOLD or WITNESS. ``failure``: why the
    events cannot be folded further. ``differs``: that fold and witness do not agree, in whatever part.
    """

    name: str
    by: str
    values: Mapping[str, str]
    failure: str | None = None
    differs: bool = False


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
        #: Why the aggregate's own fold goes no further.
        self.failure: str | None = None
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
        if self.failure is None:
            try:
                self.aggregate.apply(event.decode(self.aggregate.type))
            except PermanentError as error:
                self.failure = str(error)
        for _, _, rows in self._rows:
            rows.add(event)

    def leave_ids(self) -> None:
        """Leave the ids that were used so far to the archive, as a snapshot does: no fold needs them."""
        self.aggregate.leave_ids(self.version)

    def copy(self) -> "Steps":
        """The same, to be folded on by itself."""
        copied = copy(self)
        copied.aggregate = self.aggregate.copy()
        copied._rows = [(each, by, rows.copy()) for each, by, rows in self._rows]
        return copied

    def parts_with(self, event: StoredEvent) -> dict[str, set[str]]:
        """By read model, the parts that were changed last, and the one that the event is to change."""
        found = {}
        for projection, by, rows in self._rows:
            if by == FOLD:
                with suppress(PermanentError):
                    found[projection.name] = {*list(rows.states())[-PARTS:], projection.part_of(event)}
        return found

    def shown(self, parts: Mapping[str, Collection[str]] | None = None) -> list[Shown]:
        """What each fold makes of the events so far; the same paths name the same things by fold and by witness.

        ``parts``: those that are shown of each read model, by default the PARTS of them that were changed last.
        """
        kind, state = self.aggregate.type, self.aggregate.state
        values = dict(_flat(json.loads(kind.snapshots.dump(state)))) if self.aggregate.version else {}
        shown = [Shown(kind.name, COMMANDS, values, self.failure)]
        made = [(projection, by, *_states(rows)) for projection, by, rows in self._rows]
        for projection, by, states, failure in made:
            differs = any(states != others for other, _, others, _ in made if other is projection)
            chosen = (parts or {}).get(projection.name, list(states)[-PARTS:])
            found = dict(_values(projection, {part: states.get(part) for part in sorted(chosen)}))
            shown.append(Shown(projection.name, by, found, failure, differs))
        return shown

    def numbers(self) -> Iterator[tuple[str, float]]:
        """The numbers in the heads of the read models, by their fold: name and value."""
        for projection, by, rows in self._rows:
            if by != FOLD or projection.part is not None or rows.failure is not None:
                continue
            state = rows.states().get(HEAD)
            for name, value in projection.columns.numbers(state).items() if state is not None else ():
                yield f"{projection.name}.{name}", value


def _states(rows: ExpectedRows[Any]) -> tuple[dict[str, Any], str | None]:
    """By part; and why there are none."""
    try:
        return rows.states(), None
    except PermanentError as error:
        return {}, str(error)


def _values(projection: Projection[Any], states: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for part, state in states.items():
        if state is not None:
            prefix = "" if part == HEAD else f"{part} "
            for name, value in _flat(projection.columns.to_json(state)):
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
