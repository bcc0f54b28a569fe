"""How far long work is, on standard error: bars on a terminal, lines of the log everywhere else."""

import sys
import threading
import time
from dataclasses import dataclass
from typing import Final, Protocol, Self

import structlog
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
from ledger.runtime.measuring.capacity import CapacityUnits
from ledger.runtime.measuring.pace import Pace

log = structlog.get_logger(__name__)

#: Seconds between two lines of the log about the same work.
EVERY: Final = 10.0
#: Columns of a terminal on which a bar has room for the cost, too; elsewhere that is told in the end alone.
_WIDE: Final = 120


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", no_wrap=True)


class ProgressReport(Protocol):
    """Where long work reports how far it is; safe to share between threads."""

    def begin(self, work: str, phase: str, total: int, done: int) -> None:
        """A phase begins; ``total``: events to read, about; ``done``: those that an earlier run read."""

    def advance(self, work: str, done: int) -> None:
        """So many events of the phase have been read in all."""

    def report(self, text: str) -> None:
        """A line for a person."""


@dataclass(slots=True)
class _Phase:
    """One phase of a work, since ``began`` by the monotonic clock. ``told``: what was done when it was last logged."""

    name: str
    total: int
    done: int
    began_with: int
    began: float
    task: TaskID
    told: int = -1

    @property
    def pace(self) -> Pace:
        return Pace(self.done, self.total, self.done - self.began_with, time.monotonic() - self.began)


class ProgressBars:
    """How far a command is: on a terminal a bar for each work, else a line of the log every EVERY seconds.

    Both have what is done of how much, the rate of this run, the time left, and, with ``units``, what the command has
    cost, which is told in the end, too. Safe to share between threads. The total is often a table's item count,
    which AWS brings up to date every six hours, so it is about right.
    """

    def __init__(self, units: CapacityUnits | None = None) -> None:
        console = Console(stderr=True)
        self._units = units
        self._drawn = console.is_terminal and not in_json()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            *([TextColumn("{task.fields[cost]}")] if units is not None and console.width >= _WIDE else []),
            console=console,
            disable=not self._drawn,
        )
        self._phases: dict[str, _Phase] = {}
        self._ended = threading.Event()
        self._logging = threading.Thread(target=self._log, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._progress.start()
        if not self._drawn:
            self._logging.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if not self._drawn:
            self._logging.join()
        self._progress.stop()
        if self._units is not None and self._phases:
            self.report(f"it took {self._units.total}")

    def begin(self, work: str, phase: str, total: int, done: int) -> None:
        """A phase begins; ``total``: things to do, about, events unless ``phase`` says otherwise; ``done`` before."""
        total = max(total, done, 1)
        task = self._progress.add_task(f"{work} {phase}", total=total, completed=done, cost="")
        # The last one to begin stands last.
        self._phases.pop(work, None)
        self._phases[work] = _Phase(phase, total, done, done, time.monotonic(), task)

    def advance(self, work: str, done: int) -> None:
        """So many things of the phase have been done in all."""
        phase = self._phases[work]
        phase.done, phase.total = done, max(phase.total, done)
        cost = str(self._units.total) if self._units is not None else ""
        self._progress.update(phase.task, completed=done, total=phase.total, cost=cost)

    def report(self, text: str) -> None:
        """A line above the bars, on standard error."""
        if self._drawn:
            print_line(self._progress.console, text)
        else:
            tell(text)

    def result(self, text: str) -> None:
        """A line on standard output; above the bars, where both are shown on a terminal: they would overwrite it."""
        if self._drawn and sys.stdout.isatty():
            self.report(text)
        else:
            typer.echo(text)

    def _log(self) -> None:
        while not self._ended.wait(EVERY):
            phases = list(self._phases.items())
            # What has stood still since is told only where nothing else moves.
            for work, phase in [each for each in phases if each[1].done != each[1].told] or phases[-1:]:
                phase.told = phase.done
                log.info("progress", work=work, phase=phase.name, **self._figures(phase.pace))

    def _figures(self, pace: Pace) -> dict[str, float]:
        """What is known, rounded."""
        units = self._units.total if self._units is not None else None
        figures = {
            "done": pace.done,
            "of": pace.total,
            "rate": round(pace.rate, 1) if pace.rate is not None else None,
            "seconds_left": round(pace.seconds_left) if pace.seconds_left is not None else None,
            "read_units": round(units.read) if units is not None else None,
            "write_units": round(units.written) if units is not None else None,
        }
        return {name: value for name, value in figures.items() if value is not None}
