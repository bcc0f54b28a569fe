"""What commands print: JSON, lines and uncut tables on standard output, and how it goes on standard error.

Where the log is JSON, what goes to standard error is a line of it.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final

import structlog
import typer
from pydantic.alias_generators import to_camel
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ledger.runtime.logs import in_colour, in_json

log = structlog.get_logger(__name__)

#: Columns of what is no terminal: a pipe or a file takes lines of any length.
_ANY_WIDTH: Final = 100_000
#: Columns that the last column of a table needs at least to be folded rather than to turn rows into paragraphs.
_FOLDED: Final = 16
_GAP: Final = 2


def to_json(value: Any) -> Any:
    """A record, or what holds records, as ``--json`` prints it: its fields in camel case, as in the HTTP answers."""
    if is_dataclass(value):
        return {to_camel(field.name): to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_json(each) for key, each in value.items()}
    return list(map(to_json, value)) if isinstance(value, list | tuple) else value


def print_json(value: Any) -> None:
    """Print ``to_json`` of ``value`` on a line."""
    typer.echo(json.dumps(to_json(value)))


def tell(line: str) -> None:
    """Tell whoever runs a command how it goes."""
    if in_json():
        log.info("told", text=line)
    else:
        typer.echo(line, err=True)


def tell_failure(reason: str, exit_code: int) -> None:
    """Say why a command ends with this exit code."""
    if in_json():
        log.error("command_failed", reason=reason, exit_code=exit_code)
    else:
        typer.secho(f"kinfold: {reason}", err=True, fg=typer.colors.RED if in_colour() else None)


def output() -> Console:
    """Standard output, as wide as the terminal is."""
    return Console(width=None if sys.stdout.isatty() else _ANY_WIDTH)


def print_line(console: Console, text: str, style: str | None = None) -> None:
    """Print a line; the terminal wraps it."""
    console.print(text, style=style, markup=False, highlight=False, emoji=False, soft_wrap=True)


def print_table(console: Console, title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under ``headers``: as a table, whose last column may fold, or where it does not fit, as paragraphs."""
    print_line(console, title, "bold")
    widths = [max(map(cell_len, column)) for column in zip(headers, *rows, strict=True)]
    if sum(widths[:-1]) + _GAP * (len(widths) - 1) + min(widths[-1], _FOLDED) <= console.width:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, _GAP - 1, 0, 0))
        for header in headers[:-1]:
            table.add_column(header, no_wrap=True)
        table.add_column(headers[-1], overflow="fold")
        for row in rows:
            # A Text of its own: what stands in a row is no markup.
            table.add_row(*map(Text, row))
        console.print(table)
        return
    for row in rows:
        for header, value in zip(headers, row, strict=True):
            print_line(console, f"  {header}: {value}")
        print_line(console, "")
