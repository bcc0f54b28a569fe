"""The engine: whatever order, repetition or loss the stream delivers, a summary moves from prefix to prefix.

The stream carries, the event store decides: an event that is ahead of its summary makes the engine read the missing
ones from the store, so a late or lost record costs a read and never a wrong balance.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import structlog
from cachetools import LRUCache

from ledger.errors import CorruptHistoryError
from ledger.event_store import EventStore
from ledger.stored_event import StoredEvent
from projector.errors import UnprojectableEventError
from projector.metrics import Metrics
from projector.projections.balance_summary import BalanceSummary, evolve
from projector.read_model import Change, SummaryTable

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Advance:
    """How far one account's events take its summary."""

    before: BalanceSummary | None
    after: BalanceSummary | None
    duplicates: int
    gaps: int
    failure: UnprojectableEventError | None = None

    @property
    def version_before(self) -> int:
        return self.before.version if self.before else 0


class Projector:
    """Folds batches of events into the summary table. One batch at a time: not to be shared between threads.

    Any number of projectors may work on the same table: each write holds only if the row is still at the version that
    was read. In a steady state every summary is in the cache and nothing is read.
    """

    def __init__(self, store: EventStore, table: SummaryTable, metrics: Metrics, *, cache_size: int = 100_000) -> None:
        """``cache_size``: summaries kept in memory, about 1 KB each."""
        self._store = store
        self._table = table
        self._metrics = metrics
        self._cache: LRUCache[str, BalanceSummary] = LRUCache(cache_size)

    def apply(self, events: Sequence[StoredEvent]) -> None:
        """Make the effect of every event durable: applied, or known to be applied already.

        At-least-once delivery in any order in, exactly-once effect out. Raises UnprojectableEventError when an event
        can never be applied; by then every other account of the batch is durable, and its own up to the event before.
        Raises ThrottledError, EndpointError or ResourceError when the endpoint fails; then call again with the same
        events.
        """
        pending = _by_account(events)
        repeated = len(events) - sum(map(len, pending.values()))
        failures: dict[str, UnprojectableEventError] = {}
        while pending:
            summaries = self._summaries(pending.keys())
            advances = {
                account_id: self._advance(account_id, summaries.get(account_id), delivered)
                for account_id, delivered in pending.items()
            }
            lost = self._write(advances)
            for account_id in pending.keys() - lost:
                advance = advances[account_id]
                self._count(advance)
                if advance.failure:
                    failures[account_id] = advance.failure
            pending = {account_id: pending[account_id] for account_id in lost}
        self._metrics.duplicates.inc(repeated)
        if failures:
            raise next(iter(failures.values()))

    def _summaries(self, account_ids: Iterable[str]) -> dict[str, BalanceSummary]:
        known = {account_id: self._cache[account_id] for account_id in account_ids if account_id in self._cache}
        unknown = [account_id for account_id in account_ids if account_id not in known]
        return known | self._table.get_many(unknown) if unknown else known

    def _advance(self, account_id: str, before: BalanceSummary | None, delivered: Sequence[StoredEvent]) -> _Advance:
        version = before.version if before else 0
        fresh = [event for event in delivered if event.sequence_number > version]
        missing = _missing(version, fresh)
        after = before
        failure = None
        try:
            for event in self._complete(account_id, fresh, missing):
                after = evolve(after, event)
        except UnprojectableEventError as error:
            failure = error
        return _Advance(before, after, len(delivered) - len(fresh), 1 if missing else 0, failure)

    def _complete(
        self, account_id: str, fresh: Sequence[StoredEvent], missing: tuple[int, int] | None
    ) -> Iterator[StoredEvent]:
        """The events after the summary without a gap: what is missing comes from the event store."""
        if missing is None:
            yield from fresh
            return
        first, last = missing
        log.info("gap_repaired", account=account_id, first=first, last=last)
        yield from (event for event in fresh if event.sequence_number < first)
        expected = first
        try:
            for event in self._store.read(account_id, after=first - 1, until=last):
                yield event
                expected += 1
        except CorruptHistoryError as error:
            raise UnprojectableEventError(account_id, expected, str(error)) from error
        if expected <= last:
            reason = "the stream shows later events, but the event store does not hold it"
            raise UnprojectableEventError(account_id, expected, reason)
        yield from (event for event in fresh if event.sequence_number > last)

    def _write(self, advances: dict[str, _Advance]) -> set[str]:
        """Write what moved; keep the cache true to what is durable. Returns the accounts to try again."""
        changes = [
            Change(advance.after, advance.version_before)
            for advance in advances.values()
            if advance.after is not None and advance.after is not advance.before
        ]
        try:
            lost = self._table.write(changes) if changes else set()
        except BaseException:
            for account_id in advances:
                self._cache.pop(account_id, None)
            raise
        self._metrics.lost_conditions.inc(len(lost))
        for account_id, advance in advances.items():
            if account_id in lost:
                self._cache.pop(account_id, None)
            elif advance.after is not None:
                self._cache[account_id] = advance.after
        return lost

    def _count(self, advance: _Advance) -> None:
        version = advance.after.version if advance.after else 0
        self._metrics.applied.inc(version - advance.version_before)
        self._metrics.duplicates.inc(advance.duplicates)
        self._metrics.gaps_repaired.inc(advance.gaps)


def _by_account(events: Iterable[StoredEvent]) -> dict[str, list[StoredEvent]]:
    """Group by account, in order of sequence number. A repeated event counts once: the last one delivered."""
    grouped: defaultdict[str, dict[int, StoredEvent]] = defaultdict(dict)
    for event in events:
        grouped[event.aggregate_id][event.sequence_number] = event
    return {account_id: [of[number] for number in sorted(of)] for account_id, of in grouped.items()}


def _missing(version: int, fresh: Sequence[StoredEvent]) -> tuple[int, int] | None:
    """First and last sequence number after ``version`` that ``fresh``, in order, lacks before its own last one."""
    if not fresh or fresh[-1].sequence_number == version + len(fresh):
        return None
    first = version + 1
    for event in fresh:
        if event.sequence_number != first:
            break
        first += 1
    last = fresh[-1].sequence_number - 1
    for event in reversed(fresh[:-1]):
        if event.sequence_number != last:
            break
        last -= 1
    return first, last
