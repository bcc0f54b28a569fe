"""Wakes readers that wait for an account when this worker has applied events of it."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ledger.store.stored_event import StoredEvent


class Wakeups:
    """Who waits for which account. Not thread-safe: for one event loop.

    Only local writes notify; readers also poll.
    """

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    @contextmanager
    def of(self, account_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever events of the account were applied, while the block runs.

        Clear it before reading, not after, so that no event applied meanwhile is missed.
        """
        arrived = asyncio.Event()
        self._waiting[account_id].add(arrived)
        try:
            yield arrived
        finally:
            self._waiting[account_id].discard(arrived)
            if not self._waiting[account_id]:
                del self._waiting[account_id]

    def announce(self, events: Iterable[StoredEvent]) -> None:
        """Wake whoever waits for the account of one of these events."""
        if self._waiting:
            for account_id in {event.aggregate_id for event in events} & self._waiting.keys():
                for arrived in self._waiting[account_id]:
                    arrived.set()
