"""``kinfold account``: one aggregate of any type, as its events fold it and as each read model shows it."""

import collections
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from console.looking.served_rows import ServedRow
    from ledger.aggregates.aggregate_type import AggregateTypes, AnyType
    from ledger.store.stored_event import StoredEvent
    from projector.components import Components

EPILOG: Final = (
    "Exit codes: 0 shown, whatever state it is in; 1 there is no such aggregate or table; 2 bad settings or arguments; "
    "75 the endpoint does not answer; 130 Ctrl-C."
)
#: Parts of a read model's row that are shown, the last ones.
_PARTS: Final = 5


def account(
    aggregate_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, or its key such as member~alice.")],
    aggregate_type: Annotated[
        str | None, typer.Option(show_default=False, help="Its type, where several could have this id.")
    ] = None,
    last: Annotated[int, typer.Option("--last", min=0, max=1000, help="How many of its events are shown.")] = 10,
    watch: Annotated[bool, typer.Option("--follow", "-f", help="Show it anew whenever something changes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output, one object a line.")] = False,
) -> None:
    """Show one aggregate: its state by its events, each read model's row beside it, and its last events.

    Folds all of its events, past every snapshot, and reads each row where readers do. So what is behind, wrong or
    halted stands next to what should be there, with what to do about it. For accounts, and for every other aggregate of
    the domain. Shows payloads, which may hold personal data.

    [dim]$[/dim] kinfold account alice
    [dim]$[/dim] kinfold account alice --aggregate-type member --follow
    [dim]$[/dim] kinfold account member~alice --json | jq .readModels
    """
    from kinfold.inspection.live_view import follow, live, on_terminal
    from kinfold.inspection.plain_text import as_json as json_line
    from ledger.runtime.cli_output import output
    from ledger.store.errors import NoSuchAggregateError
    from projector.cli.context import operator

    with operator() as components:
        kind, key = named(components.aggregates, aggregate_id, aggregate_type)
        reader = Reader(components, kind, key, last)

        def shown() -> None:
            if as_json:
                typer.echo(json_line(reader.seen.to_json()))
            else:
                _draw(output(), reader.seen)

        if not reader.look().version and not any(each.row for each in reader.seen.models):
            raise NoSuchAggregateError(key)
        if not watch:
            shown()
        elif on_terminal() and not as_json:

            def drawn(console: "Console") -> None:
                _draw(console, reader.look())

            live(drawn, 1.0)
        else:
            follow(lambda: reader.look().to_json(), shown, 1.0)


def named(types: "AggregateTypes", text: str, type_name: str | None) -> "tuple[AnyType, str]":
    """The type and the key of the aggregate that somebody names. Raises BadParameter, which says what would do."""
    if type_name is not None:
        kind = types.get(type_name)
        if kind is None:
            raise typer.BadParameter(
                f"the domain has no {type_name!r}; it has {', '.join(types.names)}", param_hint="--aggregate-type"
            )
        key = text if kind.id_of(text) is not None else kind.key(text)
        if kind.id_of(key) is None:
            raise typer.BadParameter(f"{text!r} is no id of {kind.name}: {kind.ids.sentence}", param_hint="ID")
        return kind, key
    if (kind := types.of_key(text)) is not None:
        return kind, text
    could = [each for each in types if each.id_of(each.key(text)) is not None]
    if len(could) == 1:
        return could[0], could[0].key(text)
    if could:
        names = " or ".join(f"--aggregate-type {each.name}" for each in could)
        raise typer.BadParameter(f"aggregates of several types can have the id {text!r}: add {names}", param_hint="ID")
    raise typer.BadParameter(f"{text!r} is no id of {', '.join(types.names)}", param_hint="ID")


