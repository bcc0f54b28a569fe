"""``kinfold projector status``: shards, lag, generations and dead letters."""

import json
from typing import TYPE_CHECKING

import typer

from projector.cli.options import WAITING, WRONG, Json

if TYPE_CHECKING:
    from projector.status.status import Status

EPILOG = (
    "Exit codes: 0 healthy; 4 the oldest unread record has used 80 % of the stream's retention or is lost to the "
    "stream, or the streaming destination does not work; 5 it has used half, a shard is read by nobody, or dead "
    "letters are open; 1 there is no stream or table; 2 bad settings; 75 the endpoint does not answer."
)


def status(as_json: Json = False) -> None:
    """Show shards, owners, checkpoints and lag, generations, dead letters and the streaming destination.

    Events past the stream's retention are not lost: the event store has them, and `kinfold projector rebuild` reads
    them there.

    [dim]$[/dim] kinfold projector status --json | jq .errors
    """
    from projector.cli.context import operator
    from projector.projections import PROJECTIONS
    from projector.status.status import read_status

    with operator() as components:
        found = read_status(components, PROJECTIONS)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        _print(found)
    if found.errors:
        raise typer.Exit(WRONG)
    if found.warnings:
        raise typer.Exit(WAITING)


def _print(found: "Status") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    shards = Table("shard", "owner", "checkpoint", "ms behind", "oldest unread", "of retention", title=found.stream)
    for shard in found.shards:
        oldest = shard.lag.arrived_at
        shards.add_row(
            shard.shard_id,
            "ended" if shard.ended else shard.owner or "nobody",
            shard.checkpoint if len(shard.checkpoint) < 20 else f"...{shard.checkpoint[-12:]}",
            str(shard.lag.millis_behind_latest),
            oldest.isoformat(timespec="seconds") if oldest else "",
            f"{shard.used:.0%}",
        )
    console.print(shards)
    for each in found.projections:
        building = f", building {each.building} ({each.phase})" if each.building else ""
        fed = ", ".join(map(str, each.fed))
        console.print(f"{each.name}: readers see generation {each.active}, workers feed {fed}{building}")
    console.print(f"open dead letters: {found.open_dead_letters}, of {found.halted_accounts} accounts")
    console.print(
        f"streaming destination: {found.destination or 'missing'}; the stream keeps {found.retention_hours} h"
    )
    for warning in found.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    for error in found.errors:
        console.print(f"error: {error}", style="red", markup=False)
