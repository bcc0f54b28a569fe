"""Runs a command that never outlives the worker, however the worker ends.

    python -I -S guard_process.py COMMAND ARGUMENTS...

Its standard input is a pipe held by the worker: the kernel closes it when the worker ends, even by SIGKILL, and then
the whole process group is killed. SIGTERM is forwarded to the command alone, not to the command's children. Standard
library only, run by its path. Ends with the command's exit code, 128 + n after signal n.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1


def _end_with_guard() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _kill_group_after_worker() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main() -> int:
    """Run the command to its end. Raises OSError when it cannot be started."""
    asked = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    # Before any thread is started: only then is a function between fork and exec safe.
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, preexec_fn=_end_with_guard)  # noqa: S603
    signal.signal(signal.SIGTERM, lambda *_: command.send_signal(signal.SIGTERM))
    if asked.is_set():
        command.send_signal(signal.SIGTERM)
    threading.Thread(target=_kill_group_after_worker, daemon=True).start()
    code = command.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
