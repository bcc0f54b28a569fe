"""``kinfold projector generations``: list generations, and drop old ones."""

from typing import Annotated

import typer

from projector.cli.options import LOOKS, Json, ProjectionNames, chosen

app = typer.Typer(
    no_args_is_help=True,
    epilog=LOOKS,
    help="List the generations of the read models, and drop old ones.\n\n"
    "[dim]$[/dim] kinfold projector generations list",
)


@app.command("list", epilog=LOOKS)
def list_generations(projection: ProjectionNames = None, as_json: Json = False) -> None:
    """List generations: active (readers see it), building, retiring (still fed, no longer read) and old.

    [dim]$[/dim] kinfold projector generations list
    """
    from ledger.runtime.cli_output import print_json, to_json
    from projector.cli.context import operator
    from projector.rebuild.build_lease import BuildStore
    from projector.rebuild.generations import GenerationTables

    with operator() as components:
        tables = GenerationTables(components.clients.dynamodb, components.names)
        projections = chosen(projection, components.projections)
        found = [table for each in projections for table in tables.list(each)]
        builds = BuildStore(components.clients.dynamodb, components.names.projections)
        under_way = {
            (job.name, job.generation): (job.phase, progress)
            for job, progress in builds.watched(each.name for each in projections)
        }
    for each in found:
        phase, progress = under_way.get((each.projection, each.generation), (None, None))
        if as_json:
            print_json({**to_json(each), "phase": phase, "build": progress})
        else:
            building = f"  {phase}: {progress}" if progress is not None else ""
            typer.echo(
                f"{each.projection}  {each.generation}  {each.standing}  {each.table}  about {each.rows} rows{building}"
            )


@app.command(epilog="Exit codes: 0 it is deleted, 1 it is active, being built, or never was.")
def drop(
    context: typer.Context,
    projection: Annotated[str, typer.Argument(metavar="PROJECTION")],
    generation: Annotated[int, typer.Argument(min=1)],
) -> None:
    """Delete the table of an old generation for good. An active one, or one being built, is refused.

    [dim]$[/dim] kinfold projector generations drop balance-summary 1
    """
    from ledger.audit.recorded_command import recorded
    from ledger.runtime.cli_output import tell
    from projector.cli.context import operator
    from projector.rebuild.generations import GenerationTables

    with operator() as components:
        (of,) = chosen([projection], components.projections)
        tables = GenerationTables(components.clients.dynamodb, components.names)
        with recorded(components.audit, context):
            tables.drop(of, generation, tell)
    typer.echo(f"{projection}: generation {generation} is gone")
