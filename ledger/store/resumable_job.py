"""A long job over a table that outlives its process: who runs it, and how far it is.

A job is a row, or a part of one: the ``token`` of the process that runs it, a ``beat``, and a cursor for each scan
segment. Every write holds only while the row still has the writer's token, so a process that was taken over can record
nothing. The beat is a counter: a watcher that sees it stand still by its own clock takes the job over, and no two
machines' clocks are ever compared. Nor are they for a rate: the process that runs a job records for how many seconds it
has, and what it did in them.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Self, TypeVar

import structlog

from aws_client.tables import write_if
from ledger.errors import TransientError
from ledger.runtime.aws import aws_errors
from ledger.runtime.measuring.capacity import Units
from ledger.runtime.measuring.pace import Pace
from ledger.store.errors import JobLostError, JobRunningError
from ledger.store.parallel_scan import Cursor

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger(__name__)

#: Seconds between two beats, and without one after which a job counts as interrupted.
BEAT: Final = 2.0
STALE: Final = 6.0
_LOOK: Final = 0.5
#: Seconds after which an earlier look says nothing any more of whether a job runs.
_FORGOTTEN: Final = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    """What one process has done of a job since it began to read, as of its last beat: ``items`` within ``seconds``.

    ``total``: items that there are, about. ``units``: what it has cost; None: nobody counts.
    """

    total: int
    items: int = 0
    seconds: float = 0.0
    units: Units | None = None

    def to_item(self, token: str) -> dict[str, Any]:
        """The run as a control row holds it. ``token``: whose it is."""
        figures = {"total": self.total, "items": self.items, "seconds": self.seconds}
        figures |= {} if self.units is None else {"readUnits": self.units.read, "writeUnits": self.units.written}
        return {"token": {"S": token}, **{name: {"N": str(value)} for name, value in figures.items()}}

    @classmethod
    def from_item(cls, item: Mapping[str, Any], token: str) -> "Run | None":
        """Read what ``to_item`` wrote; None for a run of another process, whose figures say nothing of this one's."""
        if item["token"]["S"] != token:
            return None
        figures = {name: float(value["N"]) for name, value in item.items() if name != "token"}
        units = Units(figures["readUnits"], figures["writeUnits"]) if "readUnits" in figures else None
        return cls(int(figures["total"]), int(figures["items"]), figures["seconds"], units)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumableJob:
    """A job as it was last recorded. ``token`` stands for one process; ``cursors``: one a scan segment."""

    name: str
    token: str
    beat: int = 0
    cursors: tuple[Cursor, ...]
    #: None until the process reads, and of a process of an earlier version.
    run: Run | None = None

    @property
    def read(self) -> int:
        """Items that were read so far."""
        return sum(cursor.items for cursor in self.cursors)


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is, for whoever looks from outside; None is what is not known.

    ``runs``: whether a process is at it. Only then there is a ``rate``, in items a second since that process began to
    read, and a time left. ``total``: items there are, about. The units are those of the last process that read.
    """

    runs: bool | None
    read: int
    total: int | None = None
    rate: float | None = None
    seconds_left: float | None = None
    read_units: float | None = None
    write_units: float | None = None

    @classmethod
    def of(cls, job: ResumableJob, runs: bool | None) -> "JobProgress":
        """The progress of a job as it was recorded."""
        run = job.run
        if run is None:
            return cls(runs, job.read)
        pace = Pace(job.read, max(run.total, job.read), run.items, run.seconds)
        rate, left = (pace.rate, pace.seconds_left) if runs else (None, None)
        return cls(runs, job.read, pace.total, rate, left, *(run.units or (None, None)))

    @property
    def left(self) -> str | None:
        """The time left, as people read it: h:mm:ss."""
        return str(timedelta(seconds=round(self.seconds_left))) if self.seconds_left is not None else None

    def __str__(self) -> str:
        said = [f"{self.read:,}{f' of about {self.total:,}' if self.total is not None else ''} events read"]
        if self.runs is False:
            said.append("interrupted, nobody runs it")
        else:
            said.append(f"{self.rate:,.1f} a second" if self.rate is not None else "rate not known")
            said.append(f"{self.left} left" if self.left is not None else "time left not known")
        if self.read_units is not None and self.write_units is not None:
            said.append(f"{Units(self.read_units, self.write_units)} in this run")
        return ", ".join(said)


J = TypeVar("J", bound=ResumableJob)


class JobStore(ABC, Generic[J]):
    """The jobs of one kind in a table. Raises ThrottledError, EndpointError or ResourceError.

    A write whose answer was lost, and which is refused when it is sent again, is recognised as one's own.
    """

    _job: type[J]
    #: The attribute that holds the token.
    _owner: str
    #: For a person, formatted with the job: it runs elsewhere, and what to do; it no longer belongs to this process.
    _running: str
    _lost: str

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    @abstractmethod
    def _key(self, name: str) -> dict[str, Any]:
        """The key of the job's row."""

    @abstractmethod
    def _details(self, job: J) -> dict[str, Any]:
        """The attributes that this kind of job has beside token, beat and cursors."""

    @abstractmethod
    def _fields(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the job that ``_details`` wrote to its row."""

    def read(self, name: str) -> J | None:
        """The job as it was last recorded, running or interrupted; None when there is none."""
        row = self._row(name)
        return self._of_row(name, row) if self._owner in row else None

    def _of_row(self, name: str, row: Mapping[str, Any]) -> J:
        return self._job(
            name=name,
            token=row[self._owner]["S"],
            # Versions before the beat recorded none.
            beat=int(row["beat"]["N"]) if "beat" in row else 0,
            cursors=tuple(Cursor.from_item(cursor["M"]) for cursor in row["cursors"]["L"]),
            run=Run.from_item(row["run"]["M"], row[self._owner]["S"]) if "run" in row else None,
            **self._fields(row),
        )

    def watched(self, names: Iterable[str]) -> list[tuple[J, JobProgress]]:
        """Those of the jobs that there are, and how far each is. Takes STALE seconds where one does not run."""
        watch, names = JobWatch(), list(names)
        while True:
            jobs = [job for name in names if (job := self.read(name)) is not None]
            found = [(job, watch.look(job)) for job in jobs]
            if all(progress.runs is not None for _, progress in found):
                return found
            time.sleep(_LOOK)

    def check_interrupted(self, jobs: Sequence[J], stop: threading.Event) -> None:
        """Return once each of the jobs has stood still for STALE seconds.

        Raises JobRunningError at the first change, and when ``stop`` is set before it is known.
        """
        until = time.monotonic() + STALE
        while time.monotonic() < until and jobs:
            if stop.wait(_LOOK):
                raise JobRunningError("stopped before it was known whether another process runs the job")
            for job in jobs:
                if self.read(job.name) != job:
                    raise JobRunningError(self._running.format(job))

    def take_over(self, job: J, token: str, **changes: Any) -> J:
        """Resume an interrupted job as ``token``, with these fields changed.

        Raises JobRunningError when it has moved since it was read: it runs, or somebody else was faster.
        """
        taken = replace(job, token=token, beat=job.beat + 1, run=None, **changes)
        unmoved = "beat = :seen" if job.beat else "(attribute_not_exists(beat) OR beat = :seen)"
        values = {":interrupted": {"S": job.token}, ":seen": {"N": str(job.beat)}}
        if not self._write(taken, f"{self._owner} = :interrupted AND {unmoved}", values):
            raise JobRunningError(self._running.format(job))
        return taken

    def save(self, job: J) -> J:
        """Record how far the job is, and that its process lives. Raises JobLostError."""
        saved = replace(job, beat=job.beat + 1)
        if not self._write(saved, f"{self._owner} = :{self._owner}"):
            raise JobLostError(self._lost.format(job))
        return saved

    def _row(self, name: str) -> Mapping[str, Any]:
        with aws_errors(f"reading the state of {name} in {self._table}"):
            answer = self._dynamodb.get_item(TableName=self._table, Key=self._key(name), ConsistentRead=True)
        return answer.get("Item", {})

    def _write(
        self, job: J, condition: str, values: Mapping[str, Any] | None = None, *, more: str = "", **request: Any
    ) -> bool:
        """Record the job, and ``more`` in the same write, while the condition holds; False when it does not."""
        attributes = {
            self._owner: {"S": job.token},
            "beat": {"N": str(job.beat)},
            "cursors": {"L": [{"M": cursor.to_item()} for cursor in job.cursors]},
            **({"run": {"M": job.run.to_item(job.token)}} if job.run is not None else {}),
            **self._details(job),
        }
        update = "SET " + ", ".join(f"{name} = :{name}" for name in attributes) + more
        bound = {f":{name}": value for name, value in attributes.items()} | dict(values or {})
        return self._update(job.name, update, condition, bound, **request) or self.read(job.name) == job

    def _update(self, name: str, update: str, condition: str, values: Any, **request: Any) -> bool:
        """Update the job's row while the condition holds; False when it does not."""
        call = self._dynamodb.update_item
        return self._conditional(call, name, condition, values, UpdateExpression=update, **request)

    def _conditional(self, call: Callable[..., object], name: str, condition: str, values: Any, **request: Any) -> bool:
        with aws_errors(f"recording the state of {name} in {self._table}"):
            return write_if(
                call,
                TableName=self._table,
                Key=self._key(name),
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                **request,
            )


class _Sight(NamedTuple):
    """A job as it was seen ``at`` a moment: what marks its beat, since when that stands, and whether the job runs."""

    beat: tuple[str, int]
    since: float
    at: float
    runs: bool | None


class JobWatch:
    """Tells jobs that run from those that were interrupted, for whoever looks again and again. For several threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._seen: dict[tuple[type[ResumableJob], str], _Sight] = {}

    def look(self, job: ResumableJob) -> JobProgress:
        """How far a job is that was just read.

        It runs when its beat has risen since the last look, and was interrupted once it has stood still for STALE
        seconds; which of the two is not known at the first look.
        """
        now, key, beat = self._now(), (type(job), job.name), (job.token, job.beat)
        with self._lock:
            before = self._seen.get(key)
            if before is None or now - before.at > _FORGOTTEN:
                sight = _Sight(beat, now, now, runs=None)
            elif before.beat != beat:
                sight = _Sight(beat, now, now, runs=True)
            else:
                sight = before._replace(at=now, runs=False if now - before.since >= STALE else before.runs)
            self._seen[key] = sight
        return JobProgress.of(job, sight.runs)


class JobHeartbeat(Generic[J]):
    """The jobs that this process runs: a beat every BEAT seconds records how far each is. Shared between threads.

    When a job is lost, or a beat fails for good, ``stop`` is set and ``check`` raises what happened.
    """

    def __init__(self, store: JobStore[J], jobs: Sequence[J], stop: threading.Event) -> None:
        self._store = store
        self._held = {job.name: job for job in jobs}
        self._began: dict[str, float] = {}
        self._lock = threading.Lock()
        self._stop = stop
        self._ended = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def jobs(self) -> list[J]:
        """The jobs that have not ended, with the cursors that have moved since they were last recorded."""
        with self._lock:
            return list(self._held.values())

    def job(self, name: str) -> J:
        """One of the jobs that have not ended."""
        with self._lock:
            return self._held[name]

    def begin_reading(self, name: str, total: int) -> None:
        """Begin to read for a job, of about ``total`` items: what this process does from now on makes its pace."""
        with self._lock:
            self._began[name] = time.monotonic()
            self._held[name] = replace(self._held[name], run=Run(total))

    def advance(
        self, name: str, items: int, units: Units | None = None, at: Mapping[int, Cursor] | None = None, **changes: Any
    ) -> None:
        """Count items that the process has read for a job, and their cost; the next beat records all of it or none.

        ``at``: the segments that are done up to other cursors now; none where a later run has to read the items again.
        """
        with self._lock:
            job = self._held[name]
            cursors = tuple((at or {}).get(segment, cursor) for segment, cursor in enumerate(job.cursors))
            job = replace(job, cursors=cursors, **changes)
            if (run := job.run) is not None:
                cost = (run.units or Units()).plus(units) if units is not None else run.units
                job = self._timed(replace(job, run=replace(run, items=run.items + items, units=cost)))
            self._held[name] = job

    def save(self, name: str, **changes: Any) -> None:
        """Record a job at once, with these fields changed, unless it has ended. Raises as JobStore.save does."""
        with self._lock:
            if name in self._held:
                job = self._held[name]
                # What waits after its end to be shown is not read any slower for that.
                timed = job if all(cursor.ended for cursor in job.cursors) else self._timed(job)
                self._held[name] = self._store.save(replace(timed, **changes))

    def _timed(self, job: J) -> J:
        """The job with the time that this process has read for it until now."""
        if job.run is None:
            return job
        seconds = round(time.monotonic() - self._began[job.name], 1)
        return replace(job, run=replace(job.run, seconds=seconds))

    def end(self, name: str, end: Callable[[J], None]) -> None:
        """End a job by the store's call for it; no beat comes after it. Raises what ended the beats, or the call."""
        self.check()
        with self._lock:
            end(self._held[name])
            del self._held[name]

    def check(self) -> None:
        """Raises what ended the beats, if anything did."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while not self._ended.wait(BEAT):
            for job in self.jobs:
                try:
                    self.save(job.name)
                except TransientError as error:
                    log.warning("beat_held_up", job=job.name, reason=str(error), action="none: the next beat follows")
                except Exception as error:  # noqa: BLE001 - handed to the thread that works
                    self._error = error
                    self._stop.set()
                    return
