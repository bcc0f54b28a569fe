"""``kinfold bridge``."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from stream_bridge.cli import backfill, hold, relay, scale, watch
from stream_bridge.cli.options import Json

if TYPE_CHECKING:
    from stream_bridge.provisioning.bridge import BridgeReport

EXIT_CODES = (
    "Exit codes: 0 healthy, 1 not healthy or refused, 2 bad settings, 75 the endpoint does not answer (try again)."
)
app = typer.Typer(
    no_args_is_help=True,
    epilog="Exit codes: 0 done, 1 failed or not healthy, 2 bad settings or arguments, 75 the endpoint does not answer.",
    help="Join the events table to the Kinesis stream.\n\n"
    "[dim]$[/dim] kinfold bridge ensure --shards 4\n[dim]$[/dim] kinfold bridge status",
)

app.command(epilog=backfill.EPILOG)(backfill.backfill)
app.command(epilog=hold.EPILOG)(hold.hold)
app.command(epilog=relay.EPILOG)(relay.relay)
app.command(epilog=scale.EPILOG)(scale.scale)
app.command(epilog=watch.EPILOG)(watch.watch)


@app.command(epilog=EXIT_CODES)
def ensure(
    context: typer.Context,
    shards: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            show_default=False,
            help="Shards of a new stream; without it KINFOLD_SHARDS, or 1. One carries 1,000 events a second. "
            "An existing stream keeps its shards.",
        ),
    ] = None,
    on_demand: Annotated[
        bool, typer.Option("--on-demand", help="Let Kinesis scale a new stream by itself, instead of --shards.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Create tables and stream, enable the streaming destination, wait until all is ACTIVE.

    With KINFOLD_BRIDGE=relay no destination is enabled: `kinfold bridge relay` carries the records.

    Idempotent, also when run twice at once: it creates what is missing, repairs a destination that was disabled or
    had failed, and leaves the rest as it is. It waits for an endpoint that is not up yet.

    [dim]$[/dim] kinfold bridge ensure --shards 4
    """
    from ledger.audit.audit_log import AuditLog
    from ledger.audit.recorded_command import recorded
    from ledger.runtime.aws import wait_for_endpoint
    from ledger.runtime.cli_output import tell
    from stream_bridge.cli.context import compose
    from stream_bridge.provisioning import bridge
    from stream_bridge.provisioning.stream import StreamPlan
    from stream_bridge.waiter import StateWaiter

    if on_demand and shards is not None:
        raise typer.BadParameter("give --shards or --on-demand, not both")
    settings, clients, names = compose()
    wait_for_endpoint(clients, settings.endpoint_timeout, tell)
    found = bridge.ensure(
        clients,
        names,
        context.obj(names),
        StreamPlan(
            shards=None if on_demand else shards if shards is not None else settings.shards,
            on_demand=on_demand,
            retention_hours=settings.retention_hours,
            key=settings.stream_key,
        ),
        StateWaiter(settings.active_timeout, tell),
        stream_arn=settings.stream_arn,
        region=settings.region,
        mode=settings.bridge,
    )
    if found.created:
        # Only now, since the log's own table may be among them.
        with recorded(AuditLog(clients.dynamodb, names.audit), context) as details:
            details["created"] = found.created
    _show(found, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def status(
    context: typer.Context,
    sample: Annotated[
        float, typer.Option(min=0, max=60, help="Seconds over which each shard's use is measured; 0: not at all.")
    ] = 10,
    as_json: Json = False,
) -> None:
    """Show tables, stream, its shards' use and the streaming destination; exit 0 only when events reach the stream.

    With KINFOLD_BRIDGE=relay it shows the relay that has the lease, and the age of the oldest event not relayed.

    [dim]$[/dim] kinfold bridge status --json | jq .stream.shards
    """
    from stream_bridge.cli.context import compose
    from stream_bridge.provisioning import bridge
    from stream_bridge.relay.inspection import look

    settings, clients, names = compose()
    relay = partial(look, clients, names, settings.failover_time) if settings.bridge == "relay" else None
    found = bridge.status(clients, names, context.obj(names), sample=sample, relay=relay)
    _show(found, as_json=as_json)


def _show(report: "BridgeReport", *, as_json: bool) -> None:
    from ledger.runtime.cli_output import print_json

    if as_json:
        print_json(report.to_json())
    else:
        _print(report)
    if not report.healthy:
        raise typer.Exit(1)


def _print(report: "BridgeReport") -> None:
    from ledger.runtime.cli_output import output, print_line, print_table

    console = output()
    title = f"bridge of profile {report.profile} on {report.endpoint}"
    print_table(console, title, ("what", "name", "status", "details"), list(_rows(report)))
    for warning in report.warnings:
        print_line(console, f"warning: {warning}", "yellow")
    if report.replaced is not None:
        print_line(console, f"error: {report.replaced}", "red")
    print_line(console, "healthy" if report.healthy else "not healthy", "green" if report.healthy else "red")


def _rows(report: "BridgeReport") -> Iterator[tuple[str, str, str, str]]:
    for name, state in report.tables.items():
        yield "table", name, state, "created now" if f"table {name}" in report.created else ""
    stream = report.stream
    if stream is None:
        yield "stream", "", "MISSING", _unless_held(report, "`kinfold bridge ensure` creates it")
    else:
        details = (
            f"{stream.shards} shards, {stream.mode}, keeps {stream.retention_hours} h, encryption {stream.encryption}"
        )
        yield "stream", stream.name, stream.status, details
    for use in report.use:
        taken = f"{use.records_per_second:,.0f} records, {use.bytes_per_second / 1024:,.0f} KB a second"
        yield "shard", use.shard_id, f"{use.share:.0%}", taken
    yield _relay(report) if report.mode == "relay" else _destination(report)


def _destination(report: "BridgeReport") -> tuple[str, str, str, str]:
    found = report.destination
    if found is None:
        return "destination", "", "MISSING", _unless_held(report, "`kinfold bridge ensure` enables it")
    precision = found.precision or "precision not reported"
    return "destination", "native", found.status, " ".join(filter(None, [precision, found.description]))


def _relay(report: "BridgeReport") -> tuple[str, str, str, str]:
    relay = report.relay
    if relay is None:
        return "relay", "", "", "`kinfold bridge relay` carries the records"
    lag = f"oldest event not relayed: {relay.lag_seconds:.0f} s old" if relay.lag_seconds else "caught up"
    alive = "ACTIVE" if relay.alive else "SILENT" if relay.holder else "MISSING"
    return "relay", relay.holder or "", alive, lag


def _unless_held(report: "BridgeReport", advice: str) -> str:
    """What a hold is there to prevent is not advised while there is one."""
    return "" if report.hold else advice
