"""The events table read once, whoever wants its histories: each gets them aggregate by aggregate, an event at a time.

A scan shows an aggregate's events together and in order in practice, and nothing promises it. So an aggregate counts as
whole only where one or several pages in a row have shown the events 1, 2, 3 ... without a gap; whatever else is shown
is for whoever reads to look up. Memory holds no history, only what the readers fold it into.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from ledger.aggregates.aggregate_type import AnyType
from ledger.aggregates.identifiers import MARK
from ledger.store.errors import CorruptHistoryError
from ledger.store.parallel_scan import Cursor, RetryUntilStopped, SegmentedScan, in_segments
from ledger.store.stored_event import AnyItem, EventItem, StoredEvent

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger(__name__)

_FIRST: Final = "1"
#: Begins the names under which aggregates are counted.
AGGREGATES: Final = "accounts"
#: Events of one aggregate that wait for those before them.
MAX_AHEAD: Final = 1_000


class Follower(Protocol):
    """Takes the events of one aggregate, in order; must not raise."""

    def add(self, event: StoredEvent) -> None:
        """Take the next event."""


class ScannedAggregate:
    """What a page of a segment, or several in a row, have shown of one aggregate.

    ``last`` is the furthest event, None where there is none. Events that come ahead of others wait for these, up to
    MAX_AHEAD of them.
    """

    __slots__ = ("_ahead", "_in_order", "_reached", "aggregate_id", "begins", "followers", "last")

    def __init__(self, aggregate_id: str, followers: Mapping[str, Any]) -> None:
        self.aggregate_id = aggregate_id
        self.followers = followers
        #: Event 1 is among it, as of every aggregate exactly once in a scan.
        self.begins = False
        self.last: StoredEvent | None = None
        self._reached = 0
        self._in_order = True
        self._ahead: dict[int, StoredEvent] = {}

    @property
    def whole(self) -> bool:
        """Whether the followers have had the events 1 to ``last``, each once and in order."""
        return self._in_order and not self._ahead and self._reached > 0

    def take(self, items: Iterable[AnyItem]) -> None:
        """Take the next items that the segment shows of the aggregate."""
        for item in items:
            try:
                event = StoredEvent.from_item(item)
            except CorruptHistoryError as error:
                self.begins |= _number_of(item) == _FIRST
                log.warning("not_an_event", aggregate=self.aggregate_id, reason=str(error))
                self._give_up()
                continue
            number = event.sequence_number
            if number == 1:
                self.begins = True
            if self.last is None or number > self.last.sequence_number:
                self.last = event
            if self._in_order:
                if number == self._reached + 1:
                    self._follow(event)
                else:
                    self._wait(event)

    def _follow(self, event: StoredEvent) -> None:
        following: StoredEvent | None = event
        while following is not None:
            self._reached = following.sequence_number
            for follower in self.followers.values():
                follower.add(following)
            following = self._ahead.pop(self._reached + 1, None) if self._ahead else None

    def _wait(self, event: StoredEvent) -> None:
        """Keep an event that came ahead of others."""
        self._ahead[event.sequence_number] = event
        if event.sequence_number <= self._reached or len(self._ahead) > MAX_AHEAD:
            self._give_up()

    def _give_up(self) -> None:
        """Leave the aggregate to whoever reads it by itself."""
        self._in_order = False
        self._ahead = {}
        self.followers = {}


#: A segment, its cursor after a page, how many aggregates began in it, by ``begun``, and what each reader has counted.
PageDone = Callable[[int, Cursor, Mapping[str, int], Mapping[str, Mapping[str, int]]], None]


class HistoryReader(Protocol):
    """Somebody who wants the history of every aggregate, or of some. Shared between the segments' threads."""

    @property
    def name(self) -> str:
        """Unique among the readers of one reading."""

    def takes(self, aggregate_id: str) -> bool:
        """Whether it wants the aggregate's history."""

    def follow(self, aggregate_id: str) -> Follower:
        """What takes the aggregate's events."""

    def finish(self, aggregates: Sequence[ScannedAggregate]) -> Mapping[str, int]:
        """A segment has shown all that it has of these aggregates, but for what it may show out of order.

        Returns what the reader counts. Retries what fails transiently. Idempotent: after a crash, aggregates may come
        again, in pieces too.
        """


def read_histories(
    scan: SegmentedScan,
    cursors: Sequence[Cursor],
    readers: Callable[[], Sequence[HistoryReader]],
    done: PageDone,
    retry: RetryUntilStopped,
    *,
    only: Sequence[int] | None = None,
) -> None:
    """Read every segment, or ``only`` some, from its cursor to its end, a thread each, while there are ``readers``.

    ``done`` is called for each page, with the segment, the cursor after it, how many aggregates began in it, and what
    each reader counted at its end, once nothing that the page has shown is left unfinished: a page may end just where
    an aggregate's history does, and only the next one shows that. Returns early when ``retry.stop`` is set. The first
    error of any thread stops all and is raised.
    """
    # Threads that fold at the same time take each other the interpreter's lock, and a tenth more CPU in all.
    folding = threading.Lock()

    def run(segment: int) -> None:
        cursor = cursors[segment]
        last: ScannedAggregate | None = None
        unfinished: list[tuple[Cursor, Mapping[str, int], Mapping[str, Mapping[str, int]]]] = []
        while not cursor.ended and not retry.stop.is_set() and readers():
            items, cursor = retry(partial(scan.page, segment, len(cursors), cursor))
            started, before = Counter[str](), last
            shown = {} if last is None else {last.aggregate_id: last}
            with folding:
                for aggregate_id, of_aggregate in groupby(items, _aggregate_of):
                    last = shown.get(aggregate_id)
                    if last is None:
                        taking = [each for each in readers() if each.takes(aggregate_id)]
                        followers = {each.name: each.follow(aggregate_id) for each in taking}
                        last = shown[aggregate_id] = ScannedAggregate(aggregate_id, followers)
                    began_before = last.begins
                    last.take(of_aggregate)
                    started[_begun(aggregate_id)] += last.begins and not began_before
            if cursor.ended:
                last = None
            finished = [aggregate for aggregate in shown.values() if aggregate is not last]
            counts = {
                each.name: each.finish([one for one in finished if each.takes(one.aggregate_id)]) for each in readers()
            }
            if retry.stop.is_set():
                return  # what was left out then is not to count as read
            page = (cursor, started, counts)
            if last is None or last is not before:
                for each in unfinished:
                    done(segment, *each)
                unfinished.clear()
            unfinished.append(page)
        for each in unfinished if cursor.ended else ():
            done(segment, *each)

    in_segments(range(len(cursors)) if only is None else only, run, retry.stop)


def histories(dynamodb: "DynamoDBClient", table: str) -> SegmentedScan:
    """The scan of an events table for ``read_histories``."""
    return SegmentedScan(dynamodb, table, item_type=EventItem)


def begun(kind: AnyType) -> str:
    """Under which name the aggregates of this type are counted that begin in a page."""
    return _begun(kind.key(""))


def _begun(key: str) -> str:
    name, mark, _ = key.rpartition(MARK)
    return f"{AGGREGATES}{mark}{name}"


def _aggregate_of(item: AnyItem) -> str:
    return item.aggregate_id.S if isinstance(item, EventItem) else item["aggregateId"]["S"]


def _number_of(item: AnyItem) -> str:
    return item.sequence_number.N if isinstance(item, EventItem) else item["sequenceNumber"]["N"]
