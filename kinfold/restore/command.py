"""``kinfold restore``."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from kinfold.restore.restore import Restored
    from projector.components import Components

EPILOG: Final = (
    "Exit codes: 0 everything agrees with the events table, or --dry-run found no hole; 4 a history has a hole, or a "
    "read model does not agree; 1 a table is missing; 2 bad settings; 6 a rebuild is being run by another process; 75 "
    "the endpoint does not answer."
)
#: Aggregates and dead letters that are named in text; --json names them all.
_NAMED: Final = 20


def restore(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    segments: Annotated[int, typer.Option(min=1, max=256, help="Parallel readers of the events table.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Bring everything in line with an events table that was restored, or that lost events in any other way.

    Checks every history for holes, joins the table to the stream again, drops snapshots, answers to commands and dead
    letters of events that are no more, rebuilds and verifies every read model, and lets the services go on. Services
    may run meanwhile: they wait. Stopped half-way, run it again. A table that was restored under another name is given
    by KINFOLD_EVENTS_TABLE, here and to every service.

    [dim]$[/dim] kinfold restore --dry-run
    [dim]$[/dim] kinfold restore --segments 16
    [dim]$[/dim] KINFOLD_EVENTS_TABLE=domain-events-prod.2026-01-31 kinfold restore
    """
    from kinfold.restore.restore import Restore
    from ledger.audit.recorded_command import recorded
    from ledger.runtime.cli_output import print_json, to_json
    from ledger.runtime.measuring.capacity import metered
    from ledger.runtime.progress_bar import ProgressBars
    from projector.cli.context import operator
    from projector.cli.options import WRONG, refuse
    from projector.rebuild.rebuild import UnverifiedError

    try:
        with (
            operator() as components,
            metered(components.clients.dynamodb) as units,
            ProgressBars(units) as progress,
        ):
            work = Restore(components, lambda: _join(components, progress.report), progress, units)
            if dry_run:
                done = work.look(segments=segments)
            else:
                with recorded(components.audit, context) as details:
                    done = work.run(segments=segments)
                    details.update(to_json(done))
    except UnverifiedError as error:
        refuse(error, WRONG)
    if as_json:
        print_json({"dryRun": dry_run, **to_json(done)})
    else:
        _print(done, dry_run=dry_run)
    if done.histories.holes:
        raise typer.Exit(WRONG)


def _join(components: "Components", report: "Callable[[str], None]") -> None:
    """Enable what carries the table to the stream, unless it works."""
    from kinfold.tables import all_specs
    from ledger.runtime.settings import load_settings
    from stream_bridge.provisioning import bridge
    from stream_bridge.provisioning.stream import StreamPlan
    from stream_bridge.settings import BridgeSettings
    from stream_bridge.waiter import StateWaiter

    settings, clients, names = load_settings(BridgeSettings), components.clients, components.names
    if settings.bridge == "relay" or bridge.status(clients, names, all_specs(names)).carried:
        return
    report("the table is not joined to the stream; as `kinfold bridge ensure` does:")
    plan = StreamPlan(
        shards=settings.shards, on_demand=False, retention_hours=settings.retention_hours, key=settings.stream_key
    )
    waiter = StateWaiter(settings.active_timeout, report)
    bridge.ensure(
        clients, names, all_specs(names), plan, waiter, stream_arn=settings.stream_arn, region=settings.region
    )


def _print(done: "Restored", *, dry_run: bool) -> None:
    from kinfold.restore.histories import described

    histories, left = done.histories, done.leftovers
    which = "another one than all was derived from" if done.replaced else "the one that all was derived from"
    typer.echo(f"the events table is {which}: {histories.events} events of {histories.aggregates} aggregates")
    for aggregate_id, holes in list(histories.holes.items())[:_NAMED]:
        typer.echo(f"hole: aggregate {aggregate_id} lacks {described(holes)}")
    if len(histories.holes) > _NAMED:
        typer.echo(f"... and {len(histories.holes) - _NAMED} more aggregates with holes: --json names them all")
    typer.echo(
        f"{'would be dropped' if dry_run else 'dropped'}, since their events are no more: {left.snapshots} snapshots, "
        f"{left.archived_ids} used ids, {left.answers} answers to commands, {len(left.dead_letters)} dead letters, "
        f"{left.backfills} backfills"
    )
    for letter in left.dead_letters[:_NAMED]:
        typer.echo(f"dead letter: {letter}")
    if left.unproven_answers:
        typer.echo(
            f"kept: {left.unproven_answers} answers to commands that an earlier version stored without their event; "
            "a repeat of one of these keys gets that answer, whether its events are there or not"
        )
    for each in done.rebuilt:
        typer.echo(f"{each.projection}: generation {each.generation}, {each.aggregates} aggregates verified")
    if histories.holes:
        typer.echo("holes: restore the table to another moment; nothing can be folded over them")
    elif dry_run:
        typer.echo("and every read model would be rebuilt and verified: `kinfold restore`")
    else:
        for table in done.former:
            typer.echo(f"{table} is read by nothing any more: disable its streaming destination, if it has one")
        typer.echo("everything agrees with the events table; services go on within 20 seconds")
