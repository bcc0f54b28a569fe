"""``kinfold bridge``: the composition root of the bridge."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ledger.aws import Clients
    from ledger.tables import Names
    from stream_bridge.bridge import BridgeReport
    from stream_bridge.settings import BridgeSettings

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Join the events table to the Kinesis stream.",
)

EXIT_CODES = (
    "Exit codes: 0 healthy, 1 not healthy or refused, 2 bad settings, 75 the endpoint does not answer (try again)."
)
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


@app.command(epilog=EXIT_CODES)
def ensure(
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
    as_json: JSON = False,
) -> None:
    """Create tables and stream, enable the streaming destination, wait until all is ACTIVE.

    Safe to repeat and to run twice at once: it creates what is missing, repairs a destination that was disabled or
    had failed, and leaves the rest as it is. It waits for an endpoint that is not up yet.

    [dim]$[/dim] kinfold bridge ensure --shards 4
    """
    from stream_bridge import bridge
    from stream_bridge.patience import Patience
    from stream_bridge.stream import Capacity

    if on_demand and shards is not None:
        raise typer.BadParameter("give --shards or --on-demand, not both")
    settings, clients, names = _compose()
    _wait_for_endpoint(clients, settings)
    report = bridge.ensure(
        clients,
        names,
        Capacity(on_demand=True) if on_demand else Capacity(shards if shards is not None else settings.shards),
        Patience(settings.active_timeout, _tell),
        stream_arn=settings.stream_arn,
        region=settings.region,
    )
    _show(report, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def status(as_json: JSON = False) -> None:
    """Show tables, stream and streaming destination; exit 0 only when events reach the stream.

    [dim]$[/dim] kinfold bridge status --json | jq .stream.shards
    """
    from stream_bridge import bridge

    _, clients, names = _compose()
    _show(bridge.status(clients, names), as_json=as_json)


def _compose() -> "tuple[BridgeSettings, Clients, Names]":
    from ledger.aws import Clients
    from ledger.logs import configure_logs
    from ledger.settings import load_settings
    from ledger.tables import Names
    from stream_bridge.settings import BridgeSettings

    settings = load_settings(BridgeSettings)
    configure_logs(settings.log_level, settings.log_format)
    return settings, Clients(settings), Names(settings.profile)


def _wait_for_endpoint(clients: "Clients", settings: "BridgeSettings") -> None:
    from ledger.aws import wait_for_endpoint

    wait_for_endpoint(clients, settings.endpoint_timeout, _tell)


def _tell(line: str) -> None:
    typer.echo(line, err=True)


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
    if destination is None:
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
    console.print("healthy" if report.healthy else "not healthy", style="green" if report.healthy else "red")
