"""A table read whole, in parallel segments, each from where it was left."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
)

from aws_client.fast.reads import items_as
from aws_client.retry import RetryPolicy
from ledger.errors import TransientError
from ledger.runtime.aws import aws_errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger(__name__)

#: Items in a page at most: the upper bound on repeated work per segment after a crash. So many events are about 1 MB,
#: at which DynamoDB ends a page (AWS, "Paginating table scan results").
PAGE: Final = 3000

Item = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a segment is read: after ``key`` (None: from its start), or to its end; ``items`` were read so far.

    ``counts``: what a job counts beside items, up to there.
    """

    key: Item | None = None
    ended: bool = False
    items: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)

    def to_item(self) -> dict[str, Any]:
        """The cursor as a control row holds it."""
        key = {"key": {"M": self.key}} if self.key is not None else {}
        counts = {"counts": {"M": {name: {"N": str(count)} for name, count in self.counts.items()}}}
        return {
            "ended": {"BOOL": self.ended},
            "items": {"N": str(self.items)},
            **key,
            **(counts if self.counts else {}),
        }

    @classmethod
    def from_item(cls, item: Item) -> "Cursor":
        """Read what ``to_item`` wrote."""
        counts = {name: int(count["N"]) for name, count in item["counts"]["M"].items()} if "counts" in item else {}
        return cls(item["key"]["M"] if "key" in item else None, item["ended"]["BOOL"], int(item["items"]["N"]), counts)


class SegmentedScan:
    """A strongly consistent scan of a table in segments.

    Each item that was there before its segment began, and stays, is seen at least once; one that is written meanwhile
    may be seen or not.
    """

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        table: str,
        *,
        page: int | None = None,
        item_type: type[Any] | None = None,
        **request: Any,
    ) -> None:
        """``page``: items read at once, PAGE unless given; ``request``: more of Scan's arguments, such as a filter.

        With ``item_type``, a page whose items all fit it consists of these, and of dictionaries otherwise.
        """
        self._page = page
        self._item_type = item_type
        self._dynamodb = dynamodb
        self._table = table
        self._request = request

    def page(self, segment: int, segments: int, cursor: Cursor) -> tuple[list[Any], Cursor]:
        """The next page of a segment that has not ended, and the cursor after it.

        Raises ThrottledError, EndpointError or ResourceError.
        """
        start: Any = {"ExclusiveStartKey": cursor.key} if cursor.key is not None else {}
        with aws_errors(f"scanning {self._table}"), items_as(self._item_type):
            page = self._dynamodb.scan(
                TableName=self._table,
                ConsistentRead=True,
                Segment=segment,
                TotalSegments=segments,
                Limit=self._page or PAGE,
                **start,
                **self._request,
            )
        last = page.get("LastEvaluatedKey")
        return list(page["Items"]), Cursor(last, last is None, cursor.items + page["ScannedCount"])


def approximate_size(dynamodb: "DynamoDBClient", table: str) -> int:
    """How many items the table has, as DescribeTable says; AWS brings that up to date every six hours."""
    with aws_errors(f"describing table {table}"):
        return int(dynamodb.describe_table(TableName=table)["Table"].get("ItemCount", 0))


class RetryUntilStopped:
    """Retries what fails transiently, with backoff, until it succeeds or ``stop`` is set."""

    def __init__(self, stop: threading.Event, report: Callable[[str], None]) -> None:
        """``report`` gets a line for each failure."""
        self.stop = stop
        self._report = report

    def __call__(self, call: Callable[[], T]) -> T:
        """The call's answer. Raises its error when that is permanent, or when ``stop`` is set."""
        retrying = Retrying(
            retry=retry_if_exception_type(TransientError),
            wait=RetryPolicy(0.1, 10.0, jitter=1.0),
            stop=stop_when_event_set(self.stop),
            sleep=sleep_using_event(self.stop),
            before_sleep=self._held_up,
            reraise=True,
        )
        return retrying(call)

    def _held_up(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._report(f"held up, trying again: {error}")
        log.warning("held_up", reason=str(error), action="none while it passes")


def read_segments(
    scan: SegmentedScan,
    cursors: Sequence[Cursor],
    handle: Callable[[list[Item]], None],
    done: Callable[[int, Cursor], None],
    retry: RetryUntilStopped,
) -> None:
    """Read every segment from its cursor to its end, a thread each.

    ``handle`` is called with each page in the segment's thread, ``done`` with the segment and its new cursor once the
    page is handled. Returns early when ``retry.stop`` is set. The first error of any thread stops all and is raised.
    """

    def run(segment: int) -> None:
        cursor = cursors[segment]
        while not cursor.ended and not retry.stop.is_set():
            items, cursor = retry(partial(scan.page, segment, len(cursors), cursor))
            retry(partial(handle, items))
            done(segment, cursor)

    in_segments(range(len(cursors)), run, retry.stop)


def in_segments(segments: Sequence[int], run: Callable[[int], None], stop: threading.Event) -> None:
    """Run a thread for each segment until all have ended. The first error of any sets ``stop`` and is raised."""
    with ThreadPoolExecutor(len(segments), thread_name_prefix="segment") as pool:
        try:
            futures = [pool.submit(run, segment) for segment in segments]
            finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in finished:
                future.result()
        except BaseException:
            stop.set()
            raise
