"""A terminal as a person uses it: a shell that runs commands one after the other, and Ctrl-C."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.processes import children
from tests.support.waiting import until

_DONE: Final = "### done"


class Shell:
    """A shell in a folder. When the block ends, what runs in it gets a Ctrl-C, and is killed if that is no help."""

    def __init__(self, folder: Path, env: Mapping[str, str], log: Path) -> None:
        self._out, self._err = log.with_suffix(".out"), log.with_suffix(".err")
        with self._out.open("w") as out, self._err.open("w") as err:
            self._shell = subprocess.Popen(
                ["bash"], cwd=folder, env=env, stdin=subprocess.PIPE, stdout=out, stderr=err, start_new_session=True
            )
        self._begins = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.interrupt()
        finally:
            os.killpg(self._shell.pid, signal.SIGKILL)
            self._shell.wait()
            assert self._shell.stdin is not None
            self._shell.stdin.close()

    def start(self, commands: str) -> None:
        """Begin to run commands."""
        assert self._shell.stdin is not None
        self._begins = len(self._out.read_text())
        self._shell.stdin.write(f"{{\n{commands}\n}} < /dev/null\nprintf '\\n{_DONE} %s\\n' $?\n".encode())
        self._shell.stdin.flush()

    @property
    def printed(self) -> str:
        """What the commands have printed so far, without the end's mark; a last line is whole."""
        text = self._out.read_text()[self._begins :].partition(f"\n{_DONE}")[0]
        return text if text.endswith("\n") or not text else f"{text}\n"

    @property
    def complaints(self) -> str:
        """The end of what went to standard error."""
        return self._err.read_text()[-4000:]

    def status(self, within: float) -> int:
        """Wait until the commands have ended; the exit code of the last one."""
        until(lambda: _DONE in self._out.read_text()[self._begins :], within=within, why=lambda: self.complaints)
        return int(self._out.read_text()[self._begins :].rpartition(_DONE)[2])

    def interrupt(self) -> None:
        """Ctrl-C, and wait until what ran has ended."""
        for child in children(self._shell.pid):
            os.kill(child, signal.SIGINT)
        until(lambda: not children(self._shell.pid), why=lambda: self.complaints)
