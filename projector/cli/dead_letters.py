"""``kinfold projector dead-letters``: list, show, redrive and skip what could not be applied."""

import json
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from projector.cli.options import LOOKS, Json

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.runtime.progress_bar import ProgressBars
    from projector.components import Components
    from projector.dead_letters.letters import StoredLetter
    from projector.dead_letters.redrive import Redriven

app = typer.Typer(
    no_args_is_help=True,
    epilog="Exit codes: 0 done, 1 something is still halted or not there, 2 bad settings or arguments, 4 the events "
    "table was made anew, 75 the endpoint does not answer.",
    help="Inspect, redrive or skip dead letters. All commands are idempotent, and safe while workers run.\n\n"
    "[dim]$[/dim] kinfold projector dead-letters list",
)

Aggregate = Annotated[str | None, typer.Option(help="Only letters of this aggregate.")]
Matching = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Only letters whose reason has this text, letter by letter.")
]
Id = Annotated[str | None, typer.Argument(metavar="[ID]", show_default=False)]
State = Annotated[str | None, typer.Option(help="Only letters that are open, redriven or skipped.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Report what would be done, and do nothing.")]
By = Annotated[str | None, typer.Option(help="Who decides, for the record. Default: your user and host.")]


@app.command("list", epilog=LOOKS)
def list_letters(
    aggregate: Aggregate = None, matching: Matching = None, state: State = "open", as_json: Json = False
) -> None:
    """List dead letters: the open ones, unless `--state` names another state or all.

    [dim]$[/dim] kinfold projector dead-letters list --aggregate alice
    """
    from ledger.runtime.cli_output import tell
    from projector.cli.context import operator

    with operator() as components:
        letters = _chosen(components, aggregate, matching, state)
    for letter in letters:
        typer.echo(json.dumps(letter.to_json()) if as_json else _line(letter))
    if not as_json:
        tell(f"{len(letters)} dead letters")


@app.command(epilog=LOOKS)
def show(letter_id: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False) -> None:
    """Show one dead letter with its raw data, which may hold personal data.

    [dim]$[/dim] kinfold projector dead-letters show balance-summary~alice~17
    """
    from projector.cli.context import operator

    with operator() as components:
        shown = components.redrive.letter(letter_id).to_json(raw=True)
    if as_json:
        typer.echo(json.dumps(shown))
        return
    for name, value in shown.items():
        typer.echo(f"{name:>16}  {value}")


