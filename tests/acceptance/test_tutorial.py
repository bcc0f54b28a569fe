"""docs/tutorial.md, every step of it: files are written, commands run, and what they print is what the page says."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from ledger.runtime.sockets import free_port
from tests.support.documents.fenced_blocks import Session, Step, agrees, steps
from tests.support.documents.shells import Shell
from tests.support.waiting import PATIENCE, until

pytestmark = pytest.mark.acceptance

ROOT: Final = Path(__file__).parents[2]
BUILT, _, TESTED = (ROOT / "docs" / "tutorial.md").read_text().partition("\n## 10. Tests\n")
#: Where the page has services listen; here they take free ports.
PORTS: Final = {
    "kinfold aws": {"--port": "4566"},
    "kinfold up": {
        "--writer-port": "8080",
        "--projector-port": "6066",
        "--bridge-port": "6067",
        "--console-port": "6070",
    },
}


def free_ports() -> Callable[[str], str]:
    """Put free ports in the place of the page's, in commands and in what is printed."""
    free = {port: str(free_port()) for options in PORTS.values() for port in options.values()}

    def replaced(text: str) -> str:
        for command, options in PORTS.items():
            given = " ".join(f"{option} {port}" for option, port in options.items())
            text = re.sub(rf"^{command}$", f"{command} {given}", text, flags=re.MULTILINE)
        return re.sub("|".join(free), lambda port: free[port[0]], text)

    return replaced


class Chance:
    """What no two runs have in common: ids and times are left out, and a day counts by its distance from the first."""

    def __init__(self) -> None:
        self._first: date | None = None

    def removed(self, text: str) -> str:
        text = re.sub(r"\b[0-9a-f]{32}\b", "ID", text)
        text = re.sub(r"\d\d:\d\d:\d\d\.\d{6}", "TIME", text)
        # From a minute on pytest also says it in hours, minutes and seconds.
        text = re.sub(r"\b\d+\.\d+s\b( \(\d+:\d\d:\d\d\))?", "SECONDS", text)
        return re.sub(r"\b\d{4}-\d\d-\d\d", lambda day: self._relative(date.fromisoformat(day[0])), text)

    def _relative(self, day: date) -> str:
        self._first = self._first or day
        return f"day {(day - self._first).days}"


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Callable[[Iterable[Step]], None]]:
    """Follow steps of the page in an empty folder, with as many terminals as they name."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("KINFOLD_", "AWS_"))}
    # As where Kinfold is installed: its commands, and its packages for Python and mypy.
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    env |= {"PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT), "NO_PROXY": "127.0.0.1,localhost"}
    on_free_ports, here, there = free_ports(), Chance(), Chance()
    folder = tmp_path / "folder"
    folder.mkdir()
    terminals: dict[int, Shell] = {}
    with ExitStack() as cleanup:

        def followed(page: Iterable[Step]) -> None:
            for step in page:
                if not isinstance(step, Session):
                    file = folder / step.path
                    file.write_text(on_free_ports(step.applied(file.read_text() if file.exists() else "")))
                    continue
                if step.terminal not in terminals:
                    log = tmp_path / f"terminal-{step.terminal}"
                    terminals[step.terminal] = cleanup.enter_context(Shell(folder, env, log))
                carry_out(terminals[step.terminal], step, on_free_ports, here, there)

        yield followed


def test_every_step_up_to_the_tests(follow: Callable[[Iterable[Step]], None]) -> None:
    follow(steps(BUILT))


def test_its_tests(follow: Callable[[Iterable[Step]], None]) -> None:
    files = [step for step in steps(BUILT) if not isinstance(step, Session)]
    begun, ready = (
        Session(1, after_ctrl_c=False, commands=line, printed=None) for line in ("mkdir library", ". ./env.sh")
    )
    follow([begun, *files, ready, *steps(TESTED)])


def test_how_long_the_tests_take_is_chance() -> None:
    assert Chance().removed("15 passed in 79.00s (0:01:19)\n") == Chance().removed("15 passed in 4.56s\n")


def carry_out(terminal: Shell, step: Session, on_free_ports: Callable[[str], str], here: Chance, there: Chance) -> None:
    """Type the commands, and wait for what the page says: terminal 1 gets its prompt back, in the others they go on."""
    expected = there.removed(on_free_ports(step.printed or ""))
    if step.after_ctrl_c:
        terminal.interrupt()
    terminal.start(on_free_ports(step.commands))
    if step.terminal == 1:
        assert terminal.status(within=PATIENCE) == 0 or step.printed, f"{step.commands}{terminal.complaints}"
        printed = here.removed(terminal.printed)
        assert step.printed is None or agrees(printed, expected), f"{step.commands}{printed}\n{expected}"
    else:
        until(
            lambda: agrees(here.removed(terminal.printed), expected),
            why=lambda: f"{step.commands}{terminal.printed}\n{expected}\n{terminal.complaints}",
        )
