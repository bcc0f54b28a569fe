"""Which events table everything derived was made from: one that was made anew since is noticed, and not taken for it.

Snapshots and read models outlive an events table that is deleted and restored, and the restored one may hold less.
DynamoDB gives each table an id of its own. That and the name of the one that all was derived from are kept in a row
beside the projections' control rows; ``kinfold restore`` writes the new id once everything agrees with it. Where it was
restored under another name, it writes that first, so that what still serves the former table stops.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

import structlog
from botocore.exceptions import ClientError
from prometheus_client import CollectorRegistry, Gauge

from aws_client.failures import is_not_found
from aws_client.tables import write_if
from ledger.errors import KinfoldError, TransientError
from ledger.runtime.aws import aws_errors
from ledger.store.errors import TableReplacedError
from ledger.store.stored_event import timestamp
from ledger.store.tables import Names

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger(__name__)

#: Seconds between two looks of a service.
LOOK_INTERVAL: Final = 20.0
#: Seconds between two looks of one that keeps proofs of what it has read, and for which each look is good. No table of
#: AWS is deleted and made anew in so short a time.
CLOSE_INTERVAL: Final = 5.0
GOOD_FOR: Final = 2 * CLOSE_INTERVAL
#: No projection can have this name.
_ROW: Final = {"projection": {"S": "#events-table"}}


@dataclass(frozen=True, slots=True)
class TableIdentity:
    """The table that all was derived from. ``restored_at``: when it was made so by a restore, None if it never was.

    ``former``: names under which the events were kept before; the stream may still have their change records.
    """

    table_id: str
    name: str
    restored_at: datetime | None = None
    former: frozenset[str] = frozenset()


class TableIdentities:
    """The identity of one profile's events table. Raises ThrottledError, EndpointError or ResourceError."""

    def __init__(self, dynamodb: "DynamoDBClient", names: Names) -> None:
        self._dynamodb = dynamodb
        self._names = names

    def actual(self) -> str:
        """The id of the table that there is now; its time of creation on an endpoint that gives tables no id."""
        return self.described()[0]

    def described(self) -> tuple[str, bool]:
        """The id of the table that there is now, and whether it is being deleted."""
        with aws_errors(f"describing table {self._names.events}"):
            table = self._dynamodb.describe_table(TableName=self._names.events)["Table"]
        return table.get("TableId") or str(table["CreationDateTime"]), table["TableStatus"] == "DELETING"

    def find(self) -> TableIdentity | None:
        """What was recorded; None before anything was derived."""
        with aws_errors(f"reading which table {self._names.events} was"):
            try:
                answer = self._dynamodb.get_item(TableName=self._names.projections, Key=_ROW, ConsistentRead=True)
            except ClientError as error:
                if not is_not_found(error):
                    raise
                return None
        if "Item" not in answer:
            return None
        item = answer["Item"]
        restored = datetime.fromisoformat(item["restoredAt"]["S"]) if "restoredAt" in item else None
        # A version that knew no other name recorded none.
        name = item["tableName"]["S"] if "tableName" in item else Names(self._names.profile).events
        return TableIdentity(item["tableId"]["S"], name, restored, frozenset(item.get("former", {}).get("SS", ())))

    def begin(self) -> None:
        """Record the table that there is now, unless one is recorded. Idempotent and safe to race."""
        with aws_errors(f"recording which table {self._names.events} is"):
            write_if(
                self._dynamodb.put_item,
                TableName=self._names.projections,
                Item={**_ROW, "tableId": {"S": self.actual()}, "tableName": {"S": self._names.events}},
                ConditionExpression="attribute_not_exists(tableId)",
            )

    def move(self) -> None:
        """Record that the events are under our table's name from now on, though nothing agrees with it yet.

        What serves the former table finds that at its next look.
        """
        recorded = self.find()
        if recorded is not None and recorded.name != self._names.events:
            self._write(replace(recorded, name=self._names.events, former=self._former(recorded)))

    def restored(self, table_id: str, now: datetime) -> None:
        """Record that everything derived agrees with the table of this id, whatever was recorded before."""
        recorded = self.find()
        former = self._former(recorded) if recorded is not None else frozenset[str]()
        self._write(TableIdentity(table_id, self._names.events, now, former))

    def _former(self, recorded: TableIdentity) -> frozenset[str]:
        return (recorded.former | {recorded.name}) - {self._names.events}

    def _write(self, identity: TableIdentity) -> None:
        item: Any = {**_ROW, "tableId": {"S": identity.table_id}, "tableName": {"S": identity.name}}
        if identity.restored_at is not None:
            item["restoredAt"] = {"S": timestamp(identity.restored_at)}
        if identity.former:
            item["former"] = {"SS": sorted(identity.former)}
        with aws_errors(f"recording which table {self._names.events} is"):
            self._dynamodb.put_item(TableName=self._names.projections, Item=item)

    def check(self) -> TableIdentity | None:
        """What was recorded. Raises TableReplacedError when the table is another one by now, or has another name."""
        return self.examine()[0]

    def examine(self) -> tuple[TableIdentity | None, str | None]:
        """What was recorded, and the id of the table that there is now; None while it is being deleted.

        Raises as ``check`` does.
        """
        recorded = self._recorded()
        actual, ending = self.described()
        self._compare(recorded, actual)
        return recorded, None if ending else actual

    def _recorded(self) -> TableIdentity | None:
        recorded = self.find()
        if recorded is not None and recorded.name != self._names.events:
            raise TableReplacedError(
                f"the events are in table {recorded.name} by now, and this is set to {self._names.events}: set "
                f"KINFOLD_EVENTS_TABLE={recorded.name} and start again, or, where {self._names.events} is to replace "
                "it, `kinfold restore`"
            )
        return recorded

    def _compare(self, recorded: TableIdentity | None, actual: str) -> None:
        if recorded is not None and recorded.table_id != actual:
            raise TableReplacedError(
                f"table {self._names.events} was made anew (it is {actual}, and everything derived is of "
                f"{recorded.table_id}): restore its events if they are lost, then `kinfold restore`"
            )


