"""Wakes readers that wait for an aggregate when this worker has applied events of it."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ledger.store.stored_event import StoredEvent


class Wakeups:
    """Who waits for which aggregate. Not thread-safe: for one event loop.

    Only local writes notify; readers also poll.
    """

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    @contextmanager
    def of(self, aggregate_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever events of the aggregate were applied, while the block runs.

        Clear it before reading, not after, so that no event applied meanwhile is missed.
        """
        arrived = asyncio.Event()
        self._waiting[aggregate_id].add(arrived)
        try:
            yield arrived
        finally:
            self._waiting[aggregate_id].discard(arrived)
            if not self._waiting[aggregate_id]:
                del self._waiting[aggregate_id]

    def announce(self, events: Iterable[StoredEvent]) -> None:
        """Wake whoever waits for the aggregate of one of these events."""
        if self._waiting:
            for aggregate_id in {event.aggregate_id for event in events} & self._waiting.keys():
                for arrived in self._waiting[aggregate_id]:
                    arrived.set()
