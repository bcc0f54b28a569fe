"""What commands print for a person on standard output: lines and tables of which nothing is cut, however narrow."""

import sys
from collections.abc import Sequence
from typing import Final

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Columns of what is no terminal: a pipe or a file takes lines of any length.
_ANY_WIDTH: Final = 100_000
#: Columns that the last column of a table needs at least to be folded rather than to turn rows into paragraphs.
_FOLDED: Final = 16
_GAP: Final = 2


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
