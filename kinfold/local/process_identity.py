"""Which process a process id stood for: ids are given out again, also to somebody else's process."""

import subprocess
from pathlib import Path
from typing import Final

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
#: Fields of /proc/PID/stat after the name, which is in brackets and may hold anything (proc(5)).
_STATE: Final = 0
_START: Final = 19


def identity(pid: int) -> str | None:
    """When the process began, in words that no other process of this id ever gets; None when it does not live.

    A process that has ended and that nobody has waited for does not live. On Linux this is the boot's id and the
    kernel's ticks, so a file that another machine left in a shared home names no process of this one; elsewhere, what
    ``ps`` says, to the second.
    """
    if _BOOT.exists():
        return _from_proc(pid)
    answer = subprocess.run(  # noqa: S603 - a number, and no shell
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        env={"LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, began = answer.stdout.strip().partition(" ")
    return None if state.startswith("Z") or not began else " ".join(began.split())


def _from_proc(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[_STATE] in "ZX" else f"{_BOOT.read_text().strip()} {fields[_START]}"
