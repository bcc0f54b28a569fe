"""What runs on this machine for which profile: a file that ``kinfold up`` and ``kinfold aws`` leave for other commands.

One file a profile and command, below the home of whoever runs it, and only there: another user's file, one that others
may write to, and a symbolic link count for nothing, so nobody else can lead a command to an endpoint of theirs. A file
is replaced whole, and believed for as long as the process that it names lives.
"""

import contextlib
import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from kinfold.local.process_identity import identity
from ledger.errors import ConfigurationError, PermanentError
from ledger.runtime.cli_input import is_http_url
from ledger.runtime.cli_output import tell

Command = Literal["up", "aws"]
#: A profile's name, which is part of a file's.
_PROFILE: Final = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
_MOST_BYTES: Final = 65_536
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class Running(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What runs. ``endpoint`` is None until all is ready.

    ``began``: the process's identity. ``since``: ISO 8601. ``services``: URLs by name. ``settings``: what the services
    were given beside the endpoint, by the variable's name.
    """

    command: Command
    profile: str
    pid: int
    began: str
    since: str
    endpoint: str | None = None
    region: str = ""
    services: dict[str, str] = {}
    settings: dict[str, str] = {}

    def __str__(self) -> str:
        return f"`kinfold {self.command}` of profile {self.profile} (pid {self.pid}, since {self.since})"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found of a profile: what runs, and why something that was left there counts for nothing."""

    running: Running | None = None
    ignored: str | None = None


class AlreadyRunningError(PermanentError):
    """The same command runs for the profile; the message names its process and the way out."""

    exit_code = 6

    def __init__(self, running: Running) -> None:
        self.running = running
        super().__init__(
            f"{running} runs already: use it as it is, stop it with Ctrl-C there or `kill {running.pid}`, or start "
            "another one beside it with --profile NAME"
        )


def place(command: Command, profile: str) -> Path:
    """The file of a command and profile. Raises RuntimeError for a user without a home."""
    return Path.home() / ".local" / "state" / "kinfold" / f"{profile}.{command}.json"


def look(command: Command, profile: str) -> Seen:
    """What runs of this command and profile. Changes nothing, and raises nothing."""
    if not _PROFILE.fullmatch(profile):
        return Seen()
    try:
        file = place(command, profile)
        file.lstat()
    except (OSError, RuntimeError):
        return Seen()  # nothing is there, or this user has no home that he can look into
    try:
        found = _read(file)
    except (OSError, ValueError) as error:
        return Seen(ignored=f"what `kinfold {command}` left in {file} is ignored: {error}")
    if (found.command, found.profile) != (command, profile):
        return Seen(ignored=f"{file} is ignored: it is of another profile or command")
    if identity(found.pid) != found.began:
        return Seen(
            ignored=f"{found} has ended without a word, so {file} is ignored: start it again with `kinfold {command}`"
        )
    return Seen(found)


class Claim:
    """The right to be the one process of a command and profile, and the file that tells others of it."""

    def __init__(self, running: Running, file: Path | None) -> None:
        self._running = running
        self._file = file

    def publish(
        self, endpoint: str, region: str, services: Mapping[str, str], settings: Mapping[str, str] | None = None
    ) -> None:
        """Let other commands find what runs."""
        self._running = msgspec.structs.replace(
            self._running, endpoint=endpoint, region=region, services=dict(services), settings=dict(settings or {})
        )
        self.write()

    def release(self) -> None:
        """Remove the file, if it is still this process's."""
        if self._file is None:
            return
        left = look(self._running.command, self._running.profile).running
        if left is not None and left.pid == self._running.pid:
            self._file.unlink(missing_ok=True)

    def write(self) -> None:
        """Write the file whole, or leave it as it is. Raises OSError."""
        if self._file is None:
            return
        descriptor, name = tempfile.mkstemp(dir=self._file.parent, prefix=f".{self._file.name}-")
        try:
            with open(descriptor, "wb") as file:
                file.write(msgspec.json.encode(self._running))
            Path(name).replace(self._file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def claimed(command: Command, profile: str) -> Iterator[Claim]:
    """Be the one process of this command and profile until the block ends. Nothing else is started before.

    Where no file can be left, it is said, and the block runs all the same: other commands then need AWS_ENDPOINT_URL.

    Raises AlreadyRunningError, and ConfigurationError for what is no profile's name.
    """
    if not _PROFILE.fullmatch(profile):
        raise ConfigurationError(f"KINFOLD_PROFILE={profile!r}: a profile is lower case letters, digits and hyphens")
    pid = os.getpid()
    since = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    running = Running(command, profile, pid, identity(pid) or "", since)
    try:
        claim = _take(running, place(command, profile))
    except (OSError, RuntimeError) as error:
        tell(f"other commands will not find this one by themselves, but need AWS_ENDPOINT_URL: {error}")
        claim = Claim(running, None)
    try:
        yield claim
    finally:
        claim.release()


def _take(running: Running, file: Path) -> Claim:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check(file.parent.lstat(), file.parent, stat.S_ISDIR)
    with open(os.open(file.parent / ".lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        other = look(running.command, running.profile).running
        if other is not None:
            raise AlreadyRunningError(other)
        claim = Claim(running, file)
        claim.write()
        return claim


def _read(file: Path) -> Running:
    """Read a file. Raises OSError, or ValueError for one that nobody of ours has written."""
    _check(file.parent.lstat(), file.parent, stat.S_ISDIR)
    with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        _check(os.fstat(opened.fileno()), file, stat.S_ISREG)
        found = msgspec.json.decode(opened.read(_MOST_BYTES), type=Running)
    if not all(map(is_http_url, filter(None, (found.endpoint, *found.services.values())))):
        raise ValueError("it names what is no URL")
    return found


def _check(found: os.stat_result, path: Path, is_kind: Callable[[int], bool]) -> None:
    """Raises PermissionError unless it is a file or folder of this user's that nobody else can write to."""
    if not is_kind(found.st_mode):
        raise PermissionError(f"{path} is no plain file or folder")
    if found.st_uid != os.geteuid():
        raise PermissionError(f"{path} belongs to another user")
    if found.st_mode & _OTHERS_WRITE:
        raise PermissionError(f"others may write to {path}: chmod go-w")
