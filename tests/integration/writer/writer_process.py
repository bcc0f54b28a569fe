"""``kinfold writer serve`` as a process that is killed and comes back, as a supervisor brings it back.

``python -m tests.integration.writer.writer_process ARGUMENTS`` imports the writer once and forks a process for every
life of it, so that a start costs a fraction of a second. Each life is the whole composition root, ``writer.cli``.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import httpx

from kinfold.local.child import spawn, stop, tail
from ledger.runtime.sockets import free_port


class WriterProcess:
    """A writer on one port, its log in a file. It is there once the block is entered, and back after every kill."""

    def __init__(self, env: dict[str, str], log: Path, **settings: object) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self._pid_file = log.with_suffix(".pid")
        ours = {f"KINFOLD_{name.upper()}": str(value) for name, value in settings.items()}
        self._env = env | ours | {"WRITER_PID_FILE": str(self._pid_file)}
        self._supervisor: subprocess.Popen[bytes] | None = None

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{self.url}/health", timeout=2, trust_env=False)
            except httpx.TransportError:
                assert self._supervisor is not None
                assert self._supervisor.poll() is None, tail(self.log)
                assert time.monotonic() < deadline, tail(self.log)
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """SIGKILL, and wait until it is back."""
        os.kill(int(self._pid_file.read_text()), signal.SIGKILL)
        time.sleep(0.05)
        self.wait()

    def __enter__(self) -> Self:
        module = "tests.integration.writer.writer_process"
        self._supervisor = spawn(module, ["--port", str(self.port)], env=self._env, log=self.log)
        self.wait()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._supervisor is not None
        os.kill(int(self._pid_file.read_text()), signal.SIGTERM)
        try:
            assert self._supervisor.wait(40) == 0, tail(self.log)
        finally:
            stop(self._supervisor, 1)


def _supervise() -> None:
    """Fork a writer, and another whenever one is killed; end with one that ends by itself."""
    # What `serve` imports, once for all lives.
    from writer import cli

    while True:
        pid = os.fork()
        if pid == 0:
            cli.app(["serve", *sys.argv[1:]])
        pid_file = Path(os.environ["WRITER_PID_FILE"])
        pid_file.with_suffix(".new").write_text(str(pid))
        pid_file.with_suffix(".new").rename(pid_file)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code != -signal.SIGKILL:
            sys.exit(code)


if __name__ == "__main__":
    _supervise()
