"""``kinfold bridge``."""

import json
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from stream_bridge.cli import backfill, hold, relay, scale, watch
from stream_bridge.cli.options import Json

if TYPE_CHECKING:
    from rich.table import Table

    from stream_bridge.provisioning.bridge import BridgeReport

app = typer.Typer(no_args_is_help=True, help="Join the events table to the Kinesis stream.")

app.command(epilog=backfill.EPILOG)(backfill.backfill)
app.command(epilog=hold.EPILOG)(hold.hold)
app.command(epilog=relay.EPILOG)(relay.relay)
app.command(epilog=scale.EPILOG)(scale.scale)
app.command(epilog=watch.EPILOG)(watch.watch)

EXIT_CODES = (
    "Exit codes: 0 healthy, 1 not healthy or refused, 2 bad settings, 75 the endpoint does not answer (try again)."
)


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
    from ledger.runtime.aws import wait_for_endpoint
    from stream_bridge.cli.context import compose, report
    from stream_bridge.provisioning import bridge
    from stream_bridge.provisioning.stream import StreamPlan
    from stream_bridge.waiter import StateWaiter

    if on_demand and shards is not None:
        raise typer.BadParameter("give --shards or --on-demand, not both")
    settings, clients, names = compose()
    wait_for_endpoint(clients, settings.endpoint_timeout, report)
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
        StateWaiter(settings.active_timeout, report),
        stream_arn=settings.stream_arn,
        region=settings.region,
        mode=settings.bridge,
    )
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
    if as_json:
        typer.echo(json.dumps(report.to_json()))
    else:
        _print(report)
    if not report.healthy:
        raise typer.Exit(1)


def _print(report: "BridgeReport") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "name", "status", "details", title=f"bridge of profile {report.profile} on {report.endpoint}")
    for name, state in report.tables.items():
        table.add_row("table", name, state, "created now" if f"table {name}" in report.created else "")
    stream, destination = report.stream, report.destination
    if stream is None:
        table.add_row("stream", "", "MISSING", "`kinfold bridge ensure` creates it")
    else:
        details = (
            f"{stream.shards} shards, {stream.mode}, keeps {stream.retention_hours} h, encryption {stream.encryption}"
        )
        table.add_row("stream", stream.name, stream.status, details)
    for use in report.use:
        taken = f"{use.records_per_second:,.0f} records, {use.bytes_per_second / 1024:,.0f} KB a second"
        table.add_row("shard", use.shard_id, f"{use.share:.0%}", taken)
    if report.mode == "relay":
        _add_relay(table, report)
    elif destination is None:
        table.add_row("destination", "", "MISSING", "`kinfold bridge ensure` enables it")
    else:
        precision = destination.precision or "precision not reported"
        table.add_row(
            "destination", "native", destination.status, " ".join(filter(None, [precision, destination.description]))
        )
    console = Console()
    console.print(table)
    for warning in report.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    if report.replaced is not None:
        console.print(f"error: {report.replaced}", style="red", markup=False)
    console.print("healthy" if report.healthy else "not healthy", style="green" if report.healthy else "red")


def _add_relay(table: "Table", report: "BridgeReport") -> None:
    if report.relay is None:
        table.add_row("relay", "", "", "`kinfold bridge relay` carries the records")
        return
    lag = f"oldest event not relayed: {report.relay.lag_seconds:.0f} s old" if report.relay.lag_seconds else "caught up"
    alive = "ACTIVE" if report.relay.alive else "SILENT" if report.relay.holder else "MISSING"
    table.add_row("relay", report.relay.holder or "", alive, lag)
