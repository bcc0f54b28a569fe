"""How far a backfill is, so that an interrupted one resumes where it was."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.runtime.aws import aws_errors
from ledger.store.errors import JobLostError, JobRunningError
from ledger.store.resumable_job import JobStore, ResumableJob

#: What the ids of backfills begin with in the bridge's control table.
PREFIX: Final = "backfill~"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillJob(ResumableJob):
    """A backfill under way; its ``name`` says what it republishes. ``published``: events put so far."""

    published: int = 0


class BackfillStore(JobStore[BackfillJob]):
    """The backfills under way, in the bridge's control table. Raises ThrottledError, EndpointError or ResourceError."""

    _job = BackfillJob
    _owner = "runner"
    _running = "the backfill of {0.name} is being run by another process: wait for it, or stop that process first"
    _lost = (
        "the backfill of {0.name} no longer belongs to this process: another one took it over while this one stood "
        "still, and runs it"
    )

    def all(self) -> list[BackfillJob]:
        """Every backfill that is under way or was interrupted."""
        with aws_errors(f"looking for backfills in {self._table}"):
            # A handful of rows, and no page of it is ever full.
            rows = self._dynamodb.scan(TableName=self._table, ConsistentRead=True)["Items"]
        found = [(row["id"]["S"].removeprefix(PREFIX), row) for row in rows if row["id"]["S"].startswith(PREFIX)]
        return [self._of_row(name, row) for name, row in found]

    def start(self, job: BackfillJob) -> None:
        """Record a new backfill. Raises JobRunningError when another process started the same one first."""
        if not self._write(job, "attribute_not_exists(id)"):
            raise JobRunningError(self._running.format(job))

    def end(self, job: BackfillJob) -> None:
        """Forget a backfill that is done. Raises JobLostError."""
        values = {":me": {"S": job.token}}
        condition = "attribute_not_exists(id) OR runner = :me"
        if not self._conditional(self._dynamodb.delete_item, job.name, condition, values):
            raise JobLostError(self._lost.format(job))

    def _key(self, name: str) -> dict[str, Any]:
        return {"id": {"S": f"{PREFIX}{name}"}}

    def _details(self, job: BackfillJob) -> dict[str, Any]:
        return {"published": {"N": str(job.published)}}

    def _fields(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"published": int(row["published"]["N"])}
