"""``kinfold audit``: what operators did."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ledger.audit.audit_log import Action


def audit(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Actions to show, the last ones first.")] = 20,
    before: Annotated[
        str | None, typer.Option(metavar="ID", show_default=False, help="Only what was done before this one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output, one object a line.")] = False,
) -> None:
    """Show what operators did to this profile: who, when, with what, and how it ended.

    Every command that changes something is recorded before it begins, also what is done over HTTP. An action without
    an end is still going on, or was killed. Verifications are recorded, too, with the first hundred differences of
    each read model.

    [dim]$[/dim] kinfold audit --limit 100 --json | jq 'select(.exitCode != 0)'
    """
    from ledger.audit.audit_log import AuditLog
    from ledger.runtime.aws import Clients
    from ledger.runtime.cli_output import output, print_json, print_table
    from ledger.runtime.logs import configure_logs
    from ledger.runtime.settings import Settings, load_settings
    from ledger.store.tables import Names

    settings = load_settings(Settings)
    configure_logs(settings.log_level, settings.log_format)
    names = Names(settings.profile, settings.events_table)
    found = AuditLog(Clients(settings).dynamodb, names.audit).recent(limit, before=before)
    if as_json:
        for each in found:
            print_json(each)
        return
    rows = [(each.began_at, each.by, each.action, _outcome(each), _given(each)) for each in found]
    print_table(output(), f"audit log of profile {names.profile}", ("when", "who", "what", "outcome", "with"), rows)


def _outcome(action: "Action") -> str:
    match action.exit_code:
        case None:
            return "no end recorded"
        case 0:
            return "done"
        case code:
            return f"exit code {code}"


def _given(action: "Action") -> str:
    given = ", ".join(f"{name}={json.dumps(value)}" for name, value in action.parameters.items())
    return f"{given}: {action.said}" if action.said else given
