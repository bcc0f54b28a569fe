"""A child process that ends with its parent, even when the parent is killed with SIGKILL.

The parent holds the writing end of a pipe that is the child's standard input. The kernel closes it when the parent
ends, however it ends; the child reads the end of the file and sends itself a SIGTERM, so it stops as it would for an
operator. A pipe works on Linux and macOS alike, where a death signal exists on Linux only.

``python -m kinfold.local.child MODULE ARGUMENTS`` is the child's side: it watches the pipe and runs ``MODULE``.
"""

import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ledger.errors import ConfigurationError

#: Seconds that a child has for an orderly stop, once its parent is gone, before it kills itself.
ORPHAN_GRACE: Final = 30.0


def spawn(
    module: str, arguments: Sequence[str], *, env: Mapping[str, str], log: Path, keep: Sequence[int] = ()
) -> "subprocess.Popen[bytes]":
    """Start ``python -m MODULE ARGUMENTS`` with its output appended to ``log``. Raises OSError.

    ``keep``: descriptors that the child inherits.

    The child leads its own process group, so that a Ctrl-C at the terminal reaches the parent alone, which then
    stops its children in the right order.
    """
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module names
            [sys.executable, "-m", "kinfold.local.child", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            start_new_session=True,
            pass_fds=tuple(keep),
        )


def stop(process: "subprocess.Popen[bytes]", timeout: float) -> int:
    """Send SIGTERM, after ``timeout`` seconds SIGKILL, and return the exit code (negative: the signal's number)."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
    code = process.wait()
    if process.stdin is not None:
        process.stdin.close()
    return code


def temporary_folder(prefix: str) -> Path:
    """Make a folder for what children write. Raises ConfigurationError where no folder can be written."""
    try:
        return Path(tempfile.mkdtemp(prefix=prefix))
    except OSError as error:
        raise ConfigurationError(
            f"temporary files have no place ({error}): set TMPDIR to one that can be written"
        ) from error


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a child's log, indented, for an error message."""
    text = log.read_bytes()[-8192:].decode(errors="replace") if log.exists() else ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (it wrote nothing)"


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_GRACE)
    os.kill(os.getpid(), signal.SIGKILL)


def _main() -> None:
    module = sys.argv[1]
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    sys.argv[:] = [module, *sys.argv[2:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
