"""Records waiting to be put, and which of them may go next. Pure: no call, no clock."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

MAX_RECORDS = 500
"""PutRecords' limit on records a call."""
MAX_BYTES = 5 * 1024 * 1024
"""What every endpoint takes in a call. (AWS takes 10 MiB since 2025.) A larger record goes alone."""
MAX_RECORD = 10 * 1024 * 1024
"""The API's limit on data and key of one record; a stream's own limit may be 1 MiB, and then the service refuses it."""
COMMON_RECORD = 1024 * 1024
"""Every stream takes records up to this. A larger one goes alone, so that a refusal hits nothing else."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Waiting(Generic[T]):
    """A record to put, and the `receipt` by which its sender learns the outcome."""

    partition_key: str
    data: bytes
    receipt: T

    @property
    def size(self) -> int:
        """As the API counts it."""
        return len(self.data) + len(self.partition_key.encode())


class PutQueue(Generic[T]):
    """Keeps the order of each partition key.

    PutRecords may refuse one record of a call and take the next. So a call carries **at most one record of a key**, and
    the key's next record waits until that one is settled: nothing can overtake it, whatever fails.
    """

    def __init__(self) -> None:
        self._by_key: OrderedDict[str, deque[Waiting[T]]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, record: Waiting[T]) -> None:
        """Put the record behind all others of its key."""
        self._by_key.setdefault(record.partition_key, deque()).append(record)
        self._count += 1

    def next_call(self) -> list[Waiting[T]]:
        """The records for one PutRecords call, those that wait longest first. They stay until they are settled."""
        chosen: list[Waiting[T]] = []
        size = 0
        for waiting in self._by_key.values():
            record = waiting[0]
            full = len(chosen) >= MAX_RECORDS or size + record.size > MAX_BYTES or record.size > COMMON_RECORD
            if chosen and full:
                break
            chosen.append(record)
            size += record.size
            if record.size > COMMON_RECORD:
                break
        return chosen

    def settle(self, records: Iterable[Waiting[T]]) -> None:
        """Remove records that were put, or that can never be. Their keys' next records go to the end of the line."""
        for record in records:
            waiting = self._by_key[record.partition_key]
            waiting.popleft()
            self._count -= 1
            if waiting:
                self._by_key.move_to_end(record.partition_key)
            else:
                del self._by_key[record.partition_key]

    def drain(self) -> list[Waiting[T]]:
        """Remove and give everything."""
        everything = [record for waiting in self._by_key.values() for record in waiting]
        self._by_key.clear()
        self._count = 0
        return everything
