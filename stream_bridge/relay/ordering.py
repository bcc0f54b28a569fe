"""The order in which an aggregate's events are put, whatever order the table's stream shows. Pure: no calls, no clock.

DynamoDB Streams keep the order of each *item*, and an event is an item: the events of one transaction may come 3, 1, 2,
an aggregate may lie on several shards, and an emulator may lose one. So the sequence numbers decide: an event is put
only after every earlier one of its aggregate. What the stream has not shown yet is read from the event store and
put first; when the stream shows it later, it is put once more.

``SentVersions`` holds the last event of each aggregate that this process has put. After a start it is empty, and the
checkpoint alone does not say whether event n-1 was put or comes later in the stream. Then the events that the
aggregate's writer stored shortly before n are read and put again first. docs/design.md, "Relay", says what this rests
on.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

#: Aggregates whose version is kept, some 150 bytes each. One that is evicted is treated as after a start.
MAX_AGGREGATES: Final = 200_000


@dataclass(frozen=True, slots=True)
class Missing:
    """Events that must be put before some that the stream shows: ``after < sequence number <= until``.

    ``after`` None: the last event put is not known; those stored shortly before are put again.
    """

    after: int | None
    until: int


def missing(numbers: Sequence[int], sent: int | None) -> list[Missing]:
    """The gaps before and between ``numbers``, the distinct ones that the stream shows of an aggregate, ascending.

    ``sent``: the event up to which the aggregate was put without a gap; None: not known.
    """
    found = []
    reached = sent or 0
    if sent is None and numbers[0] > 1:
        found.append(Missing(None, numbers[0] - 1))
        reached = numbers[0]
    for number in numbers:
        if number > reached + 1:
            found.append(Missing(reached, number - 1))
        reached = max(reached, number)
    return found


class SentVersions:
    """The last event of each aggregate that this process has put, or queued in order."""

    def __init__(self, limit: int = MAX_AGGREGATES) -> None:
        self._limit = limit
        self._versions: OrderedDict[str, int] = OrderedDict()

    def get(self, aggregate_id: str) -> int | None:
        """The aggregate's last sent event; None when it is not known."""
        return self._versions.get(aggregate_id)

    def reach(self, aggregate_id: str, numbers: Iterable[int]) -> None:
        """Record events as put after all earlier ones. A version never decreases."""
        self._versions[aggregate_id] = max(self._versions.get(aggregate_id, 0), *numbers)
        self._versions.move_to_end(aggregate_id)
        if len(self._versions) > self._limit:
            self._versions.popitem(last=False)
