"""The queue of records to put, and which may go next. Pure: no call, no clock."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Generic, TypeVar

from faust_kinesis.sending.put_records import OutgoingRecord, fits

T = TypeVar("T")


class PutQueue(Generic[T]):
    """Keeps the order of each partition key.

    PutRecords may refuse one record of a call and take the next. So a call carries **at most one record of a key**, and
    the key's next record waits until that one is settled: nothing can overtake it, whatever fails.
    """

    def __init__(self) -> None:
        self._by_key: OrderedDict[str, deque[OutgoingRecord[T]]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, record: OutgoingRecord[T]) -> None:
        """Append the record behind all others of its key."""
        self._by_key.setdefault(record.partition_key, deque()).append(record)
        self._count += 1

    def next_call(self) -> list[OutgoingRecord[T]]:
        """The records for one PutRecords call, the longest queued first. They stay queued until they are settled."""
        chosen: list[OutgoingRecord[T]] = []
        size = 0
        for waiting in self._by_key.values():
            record = waiting[0]
            if not fits(record, len(chosen), size):
                break
            chosen.append(record)
            size += record.size
        return chosen

    def settle(self, records: Iterable[OutgoingRecord[T]]) -> None:
        """Remove records that were put or can never be put. Their keys' next records move to the end of the queue."""
        for record in records:
            waiting = self._by_key[record.partition_key]
            waiting.popleft()
            self._count -= 1
            if waiting:
                self._by_key.move_to_end(record.partition_key)
            else:
                del self._by_key[record.partition_key]

    def drain(self) -> list[OutgoingRecord[T]]:
        """Remove and return everything."""
        everything = [record for waiting in self._by_key.values() for record in waiting]
        self._by_key.clear()
        self._count = 0
        return everything
