"""Every aggregate of a read model against the event store, refolded by code other than the engine's where there is any.

Each aggregate is judged by itself. One whose stored rows are the fold of all that the reading has shown of it agrees;
every other one is read by itself and judged at its own version (``comparison``). Memory holds no history.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from aws_client.batch_reads import MAX_KEYS, BatchRead, chunks
from ledger.errors import PermanentError
from ledger.runtime.aws import aws_errors
from ledger.store.parallel_scan import Cursor, RetryUntilStopped, SegmentedScan, approximate_size, read_segments
from projector.components import Components
from projector.engine.read_model import ReadModel
from projector.projection import HEAD
from projector.verification.aggregate_check import Checker
from projector.verification.comparison import Compared, Kind
from projector.verification.expected_rows import ExpectedRows
from projector.verification.history_reading import HistoryReader, PageDone, ScannedAggregate, histories, read_histories
from projector.verification.stored_rows import StoredRows

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

S = TypeVar("S")

#: Aggregates behind at the first check that get a second one; any more are reported at once.
MAX_LATE: Final = 10_000
#: Approximate number of aggregates in one segment of a random sample; AWS allows a million segments.
_SAMPLE_SEGMENT: Final = 50
_MAX_SEGMENTS: Final = 1_000_000


class Repairer(Protocol):
    """What to do about an aggregate that does not agree."""

    def repair(self, compared: Compared[Any]) -> str:
        """Repair it as far as that is allowed; returns what was done, or "" when nothing was."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """An aggregate that did not agree: what was found, what was done about it, and its outcome now."""

    found: Compared[Any]
    done: str
    now: Compared[Any]

    def brief(self) -> "Finding":
        """Without the rows: what can be told to another process."""
        return replace(self, found=replace(self.found, differences=()), now=replace(self.now, differences=()))

    def to_json(self) -> dict[str, Any]:
        """The finding as operators see it."""
        return {
            "aggregateId": self.found.aggregate_id,
            "found": self.found.kind,
            "now": self.now.kind,
            "version": self.found.version,
            "stored": self.found.stored,
            "behind": self.found.behind,
            "reason": self.found.reason,
            "done": self.done,
        }


class Verification:
    """One pass over a read model's aggregates. ``tally`` counts the aggregates by their final outcome."""

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        events_table: str,
        checker: Checker[Any],
        retry: RetryUntilStopped,
        on_finding: Callable[[Finding], None],
        *,
        repairer: Repairer | None = None,
        wait: float = 5.0,
    ) -> None:
        """``wait``: seconds in which a late aggregate may still reach the version that was stored at the check."""
        self.tally: Counter[Kind] = Counter()
        self._dynamodb = dynamodb
        self._events_table = events_table
        self._checker = checker
        self._rows = StoredRows(dynamodb, checker.model)
        self._retry = retry
        self._on_finding = on_finding
        self._repairer = repairer
        self._wait = wait
        self._lock = threading.Lock()
        self._late: dict[str, int] = {}

    @property
    def name(self) -> str:
        """The projection's name."""
        return self._checker.model.projection.name

    @property
    def table(self) -> str:
        """The read model's table."""
        return self._checker.model.table

    def everything(self, cursors: Sequence[Cursor], done: PageDone) -> None:
        """Check every aggregate, each segment from its cursor, in one reading of the events table."""
        check_everything([self], cursors, done)

    def read(self, readers: Sequence[HistoryReader], cursors: Sequence[Cursor], done: PageDone) -> None:
        """Read the events table for all of ``readers``."""
        scan = histories(self._dynamodb, self._events_table)
        read_histories(scan, cursors, lambda: readers, done, self._retry)

    def takes(self, aggregate_id: str) -> bool:
        """Whether the read model is to have the aggregate."""
        return self._checker.model.projection.takes(aggregate_id)

    def follow(self, aggregate_id: str) -> ExpectedRows[Any]:
        """The rows that the aggregate should have, as its events come."""
        projection = self._checker.model.projection
        return ExpectedRows(projection, aggregate_id, self._checker.skipped)

    def finish(self, aggregates: Sequence[ScannedAggregate]) -> Mapping[str, int]:
        """Check aggregates of which a segment has shown all that it has. See ``HistoryReader``."""
        agreeing = self.agreeing({each.aggregate_id: each.followers[self.name] for each in aggregates if each.whole})
        for aggregate in aggregates:
            if not (aggregate.whole and aggregate.aggregate_id in agreeing):
                self.check(aggregate.aggregate_id, counted=aggregate.begins)
        return {}

    def settled(self) -> Mapping[str, int]:
        """Settle what is late; returns the tally."""
        self.settle()
        return {str(kind): count for kind, count in self.tally.items()}

    def agreeing(self, expected: Mapping[str, ExpectedRows[Any]]) -> set[str]:
        """Count and give back those whose stored rows are the expected ones; what the others are, ``check`` says."""
        rows = {}
        for aggregate_id, each in expected.items():
            with suppress(PermanentError):
                rows[aggregate_id] = each.rows()
        agreeing = self._retry(partial(self._rows.agreeing, rows)) if rows else set()
        self._agree(len(agreeing))
        return agreeing

    def sample(self, aggregates: int, done: Callable[[int], None] = lambda _: None) -> None:
        """Check about ``aggregates`` random aggregates, by whole segments, and about as many rows for extra ones.

        ``done`` gets how many aggregates have been checked.
        """
        chosen = self._random(self._first_events(), self._events_table, aggregates)
        for number, aggregate_id in enumerate(filter(self.takes, chosen), start=1):
            self.check(aggregate_id)
            done(number)
        rows = SegmentedScan(self._dynamodb, self._checker.model.table, ProjectionExpression="aggregateId")
        self._check_extra(self._random(rows, self._checker.model.table, aggregates))
        self.settle()

    def extra_rows(self, segments: int, done: Callable[[int, Cursor], None]) -> None:
        """Check every row of the read model for aggregates that the event store does not know."""
        rows = SegmentedScan(self._dynamodb, self._checker.model.table, ProjectionExpression="aggregateId")
        read_segments(
            rows,
            (Cursor(),) * segments,
            lambda items: self._check_extra({item["aggregateId"]["S"]: None for item in items}),
            done,
            self._retry,
        )

    def settle(self) -> None:
        """Wait for the late aggregates, ``wait`` seconds in all, and report those that are still behind."""
        deadline = time.monotonic() + self._wait
        while self._late and not self._retry.stop.is_set():
            heads = self._retry(partial(self._heads, list(self._late)))
            for aggregate_id in [name for name, until in self._late.items() if heads.get(name, 0) >= until]:
                del self._late[aggregate_id]
                self._finish(self._retry(partial(self._checker.check, aggregate_id)), late=True)
            if time.monotonic() >= deadline:
                for aggregate_id in list(self._late):
                    del self._late[aggregate_id]
                    self._finish(self._retry(partial(self._checker.check, aggregate_id)))
            elif self._late:
                self._retry.stop.wait(0.2)

    def _heads(self, aggregate_ids: list[str]) -> dict[str, int]:
        model = self._checker.model
        rows, _ = model.read((aggregate_id, HEAD) for aggregate_id in aggregate_ids)
        return {aggregate_id: row.version for (aggregate_id, _), row in rows.items()}

    def _first_events(self) -> SegmentedScan:
        return SegmentedScan(
            self._dynamodb,
            self._events_table,
            FilterExpression="sequenceNumber = :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
            ProjectionExpression="aggregateId",
        )

    def check(self, aggregate_id: str, *, counted: bool = True) -> Finding | None:
        """Check one aggregate by a reading of its own; None when it agrees, or is late and ``settle`` will say.

        Without ``counted``, one that agrees was counted before.
        """
        if self._retry.stop.is_set():
            return None
        compared = self._retry(partial(self._checker.check, aggregate_id))
        if compared.kind in {"behind", "missing"} and self._wait:
            with self._lock:
                if len(self._late) < MAX_LATE:
                    self._late[aggregate_id] = compared.stored
                    return None
        return self._finish(compared, counted=counted)

    def _check_extra(self, aggregate_ids: Iterable[str]) -> None:
        for chunk in chunks(list(aggregate_ids), MAX_KEYS):
            known = self._with_events(chunk)
            for aggregate_id in set(chunk) - known:
                compared = self._retry(partial(self._checker.check, aggregate_id))
                if compared.kind not in {"agrees", "behind"}:
                    self._finish(compared)

    def _with_events(self, aggregate_ids: Sequence[str]) -> set[str]:
        """Those that have a first event."""
        keys = [{"aggregateId": {"S": each}, "sequenceNumber": {"N": "1"}} for each in set(aggregate_ids)]
        table = self._events_table
        read = BatchRead(self._dynamodb, table, keys, ConsistentRead=True, ProjectionExpression="aggregateId")

        def attempt() -> set[str]:
            with aws_errors(f"looking for aggregates in {table}"):
                return {item["aggregateId"]["S"] for item in read()}

        return self._retry(attempt)

    def _random(self, scan: SegmentedScan, table: str, aggregates: int) -> Iterator[str]:
        """Aggregates of random segments, each once, until there are enough."""
        size = approximate_size(self._dynamodb, table)
        segments = min(max(size // _SAMPLE_SEGMENT, 1), _MAX_SEGMENTS)
        seen: set[str] = set()
        for segment in random.sample(range(segments), segments):
            cursor = Cursor()
            while not cursor.ended and not self._retry.stop.is_set():
                items, cursor = self._retry(partial(scan.page, segment, segments, cursor))
                for item in items:
                    aggregate_id = item["aggregateId"]["S"]
                    if aggregate_id not in seen and len(seen) < aggregates:
                        seen.add(aggregate_id)
                        yield aggregate_id
            if len(seen) >= aggregates:
                return

    def _agree(self, aggregates: int) -> None:
        if aggregates:
            with self._lock:
                self.tally["agrees"] += aggregates

    def _finish(self, found: Compared[Any], *, late: bool = False, counted: bool = True) -> Finding | None:
        """Count the aggregate, repair it where asked to, and report it unless it agrees.

        ``late``: it has reached what was stored when first checked, so that what was appended since does not count.
        """
        if found.kind == "agrees" or (late and found.kind == "behind"):
            self._agree(int(counted))
            return None
        repairer = self._repairer
        with self._lock:
            done = self._retry(partial(repairer.repair, found)) if repairer else ""
            now = self._retry(partial(self._checker.check, found.aggregate_id)) if done else found
            if done and now.kind == "behind" and (now.version or 0) >= found.stored:
                self.tally["agrees"] += 1
            else:
                self.tally[now.kind] += 1
            finding = Finding(found, done, now)
            self._on_finding(finding)
        return finding


def check_everything(verifications: Sequence[Verification], cursors: Sequence[Cursor], done: PageDone) -> None:
    """Check every aggregate of several read models in one reading of the events table, and settle what is late."""
    verifications[0].read(verifications, cursors, done)
    for verification in verifications:
        verification.settle()


def verification_of(
    components: Components,
    model: ReadModel[Any],
    retry: RetryUntilStopped,
    on_finding: Callable[[Finding], None],
    *,
    repairer: Repairer | None = None,
    wait: float = 5.0,
) -> Verification:
    """A pass over one generation with the projector's components, whose skips are loaded."""
    dynamodb = components.clients.dynamodb
    checker = Checker(dynamodb, components.store, model, components.skips)
    return Verification(dynamodb, components.names.events, checker, retry, on_finding, repairer=repairer, wait=wait)
