"""How far a backfill is, so that an interrupted one resumes where it was."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.store.errors import JobLostError, JobRunningError
from ledger.store.parallel_scan import Cursor
from ledger.store.resumable_job import JobStore, ResumableJob


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillJob(ResumableJob):
    """A backfill under way; its ``name`` says what it republishes. ``published``: events put so far."""

    published: int = 0


class BackfillStore(JobStore[BackfillJob]):
    """The backfills under way, in the bridge's control table. Raises ThrottledError, EndpointError or ResourceError."""

    _owner = "runner"

    def start(self, job: BackfillJob) -> None:
        """Record a new backfill. Raises JobRunningError when another process started the same one first."""
        if not self._write(job, "attribute_not_exists(id)"):
            raise JobRunningError(self._running(job))

    def end(self, job: BackfillJob) -> None:
        """Forget a backfill that is done. Raises JobLostError."""
        values = {":me": {"S": job.token}}
        condition = "attribute_not_exists(id) OR runner = :me"
        if not self._conditional(self._dynamodb.delete_item, job.name, condition, values):
            raise JobLostError(self._lost(job))

    def _key(self, name: str) -> dict[str, Any]:
        return {"id": {"S": f"backfill~{name}"}}

    def _details(self, job: BackfillJob) -> dict[str, Any]:
        return {"published": {"N": str(job.published)}}

    def _parse(self, name: str, row: Mapping[str, Any]) -> BackfillJob | None:
        if not row:
            return None
        return BackfillJob(
            name=name,
            token=row["runner"]["S"],
            beat=int(row["beat"]["N"]) if "beat" in row else 0,
            cursors=tuple(Cursor.from_item(cursor["M"]) for cursor in row["cursors"]["L"]),
            published=int(row["published"]["N"]),
        )

    def _running(self, job: BackfillJob) -> str:
        return f"the backfill of {job.name} is being run by another process: wait for it, or stop that process first"

    def _lost(self, job: BackfillJob) -> str:
        return (
            f"the backfill of {job.name} no longer belongs to this process: another one took it over while this one "
            f"stood still, and runs it"
        )
