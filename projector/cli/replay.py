"""``kinfold projector replay``: have the stream redelivered from a chosen position."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from botocore.exceptions import ClientError

from projector.cli.options import BUSY, Json, refuse

if TYPE_CHECKING:
    from faust_kinesis.options import StartingPosition
    from ledger.runtime.aws import Clients
    from ledger.store.tables import Names
    from projector.components import Components

EPILOG = (
    "Exit codes: 0 the next start reads from there, 1 no stream or no lease table, 2 bad settings or time, "
    "6 a worker holds leases, 75 the endpoint does not answer."
)


def replay(
    context: typer.Context,
    start: Annotated[
        str, typer.Option("--from", metavar="WHERE", help="trim-horizon, latest, or a time such as 2026-01-31T06:00Z.")
    ],
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Even though leases have an owner, one that was killed. A living one is still refused: the leases are "
            "watched for KINFOLD_FAILOVER_TIME, the workers' own.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Reset the leases, so that the projector's next start reads the stream from there. Stop the workers first.

    No row of a read model changes: events that are already applied count as duplicates. What the stream no longer holds
    is not redelivered; `kinfold projector rebuild` reads the event store instead.

    [dim]$[/dim] kinfold projector replay --from trim-horizon
    """
    from aws_client.failures import is_not_found
    from faust_kinesis.errors import LeasesHeldError
    from ledger.audit.recorded_command import recorded
    from ledger.errors import ResourceError
    from ledger.runtime.aws import aws_errors
    from projector.cli.context import operator

    where = _position(start)
    with operator() as components:
        try:
            doing = f"resetting the leases of {components.names.leases}"
            with recorded(components.audit, context) as details, aws_errors(doing):
                if force:
                    _need_silence(components)
                shards = _reset(components.clients, components.names, where, force=force)
                details["shards"] = shards
                hours = components.clients.kinesis.describe_stream_summary(StreamName=components.names.stream)[
                    "StreamDescriptionSummary"
                ]["RetentionPeriodHours"]
        except LeasesHeldError as error:
            # A worker that was killed stays written in its leases.
            killed = "" if force else "; if it was killed, --force, which a living one still refuses"
            refuse(LeasesHeldError(f"{error}{killed}"), BUSY)
        except ResourceError as error:
            if isinstance(error.__cause__, ClientError) and is_not_found(error.__cause__):
                raise ResourceError(
                    f"there is no stream {components.names.stream} or no lease table {components.names.leases} yet, "
                    f"so there is nothing to reset: the first start of a projector reads from KINFOLD_START"
                ) from error
            raise
    if as_json:
        typer.echo(json.dumps({"from": start, "shards": shards, "retentionHours": hours}))
        return
    typer.echo(f"{len(shards)} shards: the next start of a projector reads {_meaning(where, hours)}.")
    typer.echo("The read models do not change: events that are already applied count as duplicates.")


def _need_silence(components: "Components") -> None:
    """Raises LeasesHeldError when a worker renews a lease."""
    from faust_kinesis.errors import LeasesHeldError
    from faust_kinesis.leases.table import LeaseTable
    from ledger.runtime.cli_output import tell
    from projector.status.silent_leases import watch_leases

    table = LeaseTable(components.clients.dynamodb, components.names.leases)
    before = table.scan()
    if held := {key: lease for key, lease in before.items() if lease.owner is not None and not lease.ended}:
        wait = components.settings.failover_time
        owners = ", ".join(sorted({str(lease.owner) for lease in held.values()}))
        tell(f"watching the leases of {owners} for {wait:.0f} s at most: whether one is renewed ...")
        if living := held.keys() - watch_leases(table, before, wait, lambda _: None).silent:
            raise LeasesHeldError(f"a worker is alive and renews {', '.join(sorted(living))}: stop it first")


def _reset(clients: "Clients", names: "Names", where: "StartingPosition", *, force: bool) -> list[str]:
    from faust_kinesis.leases.reset import reset_leases

    leases = reset_leases(
        kinesis=clients.kinesis,
        dynamodb=clients.dynamodb,
        stream=names.stream,
        application=names.leases,
        start=where,
        even_if_held=force,
    )
    return sorted(lease.key for lease in leases)


def _position(text: str) -> "StartingPosition":
    from faust_kinesis.options import parse_position

    try:
        return parse_position(text)
    except ValueError as error:
        raise typer.BadParameter(f"--from: {error}") from None


def _meaning(where: "StartingPosition", hours: int) -> str:
    if where == "trim-horizon":
        return f"everything that the stream still holds, which is {hours} h at most"
    if where == "latest":
        return (
            "what comes from now on; an aggregate whose event is passed over so is behind until its next event, "
            "`kinfold projector verify --repair` or a rebuild"
        )
    return f"what came since {where}, as far as the stream still holds it ({hours} h at most)"
