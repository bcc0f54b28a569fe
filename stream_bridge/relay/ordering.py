"""In which order an account's events are put, whatever order the table's stream shows them in. Pure: no call, no clock.

DynamoDB Streams keep the order of each *item*, and an event is an item: the events of one transaction may come 3, 1, 2,
an account may lie on several shards, and an emulator may lose one. So the order is made from the sequence numbers: an
event is put only after every earlier one of its account. What the stream has not shown yet is read from the event
store and put first; when the stream shows it later, it is put once more.

``SentVersions`` know up to which event each account was put by this process. After a start they know nothing, and the
checkpoint alone does not tell whether event n-1 was put or comes later in the stream. Then what the account's writer
stored shortly before n is read and put again first. See docs/design.md, "Relay", for what this rests on.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

#: Accounts whose mark is kept, some 150 bytes each. One that drops out is as after a start.
MAX_ACCOUNTS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Missing:
    """Events that must be put before some that the stream shows: ``after < sequence number <= until``.

    ``after`` None: it is not known up to where the account was put; those stored shortly before are put again.
    """

    after: int | None
    until: int


def missing(numbers: Sequence[int], mark: int | None) -> list[Missing]:
    """What lacks before and between ``numbers``, the distinct ones that the stream shows of an account, ascending.

    ``mark``: the event up to which the account was put without a hole; None: not known.
    """
    found = []
    reached = mark or 0
    if mark is None and numbers[0] > 1:
        found.append(Missing(None, numbers[0] - 1))
        reached = numbers[0]
    for number in numbers:
        if number > reached + 1:
            found.append(Missing(reached, number - 1))
        reached = max(reached, number)
    return found


class SentVersions:
    """Up to which event each account was put, or waits to be put in order, by this process."""

    def __init__(self, limit: int = MAX_ACCOUNTS) -> None:
        self._limit = limit
        self._versions: OrderedDict[str, int] = OrderedDict()

    def get(self, account_id: str) -> int | None:
        """The account's mark; None when it is not known."""
        return self._versions.get(account_id)

    def reach(self, account_id: str, numbers: Iterable[int]) -> None:
        """Note events as put after all earlier ones. A mark never goes back."""
        self._versions[account_id] = max(self._versions.get(account_id, 0), *numbers)
        self._versions.move_to_end(account_id)
        if len(self._versions) > self._limit:
            self._versions.popitem(last=False)
