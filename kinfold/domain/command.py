"""``kinfold domain``: what a domain brings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinfold.choices import DomainOption

if TYPE_CHECKING:
    from ledger.aggregates.domain import Domain


def domain(
    name: DomainOption = "betting",
    access: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Print this copy of infra/access.yaml with the domain's read models."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Show what a domain brings: its aggregates and their events, its commands, its read models.

    Whatever keeps the services from starting with it is said here too.

    [dim]$[/dim] kinfold domain --domain loyalty
    [dim]$[/dim] kinfold domain --access infra/access.yaml
    """
    from kinfold.domain.access import with_read_models
    from ledger.aggregates.domain import load_domain
    from ledger.runtime.cli_output import output, print_json, print_table
    from projector.projection import Projection

    found = load_domain(name)
    if access is not None:
        projections = found.parts("PROJECTIONS", Projection)
        typer.echo(with_read_models(access.read_text(), [each.name for each in projections]), nl=False)
        return
    brought = _brought(found)
    if as_json:
        print_json(brought)
        return
    for title, rows in brought.items():
        columns = tuple(dict.fromkeys(key for row in rows for key in row))
        cells = [tuple(_shown(row.get(column)) for column in columns) for row in rows]
        print_table(output(), title, columns, cells)


def _brought(found: "Domain") -> dict[str, list[dict[str, Any]]]:
    from projector.projection import Projection
    from writer.resource import Resource

    return {
        "aggregates": [
            {"name": each.name, "key": each.key("ID"), "events": [model.event_type for model in each.events.models]}
            for each in found.aggregates
        ],
        "commands": [
            {
                "name": command.name,
                "request": f"{command.method} /{each.path}/{{{each.aggregate.id_name}}}{command.path}",
            }
            for each in found.parts("RESOURCES", Resource)
            for command in each.commands
        ],
        "readModels": [
            {"name": each.name, "request": f"GET /{each.path}/{{{each.aggregates[0].id_name}}}", "part": each.part_name}
            for each in found.parts("PROJECTIONS", Projection)
        ],
    }


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value or "")
