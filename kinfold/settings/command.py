"""``kinfold settings``: what can be set, and what is set here."""

import os
from typing import Annotated

import typer


def settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/settings.md.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a line for each setting.")] = False,
) -> None:
    """List every setting: its variable, its default, and what it is for. A * marks those that are set here.

    No value is shown: some are secret.

    [dim]$[/dim] kinfold settings
    [dim]$[/dim] kinfold settings --json | jq -r 'select(.isSet).variable'
    """
    from kinfold.settings import reference
    from ledger.runtime.cli_output import output, print_json, print_table, to_json

    if markdown:
        typer.echo(reference.markdown(), nl=False)
        return
    found = list(reference.all_settings())
    if as_json:
        for each in found:
            print_json(to_json(each) | {"isSet": each.variable in os.environ})
        return
    console = output()
    for reader in dict.fromkeys(each.read_by for each in found):
        rows = [
            (
                each.variable + (" *" if each.variable in os.environ else ""),
                each.default,
                each.allowed,
                each.description,
            )
            for each in found
            if each.read_by == reader
        ]
        print_table(console, reader, ("variable", "default", "may be", "what it is"), rows)