@dataclass(frozen=True, slots=True)
class ReadModelRow:
    """One read model's row of the aggregate; ``trouble``: why there is none to show."""

    name: str
    version: int
    row: dict[str, Any] | None
    halted: dict[str, Any] | None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The aggregate as it was looked at. ``unread``: why its events beyond ``folded`` could not be folded."""

    kind: str
    id: str
    key: str
    version: int
    folded: int
    state: Any
    unread: str | None
    models: "Sequence[ReadModelRow]"
    events: "Sequence[StoredEvent]"

    def advice(self) -> list[str]:
        """What is wrong, and what to do about it."""
        from kinfold.inspection.plain_text import plain

        found = [f"the events table: {plain(self.unread)}"] if self.unread else []
        for each in self.models:
            if each.trouble is not None:
                found.append(f"{each.name}: {plain(each.trouble)}")
            elif each.halted is not None:
                letter = each.halted["id"]
                found.append(
                    f"{each.name} is halted at event {each.halted['sequenceNumber']} since {each.halted['at']}: "
                    f"{plain(each.halted['reason'])}. `kinfold projector dead-letters show {letter}`; mend the cause "
                    f"and `... redrive {letter}`, or `... skip {letter} --reason WHY`"
                )
            elif each.version < self.version:
                found.append(
                    f"{each.name} is {self.version - each.version} events behind: `kinfold projector status` says "
                    "whether they are on their way, `kinfold projector verify --repair` brings them"
                )
            elif each.version > self.version:
                found.append(
                    f"{each.name} has {each.version - self.version} events that the events table lacks: "
                    "`kinfold restore --dry-run`"
                )
        return found

    def to_json(self) -> dict[str, Any]:
        """The aggregate as ``--json`` prints it."""
        from kinfold.inspection.plain_text import event_json

        return {
            "aggregateType": self.kind,
            "id": self.id,
            "key": self.key,
            "version": self.version,
            "foldedTo": self.folded,
            "state": self.state,
            "readModels": [
                {
                    "name": each.name,
                    "version": each.version,
                    "behind": max(self.version - each.version, 0),
                    "row": each.row,
                    "halted": each.halted,
                    "trouble": each.trouble,
                }
                for each in self.models
            ],
            "advice": self.advice(),
            "events": [event_json(each) for each in self.events],
        }


class Reader:
    """Looks at one aggregate, again and again: what it has folded it does not read anew."""

    def __init__(self, components: "Components", kind: "AnyType", key: str, last: int) -> None:
        from console.folds.steps import Steps

        self._components = components
        self._steps = Steps(kind, str(kind.id_of(key)), (), components.skips.of)
        self._events: collections.deque[StoredEvent] = collections.deque(maxlen=last)
        self.seen: Seen

    def look(self) -> Seen:
        """Look at it. Raises ThrottledError, EndpointError, ResourceError."""
        from console.looking.served_rows import served_rows

        of = self._steps.aggregate
        # Rows before events: what is appended meanwhile can only make a row late.
        rows = served_rows(self._components, of.key, _PARTS)
        unread = self._read_on()
        self.seen = Seen(
            of.type.name, of.id, of.key, self._steps.version, of.version, self._state(), unread,
            list(map(_model, rows)), tuple(self._events),
        )  # fmt: skip
        return self.seen

    def _read_on(self) -> str | None:
        """Fold what has come since; gives why events could not be folded."""
        from ledger.store.errors import CorruptHistoryError

        try:
            for event in self._components.store.read(self._steps.aggregate.key, after=self._steps.version):
                self._events.append(event)
                self._steps.add(event)
        except CorruptHistoryError as error:
            return str(error)
        return f"{self._steps.failure}; the state is that before it" if self._steps.failure is not None else None

    def _state(self) -> Any:
        """The state as the writer shows it, or as a snapshot holds it where nothing serves it."""
        from ledger.aggregates.domain import load_domain
        from writer.resource import Resource

        kind, state = self._steps.aggregate.type, self._steps.aggregate.state
        for each in load_domain(self._components.settings.domain).parts("RESOURCES", Resource):
            if each.aggregate is kind:
                view = each.view.of(state)
                return json.loads(view.model_dump_json(by_alias=True))
        return json.loads(kind.snapshots.dump(kind.copy(state)))


def _model(row: "ServedRow") -> ReadModelRow:
    page = row.projection.page(row.head, row.parts) if row.head is not None else None
    halted = page.get("halted") if page is not None else None
    return ReadModelRow(row.projection.name, row.version, page, halted, row.trouble)


def _draw(console: "Console", seen: Seen) -> None:
    from kinfold.inspection.plain_text import as_json, event_line
    from ledger.runtime.cli_output import print_line, print_table

    rows = [("events", str(seen.version), as_json(seen.state))]
    rows += [
        (each.name, str(each.version), "no row" if each.row is None else as_json(_without_keys(each.row)))
        for each in seen.models
    ]
    print_table(console, f"{seen.kind} {seen.id}", ("according to", "version", "it is"), rows)
    advice = seen.advice()
    for line in advice:
        print_line(console, line, "yellow")
    if seen.events:
        print_line(console, f"the last {len(seen.events)} of {seen.version} events", "bold")
    for event in seen.events:
        print_line(console, event_line(event))
    print_line(console, "needs attention" if advice else "all agree on the version", "yellow" if advice else "green")


def _without_keys(row: dict[str, Any]) -> dict[str, Any]:
    """What a row says beyond what stands beside it."""
    return {name: value for name, value in list(row.items())[1:] if name not in {"version", "halted"}}
