"""The progress of long work over the events table, on standard error."""

import sys
from typing import Protocol, Self

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ledger.runtime.cli_output import print_line, tell
from ledger.runtime.logs import in_json


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", no_wrap=True)


class ProgressReport(Protocol):
    """Where long work over the events table reports how far it is; safe to share between threads."""

    def begin(self, work: str, phase: str, total: int, done: int) -> None:
        """A phase begins; ``total``: events to read, about; ``done``: those that an earlier run read."""

    def advance(self, work: str, done: int) -> None:
        """So many events of the phase have been read in all."""

    def report(self, text: str) -> None:
        """A line for a person."""


class ProgressBars:
    """A bar for each phase, with events, rate and time left, and lines between them; safe to share between threads.

    The total is the table's item count, which AWS brings up to date every six hours, so it is about right.
    """

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TextColumn("events"),
            _RateColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=Console(stderr=True),
            disable=in_json(),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, work: str, phase: str, total: int, done: int) -> None:
        """A phase begins; ``total``: events to read, about; ``done``: those that an earlier run read."""
        self._tasks[work] = self._progress.add_task(f"{work} {phase}", total=max(total, done, 1), completed=done)

    def advance(self, work: str, done: int) -> None:
        """So many events of the phase have been read in all."""
        task = self._tasks[work]
        total = next(each.total for each in self._progress.tasks if each.id == task) or 0
        self._progress.update(task, completed=done, total=max(total, done))

    def report(self, text: str) -> None:
        """A line above the bars, on standard error."""
        if in_json():
            tell(text)
        else:
            print_line(self._progress.console, text)

    def result(self, text: str) -> None:
        """A line on standard output; above the bars, where both are shown on a terminal: they would overwrite it."""
        if self._progress.console.is_terminal and sys.stdout.isatty() and not in_json():
            self.report(text)
        else:
            typer.echo(text)
