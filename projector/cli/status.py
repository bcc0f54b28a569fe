"""``kinfold projector status``: shards, lag, generations and dead letters."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from projector.cli.options import WAITING, WRONG, Json

if TYPE_CHECKING:
    from rich.console import Console

    from projector.status.status import Status, StreamShardStatus

EPILOG = (
    "Exit codes: 0 healthy; 4 the oldest unread record has used 80 % of the stream's retention or is lost to the "
    "stream, or the streaming destination does not work; 5 it has used half, a shard is read by nobody, dead letters "
    "are open, or the watch is held; 1 there is no stream or table; 2 bad settings; 75 the endpoint does not answer."
)


def status(as_json: Json = False) -> None:
    """Show shards, owners, checkpoints and lag, generations, dead letters and the streaming destination.

    An owner is believed once it renews its lease, for which the leases are watched for KINFOLD_FAILOVER_TIME seconds at
    most: a reader that was killed is still written in its lease.

    Events past the stream's retention are not lost: the event store has them, and `kinfold projector rebuild` reads
    them there.

    [dim]$[/dim] kinfold projector status --json | jq .errors
    """
    from rich.console import Console

    from ledger.runtime.cli_output import output
    from ledger.runtime.logs import in_json
    from projector.cli.context import operator
    from projector.status.status import read_status

    with operator() as components, Console(stderr=True, quiet=in_json()).status("reading ...") as progress:
        settings = components.settings
        found = read_status(
            components,
            components.projections,
            mode=settings.bridge,
            watch=settings.failover_time,
            report=progress.update,
        )
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        print_status(output(), found)
    if code := exit_code(found):
        raise typer.Exit(code)


def exit_code(found: "Status") -> int:
    """The exit code that a status stands for."""
    return WRONG if found.errors else WAITING if found.warnings else 0


def print_status(console: "Console", found: "Status") -> None:
    """Show a status: the shards, the projections, what is wrong, and the verdict last."""
    from ledger.runtime.cli_output import print_line, print_table

    rows = [
        (
            shard.shard_id,
            "ended" if shard.ended else _reader(shard),
            shard.checkpoint if len(shard.checkpoint) < 20 else f"...{shard.checkpoint[-12:]}",
            str(timedelta(seconds=round(shard.unread.total_seconds()))) if shard.lag.arrived_at else "",
            f"{shard.used:.0%}",
        )
        for shard in found.shards
    ]
    print_table(console, found.stream, ("shard", "owner", "checkpoint", "unread for", "retention used"), rows)
    for each in found.projections:
        building = f", building {each.building} ({each.phase})" if each.building else ""
        fed = ", ".join(map(str, each.fed))
        print_line(console, f"{each.name}: readers see generation {each.active}, workers feed {fed}{building}")
        if each.build is not None:
            print_line(console, f"  {each.build}")
    print_line(console, f"open dead letters: {found.open_dead_letters}, of {found.halted_aggregates} aggregates")
    carrier = (
        f"streaming destination: {found.destination or 'missing'}"
        if found.mode == "native"
        else "carried by the relay, which `kinfold bridge status` shows"
    )
    print_line(console, f"{carrier}; the stream keeps {found.retention_hours} h")
    for warning in found.warnings:
        print_line(console, f"warning: {warning}", "yellow")
    for error in found.errors:
        print_line(console, f"error: {error}", "red")
    print_line(console, found.verdict, "green" if found.verdict == "healthy" else "red" if found.errors else "yellow")


def _reader(shard: "StreamShardStatus") -> str:
    return "nobody" if shard.owner is None else shard.owner if shard.alive else f"{shard.owner} (silent)"
