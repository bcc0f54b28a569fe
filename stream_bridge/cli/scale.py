"""``kinfold bridge scale``: change a stream that is in use."""

from typing import Annotated

import typer

from stream_bridge.cli.options import Json

EPILOG = (
    "Exit codes: 0 the stream is as asked, 1 refused or not in time (what was done stays done), 2 bad settings or "
    "arguments, 75 the endpoint does not answer."
)


def scale(
    context: typer.Context,
    shards: Annotated[
        int | None, typer.Option(min=1, max=10_000, show_default=False, help="Open shards; makes it provisioned.")
    ] = None,
    on_demand: Annotated[bool, typer.Option("--on-demand", help="Let Kinesis scale the stream by itself.")] = False,
    retention: Annotated[
        int | None,
        typer.Option(min=24, max=8760, show_default=False, help="Hours for which records are kept, up to a year."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(show_default=False, help="KMS key that encrypts it, such as alias/aws/kinesis; none: no key."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a shorter retention drops records.")] = False,
    as_json: Json = False,
) -> None:
    """Change shards, mode, retention or encryption of the stream while everything runs.

    AWS at most doubles or halves the shards of a stream per step, and allows ten steps a day; larger changes take
    several steps. Projectors follow by themselves: a shard's children are read after its end.

    [dim]$[/dim] kinfold bridge scale --shards 8
    [dim]$[/dim] kinfold bridge scale --on-demand --retention 168 --key alias/aws/kinesis
    """
    from ledger.audit.audit_log import AuditLog
    from ledger.audit.recorded_command import recorded
    from ledger.runtime.cli_output import print_json, tell
    from ledger.runtime.logs import in_json
    from stream_bridge.cli.context import compose
    from stream_bridge.provisioning.scaling import change_stream
    from stream_bridge.provisioning.stream import StreamPlan, need_stream
    from stream_bridge.waiter import StateWaiter

    if on_demand and shards is not None:
        raise typer.BadParameter("give --shards or --on-demand, not both")
    if shards is None and not on_demand and retention is None and key is None:
        raise typer.BadParameter("say what to change: --shards, --on-demand, --retention or --key")
    settings, clients, names = compose()
    stream = need_stream(clients.kinesis, names.stream)
    if retention is not None and retention < stream.retention_hours and not yes:
        loss = (
            f"records older than {retention} h are dropped from stream {stream.name} at once (the event store keeps "
            "its events)"
        )
        if in_json():
            raise typer.BadParameter(f"{loss}: confirm it with --yes")
        typer.confirm(f"{loss}. Go on?", abort=True, err=True)
    plan = StreamPlan(shards=shards, on_demand=on_demand, retention_hours=retention, key=key)
    waiter = StateWaiter(settings.active_timeout, tell)
    with recorded(AuditLog(clients.dynamodb, names.audit), context) as details:
        done = details["changed"] = change_stream(clients.kinesis, names.stream, plan, waiter)
    if as_json:
        print_json({"stream": names.stream, "changed": done})
    else:
        typer.echo(f"stream {names.stream}: {'; '.join(done) or 'it is as asked already'}")
