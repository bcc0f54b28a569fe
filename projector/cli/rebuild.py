"""``kinfold projector rebuild``: a new generation of the read models, beside running workers and readers."""

from functools import partial
from typing import Annotated

import typer

from projector.cli.options import WRONG, Json, ProjectionNames, ReadProcesses, ReadUnits, Segments, chosen, refuse

EPILOG = (
    "Exit codes: 0 readers see the new generation, 1 a resource is gone or the build was aborted meanwhile, 2 bad "
    "settings, 3 too many aggregates were halted, 4 the new generation does not agree with the event store and is not "
    "shown, or the events table was made anew, 6 another rebuild is running, 75 the endpoint does not answer, 130 "
    "Ctrl-C (run it again to resume)."
)


def rebuild(
    context: typer.Context,
    projection: ProjectionNames = None,
    segments: Segments = 4,
    processes: ReadProcesses = 1,
    read_units: ReadUnits = None,
    give_up: Annotated[
        bool, typer.Option("--abort", help="Abort a rebuild instead, running or killed, and delete its tables.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Rebuild the read models from the event store, verify them, and then show them to readers.

    The workers keep running and feed both generations; readers see the live one until the new one agrees with the event
    store in every aggregate. A killed rebuild resumes on the next run. The replaced generation is kept: drop it with
    `kinfold projector generations drop`.

    [dim]$[/dim] kinfold projector rebuild --projection balance-summary --segments 8
    """
    if give_up:
        _abort(context, projection, as_json=as_json)
        return
    from ledger.audit.recorded_command import recorded
    from ledger.runtime.cli_output import print_json, to_json
    from ledger.runtime.measuring.capacity import metered
    from ledger.runtime.progress_bar import ProgressBars
    from projector.cli.context import operator
    from projector.rebuild.rebuild import Rebuild, UnverifiedError
    from projector.verification.reading_processes import Processes

    try:
        with (
            operator(folds=True) as components,
            metered(components.clients.dynamodb) as units,
            ProgressBars(units) as progress,
        ):
            projections = chosen(projection, components.projections)
            spread = Processes(processes, read_units, partial(operator, folds=True), units)
            with recorded(components.audit, context) as details:
                rebuilt = Rebuild(components, progress, spread).run(projections, segments=max(segments, processes))
                details["rebuilt"] = to_json(rebuilt)
    except UnverifiedError as error:
        refuse(error, WRONG)
    for each in rebuilt:
        if as_json:
            print_json(each)
        else:
            typer.echo(
                f"{each.projection}: generation {each.generation} replaces {each.replaced}; {each.events} events, "
                f"{each.aggregates} aggregates verified, {each.halted} of them halted, {each.brought_up} brought up"
            )


def _abort(context: typer.Context, names: list[str] | None, *, as_json: bool) -> None:
    from ledger.audit.recorded_command import recorded
    from ledger.runtime.cli_output import print_json, tell
    from projector.cli.context import operator
    from projector.rebuild.generations import GenerationTables

    with operator() as components:
        projections = chosen(names, components.projections)
        tables = GenerationTables(components.clients.dynamodb, components.names)
        with recorded(components.audit, context) as details:
            given_up = tables.abort(projections, tell)
            details["givenUp"] = [{"projection": name, "generation": generation} for name, generation in given_up]
    for name, generation in given_up:
        if as_json:
            print_json({"projection": name, "generation": generation, "result": "given up"})
        else:
            typer.echo(f"{name}: the build of generation {generation} was given up")
    if not given_up:
        tell("no rebuild to abort")
