"""Operations under way: each is the command itself, as a process of its own, whose output is kept to be looked at."""

import asyncio
import os
import secrets
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import structlog

from ledger.errors import PermanentError

log = structlog.get_logger(__name__)

#: Jobs at once, and jobs that are remembered.
MOST_AT_ONCE: Final = 4
_REMEMBERED: Final = 50
#: Lines of output kept of each, the last ones, and bytes of a line.
_LINES: Final = 500
_LINE_BYTES: Final = 16_384
#: Seconds that a job has to end in when the console stops.
_STOP_TIMEOUT: Final = 20.0


class BusyError(PermanentError):
    """So many operations are under way that no other one is begun."""


@dataclass(slots=True)
class Job:
    """One run of a command. ``exit_code`` is None while it runs."""

    words: Sequence[str]
    by: str
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    exit_code: int | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES))

    @property
    def runs(self) -> bool:
        """Whether it is still under way."""
        return self.ended_at is None


class Jobs:
    """The operations of this console. For one event loop."""

    def __init__(self, environment: Mapping[str, str], done: Callable[[int], None]) -> None:
        """``environment``: what a command gets, beside who runs it. ``done`` gets the exit code of each."""
        self._environment = environment
        self._done = done
        self._jobs: dict[str, Job] = {}
        self._running: dict[str, tuple[Process, asyncio.Task[None]]] = {}
        self._starting = 0

    @property
    def all(self) -> list[Job]:
        """Those that are remembered, the newest first."""
        return list(reversed(self._jobs.values()))

    def find(self, job_id: str) -> Job | None:
        """The job of this id, if it is remembered."""
        return self._jobs.get(job_id)

    async def begin(self, words: Sequence[str], by: str) -> Job:
        """Run a command for ``by``. Raises BusyError."""
        if len(self._running) + self._starting >= MOST_AT_ONCE:
            raise BusyError(f"{MOST_AT_ONCE} operations are under way: wait for one of them, or interrupt it")
        job = Job(words, by)
        self._starting += 1
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "kinfold", *words),
                env={**self._environment, "KINFOLD_OPERATOR": f"{by}@console"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                limit=_LINE_BYTES,
                # A Ctrl-C in the console's terminal is the console's, which stops its jobs itself.
                start_new_session=True,
            )
        finally:
            self._starting -= 1
        log.info("operation_begun", id=job.id, command=" ".join(words[:3]), by=by, pid=process.pid)
        self._jobs[job.id] = job
        while len(self._jobs) > _REMEMBERED:
            oldest = next((each for each in self._jobs.values() if not each.runs), None)
            if oldest is None:
                break
            del self._jobs[oldest.id]
        self._running[job.id] = process, asyncio.create_task(self._follow(job, process))
        return job

    def interrupt(self, job: Job) -> None:
        """Interrupt it as Ctrl-C does. What can be resumed is resumed by the same operation. Idempotent."""
        if job.id in self._running and job.runs:
            self._running[job.id][0].send_signal(signal.SIGINT)

    async def stop(self) -> None:
        """Interrupt all that run, and wait for them; kill what does not end in time."""
        running = list(self._running.values())
        for process, _ in running:
            process.send_signal(signal.SIGINT)
        if running:
            _, left = await asyncio.wait([task for _, task in running], timeout=_STOP_TIMEOUT)
            for process, task in running:
                if task in left:
                    process.kill()
                    await task

    async def _follow(self, job: Job, process: Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than the limit
                continue
            if not line:
                break
            job.lines.append(line.decode("utf-8", "replace").rstrip())
        job.exit_code = await process.wait()
        job.ended_at = datetime.now(UTC)
        del self._running[job.id]
        log.info("operation_ended", id=job.id, exit_code=job.exit_code)
        self._done(job.exit_code)


def environment() -> dict[str, str]:
    """The console's own environment for its commands: all but what is for serving, and with plain output."""
    own = {name: value for name, value in os.environ.items() if name not in {"KINFOLD_TOKENS", "KINFOLD_CONSOLE_TOKEN"}}
    return own | {"KINFOLD_LOG_FORMAT": "text", "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