@app.command(
    epilog="Exit codes: 0 nothing is halted any more, 1 an aggregate is still halted, a record still unusable, or what "
    "is named is not there, 4 the events table was made anew."
)
def redrive(
    context: typer.Context,
    letter_id: Id = None,
    aggregate: Aggregate = None,
    matching: Matching = None,
    every: Annotated[bool, typer.Option("--all", help="All open letters.")] = False,
    dry_run: DryRun = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Redrive halted aggregates from the event store with today's code: those of one letter, or of all that are chosen.

    Fix the cause first: deploy a version that can apply the event, or correct what was wrong around it.

    [dim]$[/dim] kinfold projector dead-letters redrive balance-summary~alice~17
    [dim]$[/dim] kinfold projector dead-letters redrive --matching "schemaVersion is newer"
    [dim]$[/dim] kinfold projector dead-letters redrive --all --dry-run
    """
    from ledger.runtime.cli_input import operator_name

    if sum((letter_id is not None, aggregate is not None or matching is not None, every)) != 1:
        raise typer.BadParameter("name one letter's ID, or choose by --aggregate and --matching, or take --all")

    def one(components: "Components", each: str) -> "Redriven":
        return components.redrive.redrive(each, components.new_projectors, by=by or operator_name(), dry_run=dry_run)

    _each(one, letter_id, aggregate, matching, as_json=as_json, recorded_as=None if dry_run else (context, by))


@app.command(
    epilog="Exit codes: 0 every event is skipped, 1 one cannot be, a later event halts the aggregate, or what is named "
    "is not there, 4 the events table was made anew."
)
def skip(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why the event may be skipped, for the record.")],
    letter_id: Id = None,
    aggregate: Aggregate = None,
    matching: Matching = None,
    by: By = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Skip one event for good, in this projection, and redrive its aggregate; or the events of all letters chosen.

    The event stays in the event store; the projection counts its version but never applies it, in rebuilds either. The
    writer skips nothing: it refuses the aggregate's commands until it can read the event. Only letters that are open
    now are chosen: where a later event halts the aggregate in turn, it is said, and left for you to decide.

    [dim]$[/dim] kinfold projector dead-letters skip balance-summary~alice~17 --reason "ticket 4711: test deposit"
    [dim]$[/dim] kinfold projector dead-letters skip --aggregate alice --reason "ticket 4711" --dry-run
    """
    from ledger.runtime.cli_input import operator_name
    from projector.dead_letters.letters import MAX_REASON, is_usable_reason
    from projector.dead_letters.redrive import DeadLetterError, NoSuchLetterError, Redriven

    if not is_usable_reason(reason):
        raise typer.BadParameter(f"a reason has 1 to {MAX_REASON} characters", param_hint="--reason")
    if (letter_id is not None) == (aggregate is not None or matching is not None):
        raise typer.BadParameter("name one letter's ID, or choose by --aggregate and --matching")

    def one(components: "Components", each: str) -> Redriven:
        try:
            return components.redrive.skip(
                each, components.new_projectors, by=by or operator_name(), why=reason, dry_run=dry_run
            )
        except NoSuchLetterError:
            raise
        except DeadLetterError as error:
            return Redriven(each, "cannot be skipped", reason=str(error))

    _each(one, letter_id, aggregate, matching, as_json=as_json, recorded_as=None if dry_run else (context, by))


def _each(
    one: "Callable[[Components, str], Redriven]",
    letter_id: str | None,
    aggregate: str | None,
    matching: str | None,
    *,
    as_json: bool,
    recorded_as: tuple[typer.Context, str | None] | None,
) -> None:
    """Do ``one`` to the letter named, or to each open one chosen, report each, and record what is more than a look."""
    from ledger.audit.recorded_command import recorded
    from ledger.runtime.cli_output import tell
    from ledger.runtime.measuring.capacity import metered
    from ledger.runtime.progress_bar import ProgressBars
    from projector.cli.context import operator
    from projector.dead_letters.redrive import UNDONE

    with (
        operator(folds=True) as components,
        metered(components.clients.dynamodb) as units,
        ProgressBars(units) as progress,
    ):
        components.skips.load()
        chosen = _chosen(components, aggregate, matching, "open") if letter_id is None else []
        ids = [letter.id for letter in chosen] if letter_id is None else [letter_id]
        if not ids:
            tell("no open dead letter is so chosen")
            return
        outcomes: list[Redriven] = []
        recording: AbstractContextManager[dict[str, Any]] = nullcontext({})
        if recorded_as is not None:
            recording = recorded(components.audit, *recorded_as)
        with recording as details:
            if len(ids) > 1:
                progress.begin("dead letters", "deciding", len(ids), 0)
            for number, each in enumerate(ids, start=1):
                outcome = one(components, each)
                outcomes.append(outcome)
                _report(outcome, f"{number}/{len(ids)} ", progress, as_json=as_json)
                if len(ids) > 1:
                    progress.advance("dead letters", number)
                details["letters"] = [{"id": each.id, "result": each.result} for each in outcomes]
            if UNDONE.intersection(each.result for each in outcomes):
                raise typer.Exit(1)


def _chosen(
    components: "Components", aggregate: str | None, matching: str | None, state: str | None
) -> "list[StoredLetter]":
    """The letters chosen, in the order in which they came. Raises NoSuchAggregateError."""
    from ledger.store.errors import NoSuchAggregateError

    if state not in {None, "all", "open", "redriven", "skipped"}:
        raise typer.BadParameter("a state is open, redriven, skipped or all")
    if aggregate == "":
        raise typer.BadParameter("an aggregate's id has a character at least", param_hint="--aggregate")
    letters = list(components.letters.list(aggregate_id=aggregate))
    if aggregate is not None and not letters and components.store.version(aggregate).number == 0:
        raise NoSuchAggregateError(aggregate)
    found = [
        letter
        for letter in letters
        if state in (None, "all", letter.state) and (matching is None or matching in letter.letter.reason)
    ]
    return sorted(found, key=lambda letter: (letter.first_at, letter.id))


def _line(letter: "StoredLetter") -> str:
    return f"{letter.id}  {letter.state}  attempts {letter.attempts}  since {letter.first_at}  {letter.letter.reason}"


def _report(outcome: "Redriven", number: str, progress: "ProgressBars", *, as_json: bool) -> None:
    if as_json:
        progress.result(json.dumps(outcome.to_json()))
        return
    reached = ", ".join(f"{table} at version {version}" for table, version in outcome.versions.items())
    progress.result(f"{number}{outcome.id}: {'; '.join(filter(None, [outcome.result, reached, outcome.reason]))}")
