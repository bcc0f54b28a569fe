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

#: How far apart in time the table's stream may show an account's events out of order. AWS's records of one transaction
#: come within a second; LocalStack's ten threads overtake each other by less.
SHORTLY: Final = timedelta(seconds=10)
#: Events read backwards at most; a transaction holds 100.
MAX_BEFORE: Final = 300


class Lookback:
    """Reads events in order, retrying transient faults. ``calls`` must classify TransientError as transient."""

    def __init__(self, store: EventStore, calls: CallPool) -> None:
        self._store = store
        self._calls = calls

    async def read(self, account_id: str, missing: Missing, before: StoredEvent) -> list[StoredEvent]:
        """The ``missing`` events that the store holds, ascending; ``before`` is the event that they must precede.

        Strongly consistent: an event that the stream shows is stored, and so are all before it. The result ends at a
        hole: only a write that bypasses the event store makes one, and the stream shows what follows in its own time.

        Raises ResourceError.
        """
        return await self._calls.retry_until_answered(
            f"read events of {account_id}", self._read, account_id, missing, before
        )

    def _read(self, account_id: str, missing: Missing, before: StoredEvent) -> list[StoredEvent]:
        found: list[StoredEvent] = []
        try:
            if missing.after is None:
                since = _moment(before) - SHORTLY
                newest = self._store.newest(account_id, until=missing.until, limit=MAX_BEFORE)
                found = [event for event in reversed(newest) if _moment(event) >= since]
            else:
                # One by one: what comes before a hole is kept when the read fails there.
                for event in self._store.read(account_id, after=missing.after, until=missing.until):
                    found.append(event)
        except CorruptHistoryError as error:
            action = "the relay goes on without what lacks"
            log.error("history_corrupt", account=account_id, reason=str(error), action=action)  # noqa: TRY400 - one line
        return found


def _moment(event: StoredEvent) -> datetime:
    moment = datetime.fromisoformat(event.occurred_at)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
