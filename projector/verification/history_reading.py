"""The events table read once, whoever wants its histories: each gets them account by account, an event at a time.

A scan shows an account's events together and in order in practice, and nothing promises it. So an account counts as
whole only where a segment has shown it the events 1, 2, 3 ... without a gap; whatever else is shown is for whoever
reads to look up. Memory holds no history, only what the readers fold it into.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import structlog

from ledger.store.errors import CorruptHistoryError
from ledger.store.parallel_scan import Cursor, Item, RetryUntilStopped, SegmentedScan, in_segments
from ledger.store.stored_event import StoredEvent

log = structlog.get_logger(__name__)


class Follower(Protocol):
    """Takes the events of one account, in order; must not raise."""

    def add(self, event: StoredEvent) -> None:
        """Take the next event."""


@dataclass(slots=True)
class ScannedAccount:
    """What a segment has shown of one account, without another one in between.

    ``begins``: event 1 is among it, as of every account exactly once in a scan. ``whole``: it is the events 1 to
    ``last`` in order, each followed by ``followers``. ``last`` is the furthest event, None where there is none.
    """

    account_id: str
    followers: Mapping[str, Any]
    begins: bool = False
    whole: bool = True
    last: StoredEvent | None = None

    def add(self, item: Item) -> None:
        """Take the next item that the segment shows of the account."""
        try:
            event = StoredEvent.from_item(item)
        except CorruptHistoryError as error:
            log.warning("not_an_event", account=self.account_id, reason=str(error))
            self.begins |= item["sequenceNumber"] == {"N": "1"}
            self._is_not_whole()
            return
        number = event.sequence_number
        self.begins |= number == 1
        reached = self.last.sequence_number if self.last is not None else 0
        if number == reached + 1 and self.whole:
            for follower in self.followers.values():
                follower.add(event)
        else:
            self._is_not_whole()
        if number > reached:
            self.last = event

    def _is_not_whole(self) -> None:
        self.whole = False
        self.followers = {}


#: A segment, its cursor after a page, how many accounts began in it, and what each reader has counted.
PageDone = Callable[[int, Cursor, int, Mapping[str, Mapping[str, int]]], None]


class HistoryReader(Protocol):
    """Somebody who wants every account's history. Shared between the segments' threads."""

    @property
    def name(self) -> str:
        """Unique among the readers of one reading."""

    def follow(self, account_id: str) -> Follower:
        """What takes the account's events."""

    def finish(self, accounts: Sequence[ScannedAccount]) -> Mapping[str, int]:
        """A segment has shown all that it has of these accounts, but for what it may show out of order.

        Returns what the reader counts. Retries what fails transiently. Idempotent: after a crash, accounts may come
        again, in pieces too.
        """


def read_histories(
    scan: SegmentedScan,
    cursors: Sequence[Cursor],
    readers: Callable[[], Sequence[HistoryReader]],
    done: PageDone,
    retry: RetryUntilStopped,
) -> None:
    """Read every segment from its cursor to its end, a thread each, while there are ``readers``.

    ``done`` is called once a page is handled, with the segment, its new cursor, how many accounts have begun, and what
    each reader has counted. What a cursor has passed is finished, but for the account in hand, of which the next page
    shows the rest. Returns early when ``retry.stop`` is set. The first error of any thread stops all and is raised.
    """

    def run(segment: int) -> None:
        cursor = cursors[segment]
        account: ScannedAccount | None = None
        while not cursor.ended and not retry.stop.is_set() and readers():
            items, cursor = retry(partial(scan.page, segment, len(cursors), cursor))
            shown: list[ScannedAccount] = [] if account is None else [account]
            begun = -1 if account is not None and account.begins else 0
            for item in items:
                account_id = item["aggregateId"]["S"]
                if account is None or account.account_id != account_id:
                    followers = {each.name: each.follow(account_id) for each in readers()}
                    account = ScannedAccount(account_id, followers)
                    shown.append(account)
                account.add(item)
            begun += sum(each.begins for each in shown)
            if cursor.ended:
                account = None
            complete = [each for each in shown if each is not account]
            counts = {reader.name: reader.finish(complete) for reader in readers()}
            if retry.stop.is_set():
                return  # what was left out then is not to count as read
            done(segment, cursor, begun, counts)

    in_segments(range(len(cursors)), run, retry.stop)
