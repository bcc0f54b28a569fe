"""``kinfold bridge backfill``: put events on the stream again."""

import threading
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from aws_client.moments import parse_moment
from stream_bridge.cli.options import Json

if TYPE_CHECKING:
    from stream_bridge.backfill.selection import Selection

EPILOG = (
    "Exit codes: 0 all of it is on the stream, 1 some events fit no record, there is no such aggregate, something is "
    "gone, or another process took the backfill over, 2 bad settings or arguments, 6 another process runs the same "
    "backfill, 75 the endpoint does not answer, 130 Ctrl-C (run it again to resume)."
)


def backfill(
    context: typer.Context,
    aggregate: Annotated[
        list[str] | None, typer.Option(metavar="ID", show_default=False, help="Only this aggregate; repeatable.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", show_default=False, help="Events from this time, 2026-01-31T06:00Z.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", show_default=False, help="Events before this time.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every event of every aggregate.")] = False,
    rate: Annotated[
        int | None,
        typer.Option(
            min=1, show_default=False, help="Events put a second at most; unless given, half of what the shards take."
        ),
    ] = None,
    read_rate: Annotated[
        int | None,
        typer.Option(min=1, show_default=False, help="Events read a second at most; unless given, as fast as it goes."),
    ] = None,
    segments: Annotated[
        int, typer.Option(min=1, max=64, help="Parallel readers of the events table; a resumed run keeps its own.")
    ] = 4,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count the events and put none.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, not where an interrupted run was.")] = False,
    show: Annotated[
        bool, typer.Option("--status", help="Show the backfills under way, or interrupted, instead: how far, how fast.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put events from the events table on the stream again, as change records.

    Harmless to a projector that has them: they count as duplicates. Use it for what a streaming destination lost, and
    to replay a projection further back than the stream keeps. Without --aggregate it reads the whole table, whatever
    the time.

    Such a run is refused while the same one is at work. An interrupted one resumes when the same selection is given
    again: it says so before it starts, keeps its segments and what is done, and takes the rates of the new command.

    [dim]$[/dim] kinfold bridge backfill --since 2026-01-31T06:00Z --until 2026-01-31T07:00Z --dry-run
    [dim]$[/dim] kinfold bridge backfill --aggregate alice --aggregate bob
    [dim]$[/dim] kinfold bridge backfill --all --rate 2000
    [dim]$[/dim] kinfold bridge backfill --status
    """
    if show:
        _status(as_json=as_json)
        return
    from ledger.audit.audit_log import AuditLog
    from ledger.audit.recorded_command import recorded
    from ledger.runtime.cli_output import print_json, to_json
    from ledger.runtime.measuring.capacity import metered
    from ledger.runtime.progress_bar import ProgressBars
    from stream_bridge.backfill.backfill import Backfill
    from stream_bridge.backfill.progress import BackfillStore
    from stream_bridge.backfill.publisher import Publisher
    from stream_bridge.cli.context import compose
    from stream_bridge.provisioning.stream import need_stream

    selection = _selection(aggregate or [], since, until, everything=everything)
    settings, clients, names = compose()
    stop = threading.Event()
    stream = need_stream(clients.kinesis, names.stream)
    with metered(clients.dynamodb) as units, ProgressBars(units) as progress:
        work = Backfill(
            clients.dynamodb,
            names.events,
            Publisher(clients.kinesis, names.stream, names.events, settings.region, stop),
            BackfillStore(clients.dynamodb, names.bridge),
            progress,
            stop,
            rate=rate or stream.spare_rate,
            read_rate=read_rate,
            units=units,
        )
        if dry_run:
            outcome = work.count(selection, segments=segments)
        else:
            with recorded(AuditLog(clients.dynamodb, names.audit), context) as details:
                outcome = work.run(selection, segments=segments, restart=restart)
                details.update(to_json(outcome))
    done = "to be put" if dry_run else "put"
    if as_json:
        print_json({"selection": str(selection), "dryRun": dry_run, **to_json(outcome)})
    else:
        typer.echo(f"{selection}: {outcome.read} events read, {outcome.published} {done} on the stream")
        if outcome.too_large:
            typer.echo(f"{outcome.too_large} fit no record; the projector reads them at the aggregate's next event")
        if outcome.no_event:
            typer.echo(f"{outcome.no_event} items are no events: `kinfold projector verify` names them")
    if outcome.too_large or outcome.no_event:
        raise typer.Exit(1)


def _status(*, as_json: bool) -> None:
    from ledger.runtime.cli_output import print_json, tell, to_json
    from stream_bridge.backfill.progress import BackfillStore
    from stream_bridge.cli.context import compose

    _, clients, names = compose()
    jobs = BackfillStore(clients.dynamodb, names.bridge)
    found = jobs.watched(job.name for job in jobs.all())
    for job, progress in found:
        if as_json:
            print_json({"selection": job.name, "published": job.published, **to_json(progress)})
        else:
            typer.echo(f"{job.name}: {progress}; {job.published:,} put on the stream")
    if not found:
        tell("no backfill is under way, and none was interrupted")


def _selection(aggregates: list[str], since: str | None, until: str | None, *, everything: bool) -> "Selection":
    from ledger.aggregates.identifiers import is_key
    from stream_bridge.backfill.selection import Selection

    if not (aggregates or since or until or everything):
        raise typer.BadParameter("say what to put: --aggregate, --since, --until, or --all for every event there is")
    if everything and (aggregates or since or until):
        raise typer.BadParameter("--all is every event: it goes with no --aggregate, --since or --until")
    if no_aggregates := [each for each in aggregates if not is_key(each)]:
        raise typer.BadParameter(f"--aggregate: {', '.join(map(repr, no_aggregates))} can be the id of no aggregate")
    start, end = _moment("--since", since), _moment("--until", until)
    if start and end and start >= end:
        raise typer.BadParameter(f"--since {since} is not before --until {until}")
    return Selection(tuple(dict.fromkeys(aggregates)), start, end)


def _moment(option: str, text: str | None) -> datetime | None:
    try:
        return parse_moment(text) if text is not None else None
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}") from None
