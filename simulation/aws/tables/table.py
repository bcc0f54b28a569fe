"""One table: its items in key order, and how they were a moment ago."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

from sortedcontainers import SortedDict

from simulation.aws.errors import unfit, validation
from simulation.aws.tables.expressions.key_conditions import WHOLE, KeyRange
from simulation.aws.tables.values import Item, comparable, number, stored

#: A key: the partition key's value, and the sort key's (NO_SORT where the table has none).
Key = tuple[Any, Any]
NO_SORT: Final = ""
#: Hears of a change: the table, the key, the item before and after it (None: there is none).
Listener = Callable[["Table", Key, Item | None, Item | None], None]

#: AWS, "Amazon DynamoDB quotas": bytes in one item, in a partition key, in a sort key.
MAX_ITEM_BYTES: Final = 400 * 1024
_MAX_KEY_BYTES: Final = (2048, 1024)


@dataclass(slots=True)
class _Row:
    """An item as stored, and earlier images: until when each was the newest."""

    item: Item | None
    size: int
    past: list[tuple[float, Item | None]]


class Table:
    """A table of DynamoDB. Items are never changed in place: whoever got one may keep it."""

    def __init__(
        self,
        name: str,
        schema: Sequence[Mapping[str, str]],
        definitions: Sequence[Mapping[str, str]],
        *,
        clock: Callable[[], float],
        staleness: float = 0.0,
    ) -> None:
        """``schema`` and ``definitions``: as CreateTable has them.

        ``staleness``: seconds for which an eventually consistent read may still see an item as it was.
        """
        self.name = name
        self.keys = tuple(each["AttributeName"] for each in sorted(schema, key=lambda each: each["KeyType"]))
        kinds = {each["AttributeName"]: each["AttributeType"] for each in definitions}
        self._kinds = tuple((key, kinds[key], size) for key, size in zip(self.keys, _MAX_KEY_BYTES, strict=False))
        self.description: dict[str, Any] = {}
        self.listeners: list[Listener] = []
        self._clock = clock
        self._staleness = staleness
        self._partitions: dict[Any, Any] = {}
        self._places: list[tuple[int, Any]] = []
        self._ordered = True
        self.count = 0

    def key_of(self, item: Mapping[str, Any], *, exactly: bool = False) -> Key:
        """The key of an item. ``exactly``: it must have nothing else. Raises ValidationException."""
        if exactly and len(item) != len(self._kinds):
            raise validation("The provided key element does not match the schema")
        name, kind, size = self._kinds[0]
        hashed = _key_value(item.get(name), name, kind, size)
        if len(self._kinds) == 1:
            return hashed, NO_SORT
        name, kind, size = self._kinds[1]
        return hashed, _key_value(item.get(name), name, kind, size)

    def key_value(self, value: Mapping[str, Any], at: int) -> Any:
        """What a value compares by as the partition key (0) or the sort key (1). Raises ValidationException."""
        return _key_value(value, *self._kinds[at])

    def get(self, key: Key, *, stale_by: float = 0.0) -> Item | None:
        """The item of a key; ``stale_by``: as it was so many seconds ago."""
        rows = self._partitions.get(key[0])
        row = rows.get(key[1]) if rows is not None else None
        return None if row is None else self._image(row, stale_by) if stale_by else row.item

    def sized(self, key: Key, stale_by: float = 0.0) -> tuple[Item | None, int]:
        """The item of a key, and its size now: 0 when there is none."""
        rows = self._partitions.get(key[0])
        row = rows.get(key[1]) if rows is not None else None
        if row is None:
            return None, 0
        return (self._image(row, stale_by) if stale_by else row.item), row.size

    def put(self, key: Key, item: Item | None) -> int:
        """Store an item, or delete it. Returns the bytes that count: those of the larger of before and after.

        Raises ValidationException for a value that DynamoDB does not take, and for an item that is too large.
        """
        return self.store(key, None, 0) if item is None else self.store(key, *stored(item))

    def store(self, key: Key, item: Item | None, size: int) -> int:
        """Like ``put``, for an item that is as DynamoDB keeps it already, and its size."""
        check_size(size)
        rows = self._partitions.get(key[0])
        if rows is None:
            if item is None:
                return 0
            rows = self._partitions[key[0]] = SortedDict() if len(self._kinds) > 1 else {}
            self._places.append(_place(key[0]))
            self._ordered = False
        row = rows.get(key[1])
        before, size_before = (row.item, row.size) if row is not None else (None, 0)
        self.count += (item is not None) - (before is not None)
        if self._staleness:
            now = self._clock()
            past = [each for each in row.past if each[0] > now - self._staleness] if row is not None else []
            past.append((now, before))
            if row is None:
                rows[key[1]] = _Row(item, size, past)
            else:
                row.item, row.size, row.past = item, size, past
        elif item is None:
            rows.pop(key[1], None)
        elif row is None:
            rows[key[1]] = _Row(item, size, [])
        else:
            row.item, row.size = item, size
        for listener in self.listeners:
            listener(self, key, before, item)
        return size if size > size_before else size_before

    def items(self) -> Iterator[Item]:
        """All items."""
        return (row.item for rows in self._partitions.values() for row in rows.values() if row.item is not None)

    def partition(
        self, hashed: Any, ranged: KeyRange = WHOLE, *, reverse: bool = False, after: Any = None, stale_by: float = 0.0
    ) -> Iterator[tuple[Item, int]]:
        """The items of a partition in a range of sort keys, in order, and their sizes.

        ``after``: only those that come after this sort key. Raises ValidationException.
        """
        rows = self._partitions.get(hashed)
        low = self.key_value(ranged.low, 1) if ranged.low is not None else None
        high = self.key_value(ranged.high, 1) if ranged.high is not None else None
        if low is not None and high is not None and low > high:
            raise validation("The BETWEEN operator takes two values of one type, the lower one first")
        if rows is None:
            return
        if len(self._kinds) == 1:
            sorts: Any = rows if after is None else ()
        else:
            inclusive = ranged.inclusive
            if after is not None and reverse and (high is None or after <= high):
                high, inclusive = after, (inclusive[0], False)
            elif after is not None and not reverse and (low is None or after >= low):
                low, inclusive = after, (False, inclusive[1])
            if low is not None and high is not None and low > high:
                return
            sorts = rows.irange(low, high, inclusive, reverse=reverse)
        prefix = self.key_value(ranged.low, 1) if ranged.prefix else None
        for sort in sorts:
            if prefix is not None and not sort.startswith(prefix):
                if reverse:
                    continue
                return
            row = rows[sort]
            item = self._image(row, stale_by) if stale_by else row.item
            if item is not None:
                yield item, row.size

    def scan(self, after: Key | None, segment: int, segments: int, stale_by: float) -> Iterator[tuple[Item, int]]:
        """The items after a key, in the table's own order, of one segment of so many; and their sizes."""
        if not self._ordered:
            self._places.sort()
            self._ordered = True
        begin = 0 if after is None else bisect_left(self._places, _place(after[0]))
        for place in self._places[begin:]:
            if place[0] % segments == segment:
                is_first = after is not None and place[1] == after[0]
                yield from self.partition(place[1], after=after[1] if after and is_first else None, stale_by=stale_by)

    def _image(self, row: _Row, stale_by: float) -> Item | None:
        if row.past:
            moment = self._clock() - stale_by
            for until, image in row.past:
                if until > moment:
                    return image
        return row.item


def check_size(size: int) -> None:
    """Raise ValidationException for an item of so many bytes that is too large."""
    if size > MAX_ITEM_BYTES:
        raise unfit("Item size has exceeded the maximum allowed size")


def _place(hashed: Any) -> tuple[int, Any]:
    return crc32(str(hashed).encode()), hashed


def _key_value(value: Mapping[str, Any] | None, name: str, kind: str, max_bytes: int) -> Any:
    held = value.get(kind) if value is not None else None
    if held is None:
        raise validation(f"The provided key element does not match the schema: {name}")
    if kind == "N":
        return number(held)
    if kind == "S":
        if not held or (len(held) * 4 > max_bytes and len(held.encode()) > max_bytes):
            raise validation(f"The value of the key attribute {name} is empty, or exceeds {max_bytes} bytes")
        return held
    found = comparable({kind: held})[1]
    if not 0 < len(found) <= max_bytes:
        raise validation(f"The value of the key attribute {name} is empty, or exceeds {max_bytes} bytes")
    return found