class TableGuard:
    """Keeps a service from going on beside a table that was made anew. Safe to share between threads.

    Before the first look nothing is known, and nothing is held back.
    """

    def __init__(
        self,
        identities: TableIdentities,
        on_restored: Callable[[], None] = lambda: None,
        *,
        interval: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``on_restored`` is called before a service goes on: to forget what it remembers of lost events.

        ``interval``: seconds between two looks, by default LOOK_INTERVAL.
        """
        self.identities = identities
        self._on_restored = on_restored
        self._interval = interval
        self._clock = clock
        #: The id that the last look saw, and when it began.
        self._seen: tuple[str, float] | None = None
        self._replaced: TableReplacedError | None = None
        self._stop = threading.Event()
        #: What was recorded at the last look that found everything as it should be.
        self._identity: TableIdentity | None = None

    @property
    def reason(self) -> str | None:
        """Why the service must not go on; None while it may."""
        return str(self._replaced) if self._replaced is not None else None

    def expose(self, registry: CollectorRegistry) -> None:
        """Add the gauge that says whether the service is kept from going on. It makes no call."""
        text = "1 while the events table is another one than everything derived was made from"
        gauge = Gauge("kinfold_events_table_replaced", text, registry=registry)
        gauge.set_function(lambda: self.reason is not None)

    def check(self) -> TableIdentity | None:
        """What is recorded. Raises TableReplacedError while the table is another one than that."""
        if (reason := self.reason) is not None:
            raise TableReplacedError(reason)
        return self._identity

    def table_id(self) -> str | None:
        """The id of the table, as a look saw it that began at most GOOD_FOR seconds ago; None while that is unknown.

        What was read from that table is in it still: a table can be replaced by none of its name within that time.
        """
        seen = self._seen
        return seen[0] if seen is not None and self._clock() - seen[1] <= GOOD_FOR else None

    def look(self) -> None:
        """Compare once. What was found before stays when the endpoint does not answer."""
        try:
            self.compare()
        except TableReplacedError:
            return
        except KinfoldError as error:
            if not isinstance(error, TransientError):
                self._seen = None
            log.warning("events_table_not_checked", reason=str(error), action="none: it is looked at again")

    def compare(self) -> TableIdentity | None:
        """What is recorded now. Raises TableReplacedError, and as ``TableIdentities`` does when it cannot be told."""
        began = self._clock()
        try:
            identity, seen = self.identities.examine()
        except TableReplacedError as replaced:
            self._replaced, self._seen = replaced, None
            action = "`kinfold restore --dry-run` says what is lost"
            log.error("events_table_replaced", reason=str(replaced), action=action)  # noqa: TRY400 - no fault of ours
            raise
        self._seen = None if seen is None else (seen, began)
        if self._replaced is not None or self._identity not in (None, identity):
            self._on_restored()
            log.info("events_table_restored", action="none: the service goes on")
        self._identity = identity
        self._replaced = None
        return identity

    @contextmanager
    def watching(self) -> Iterator[Self]:
        """Look now, and in a thread from time to time while the block runs."""
        self.look()
        thread = threading.Thread(target=self._run, name="events-table", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join(1.0)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_INTERVAL if self._interval is None else self._interval):
            self.look()
