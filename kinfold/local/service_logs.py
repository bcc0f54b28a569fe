"""The services' logs as ``kinfold up`` shows them: each line with its service's name, coloured on a terminal."""

import contextlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.text import Text

from ledger.runtime.logs import in_json

_POLL: Final = 0.3
#: A line of a log: time, level, what happened, and the rest. All else (a traceback) belongs to the line before it.
_LINE: Final = re.compile(r"(\S+Z) (\[(\w+) *\]) (.*?)(  +.*|$)")
_COLOURS: Final = ("cyan", "green", "magenta", "blue", "bright_cyan")
_LEVELS: Final = {"warning": "yellow", "error": "red", "critical": "bold red"}


@contextlib.contextmanager
def followed(logs: Mapping[str, Path], *, quiet: bool = False) -> Iterator[None]:
    """Show every line that is written to the logs until the block ends; with ``quiet``, warnings and worse alone."""
    done = threading.Event()
    width = max(map(len, logs))
    shown = [
        _Log(name.ljust(width), log, colour, quiet=quiet)
        for (name, log), colour in zip(logs.items(), cycle(_COLOURS), strict=False)
    ]

    def follow() -> None:
        last_round = False
        while not last_round:
            last_round = done.wait(_POLL)
            for log in shown:
                log.show()

    thread = threading.Thread(target=follow, name="follow-logs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class _Log:
    def __init__(self, name: str, log: Path, colour: str, *, quiet: bool) -> None:
        self._name = name
        self._log = log
        self._colour = colour
        self._quiet = quiet
        self._offset = 0
        # What follows without a level is shown as what came before it.
        self._shows = not quiet
        self._console = Console(stderr=True)

    def show(self) -> None:
        """Show the whole lines that have come since."""
        if not self._log.exists():
            return
        with self._log.open("rb") as file:
            file.seek(self._offset)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        for line in whole.decode(errors="replace").splitlines():
            if in_json():
                self._show_json(line)
            else:
                self._show_text(line)

    def _show_text(self, line: str) -> None:
        found = _LINE.fullmatch(line)
        level = found[3] if found else ""
        if found:
            self._shows = not self._quiet or level in _LEVELS
        if not self._shows:
            return
        prefix = (f"{self._name} | ", self._colour)
        if found:
            severity = _LEVELS.get(level, "")
            parts = [
                (f"{found[1]} ", "dim"),
                (f"{found[2]} ", severity or "dim"),
                (found[4], severity),
                (found[5], "dim"),
            ]
        else:
            parts = [(line, _LEVELS["error"] if self._quiet else "")]
        # One line, however long: the terminal wraps it.
        self._console.print(Text.assemble(prefix, *parts), soft_wrap=True, highlight=False)

    def _show_json(self, line: str) -> None:
        """A line of JSON with the service's name; what a service prints is there too, as text."""
        try:
            said = dict(json.loads(line))
        except (ValueError, TypeError):
            said = {"event": "printed", "text": line}
        if not self._quiet or said.get("level") in _LEVELS:
            typer.echo(json.dumps({"service": self._name.strip(), **said}), err=True)
