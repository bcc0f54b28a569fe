"""``kinfold bridge hold``: keep the watch from repairing."""

from typing import Annotated

import typer

from stream_bridge.cli.options import Json

EPILOG = (
    "Exit codes: 0 done, 1 there is no control table, 2 bad settings or arguments, 75 the endpoint does not answer."
)


def hold(
    context: typer.Context,
    reason: Annotated[
        str | None, typer.Option(show_default=False, help="Why; whoever looks at the watch reads it.")
    ] = None,
    by: Annotated[str | None, typer.Option(show_default=False, help="Who; unless given, user@host.")] = None,
    lift: Annotated[bool, typer.Option("--lift", help="End the hold: the watch repairs again.")] = False,
    as_json: Json = False,
) -> None:
    """Hold the watch while you work on table, stream or destination; without options, show who holds it.

    A watch that is held observes and reports, and changes nothing. Once the hold is lifted, it republishes what was
    lost meanwhile, as far as the table's own stream goes back (24 hours).

    [dim]$[/dim] kinfold bridge hold --reason "moving to another KMS key, ticket 4711"
    [dim]$[/dim] kinfold bridge hold --lift
    """
    from ledger.audit.audit_log import AuditLog
    from ledger.audit.recorded_command import recorded
    from ledger.holds import Holds
    from ledger.runtime.cli_input import operator_name
    from ledger.runtime.cli_output import print_json
    from stream_bridge.cli.context import compose

    if lift and reason is not None:
        raise typer.BadParameter("give --reason or --lift, not both")
    _, clients, names = compose()
    holds = Holds(clients.dynamodb, names.bridge)
    if lift or reason is not None:
        with recorded(AuditLog(clients.dynamodb, names.audit), context, by):
            if reason is None:
                holds.lift()
            else:
                holds.set(by or operator_name(), reason)
    now = holds.find()
    if as_json:
        print_json(now)
    else:
        typer.echo(f"the watch is {now}" if now else "nobody holds the watch")
