"""Shards of records as Kinesis and DynamoDB Streams both have them: appended in order, read by iterators, trimmed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from simulation.aws.errors import AwsError, not_found, validation

#: AWS, GetShardIterator: seconds for which an iterator is good. DynamoDB Streams' live for 15 minutes.
ITERATOR_SECONDS: Final = 300.0


@dataclass(slots=True)
class Shard:
    """A shard. ``numbers``, ``records``, ``times`` and ``sizes`` run in step; numbers below ``trimmed`` are gone."""

    shard_id: str
    parents: tuple[str, ...] = ()
    low: int = 0
    high: int = 0
    first: int = 0
    ended: int | None = None
    trimmed: int = 0
    numbers: list[int] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def append(self, number: int, record: dict[str, Any], now: float, size: int) -> None:
        """Append a record of so many bytes."""
        self.numbers.append(number)
        self.records.append(record)
        self.times.append(now)
        self.sizes.append(size)


class ShardLog:
    """The shards of one stream, and iterators over them."""

    def __init__(self, clock: Callable[[], float], *, width: int, iterator_seconds: float = ITERATOR_SECONDS) -> None:
        """``width``: digits of a sequence number as text."""
        self.shards: dict[str, Shard] = {}
        self._clock = clock
        self._iterator_seconds = iterator_seconds
        self._number = int(10 ** (width - 1))

    def next_number(self) -> int:
        """A sequence number higher than every one before, of any shard."""
        self._number += 1
        return self._number

    def text(self, number: int) -> str:
        """A sequence number as records show it."""
        return str(number)

    def add(self, shard_id: str, parents: tuple[str, ...] = (), low: int = 0, high: int = 0) -> Shard:
        """Open a shard."""
        shard = self.shards[shard_id] = Shard(shard_id, parents, low, high, self.next_number())
        return shard

    def close(self, shard: Shard) -> None:
        """Close a shard: it takes no record any more."""
        shard.ended = self.next_number()

    def shard(self, shard_id: str) -> Shard:
        """A shard by its id. Raises ResourceNotFoundException."""
        try:
            return self.shards[shard_id]
        except KeyError:
            raise not_found(f"Shard {shard_id}") from None

    def trim(self, before: float) -> int:
        """Forget records from before a time, and closed shards without any left. Returns how many records."""
        gone = 0
        for shard in list(self.shards.values()):
            count = bisect_left(shard.times, before)
            if count:
                shard.trimmed = shard.numbers[count - 1] + 1
                del shard.numbers[:count], shard.records[:count], shard.times[:count], shard.sizes[:count]
            gone += count
            if shard.ended is not None and not shard.numbers:
                del self.shards[shard.shard_id]
        return gone

    def iterator(self, shard_id: str, kind: str, number: str | None, moment: float | None) -> str:
        """An iterator. Raises AwsError for a position that the shard cannot have."""
        shard = self.shard(shard_id)
        match kind:
            case "TRIM_HORIZON":
                at = 0
            case "LATEST":
                at = self._number + 1
            case "AT_TIMESTAMP":
                first = bisect_left(shard.times, moment or 0.0)
                at = shard.numbers[first] if first < len(shard.numbers) else self._number + 1
            case "AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER":
                last = self._number if shard.ended is None else shard.ended
                if number is None or not number.isdigit() or not shard.first <= int(number) <= last:
                    raise AwsError(
                        "InvalidArgumentException",
                        f"StartingSequenceNumber {number} used in GetShardIterator is invalid",
                    )
                at = int(number) + (kind == "AFTER_SEQUENCE_NUMBER")
            case _:
                raise validation(f"ShardIteratorType {kind}")
        return f"{shard_id}|{at}|{self._clock():.6f}"

    def read(self, iterator: str, limit: int, max_bytes: int) -> tuple[Shard, list[dict[str, Any]], str | None, int]:
        """The shard, a page of records, the next iterator (None: the shard's end), and how many records follow.

        Raises ExpiredIteratorException; ResourceNotFoundException when the shard is gone.
        """
        shard_id, at, issued = iterator.split("|")
        if self._clock() - float(issued) > self._iterator_seconds:
            raise AwsError("ExpiredIteratorException", "Iterator expired")
        shard = self.shard(shard_id)
        begin = bisect_left(shard.numbers, int(at))
        end, size = begin, 0
        while end < len(shard.numbers) and end - begin < limit:
            size += shard.sizes[end]
            if size > max_bytes and end > begin:
                break
            end += 1
        records = shard.records[begin:end]
        at_number = shard.numbers[end - 1] + 1 if end > begin else int(at)
        left = len(shard.numbers) - end
        following = None if shard.ended is not None and not left else f"{shard_id}|{at_number}|{self._clock():.6f}"
        return shard, records, following, left
