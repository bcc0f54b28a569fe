"""The folder in which the embedded AWS keeps its state over restarts, held by one process at a time."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kinfold.local.child import ORPHAN_GRACE
from kinfold.local.process_identity import identity
from ledger.errors import ConfigurationError, PermanentError

#: What AWS's log says, at the beginning of a line, when a save has failed.
UNSAVED: Final = "its state cannot be saved: "
_STATE: Final = "kinfold-aws.json"
_LOCK: Final = "kinfold-aws.lock"
_POLL: Final = 0.2


class DataInUseError(PermanentError):
    """Another process holds the folder."""

    exit_code = 6


@dataclass(frozen=True, slots=True)
class DataDir:
    """A folder that this process holds. What writes to it inherits ``lock``, and holds it for as long as it lives."""

    state: Path
    lock: int


@contextlib.contextmanager
def held(folder: Path, report: Callable[[str], None]) -> Iterator[DataDir]:
    """Hold the folder, made if there is none, until the block ends and nothing that inherited the lock lives.

    Waits for the AWS of a `kinfold` that was killed, which is saving. Raises DataInUseError, and ConfigurationError for
    a folder that cannot be used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"--data-dir {folder} cannot be used: {error}") from error
    try:
        _take(lock, folder, report)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()} {identity(os.getpid())}".encode(), 0)
        yield DataDir(folder / _STATE, lock)
    finally:
        os.close(lock)


def _take(lock: int, folder: Path, report: Callable[[str], None]) -> None:
    deadline, told = time.monotonic() + ORPHAN_GRACE + 5, False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid, _, began = os.pread(lock, 200, 0).decode(errors="replace").partition(" ")
            if (pid.isdigit() and identity(int(pid)) == began) or time.monotonic() > deadline:
                raise DataInUseError(
                    f"--data-dir {folder} is in use by process {pid or 'unknown'}: stop that, or take another folder"
                ) from None
        else:
            return
        if not told:
            report(f"the AWS of process {pid}, which was killed, is saving its state in {folder}")
            told = True
        time.sleep(_POLL)
