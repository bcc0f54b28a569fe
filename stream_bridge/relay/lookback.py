"""Reads from the event store what the table's stream has not shown yet."""

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from aws_client.call_pool import CallPool
from ledger.store.errors import CorruptHistoryError
from ledger.store.event_store import EventStore
from ledger.store.stored_event import StoredEvent
from stream_bridge.relay.ordering import Missing

log = structlog.get_logger(__name__)

#: By how much ``occurredAt``, a writer's clock before its first attempt, may be earlier than the stream's time or ours:
#: clocks up to half a minute wrong, and a writer's patience.
CLOCKS: Final = timedelta(seconds=90)
#: Events read backwards at most; a transaction holds 100.
MAX_BEFORE: Final = 300


class Lookback:
    """Reads events in order, retrying transient faults. ``calls`` must classify TransientError as transient."""

    def __init__(self, store: EventStore, calls: CallPool) -> None:
        self._store = store
        self._calls = calls

    async def read(self, aggregate_id: str, missing: Missing, since: datetime) -> list[StoredEvent]:
        """The ``missing`` events that the store holds, ascending; ``since``: what the stream took before was put.

        Strongly consistent: an event that the stream shows is stored, and so are all before it. The result ends at a
        hole: only a write that bypasses the event store makes one, and the stream shows what follows in its own time.

        Raises ResourceError.
        """
        return await self._calls.retry_until_answered(
            f"read events of {aggregate_id}", self._read, aggregate_id, missing, since
        )

    def _read(self, aggregate_id: str, missing: Missing, since: datetime) -> list[StoredEvent]:
        found: list[StoredEvent] = []
        try:
            if missing.after is None:
                newest = self._store.newest(aggregate_id, until=missing.until, limit=MAX_BEFORE)
                # To the earliest one that is late enough: clocks disagree, so that times may go back and forth.
                unput = [place for place, event in enumerate(newest) if _moment(event) >= since - CLOCKS]
                found = newest[max(unput) :: -1] if unput else []
            else:
                # One by one: what comes before a hole is kept when the read fails there.
                for event in self._store.read(aggregate_id, after=missing.after, until=missing.until):
                    found.append(event)
        except CorruptHistoryError as error:
            action = "the relay goes on without what lacks"
            log.error("history_corrupt", aggregate=aggregate_id, reason=str(error), action=action)  # noqa: TRY400 - one line
        return found


def _moment(event: StoredEvent) -> datetime:
    moment = datetime.fromisoformat(event.occurred_at)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
