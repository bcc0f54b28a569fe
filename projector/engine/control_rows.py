"""Generations: which table of a projection readers see, and which ones the workers feed.

One control row per projection, in ``projections-{profile}``. A rebuild makes a new generation beside the live one, has
the workers feed both, and flips in one conditional write.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aws_client.tables import write_if
from ledger.errors import ResourceError
from ledger.runtime.aws import aws_errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Seconds for which workers and readers cache the control rows. A rebuild waits longer than this before it scans, so
#: that every batch that it does not see in the events table is fed to the new generation.
MAX_AGE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Control:
    """One projection's control row: readers see ``active``, workers write to all of ``fed``.

    ``beat`` rises every two seconds while the process lives that builds the generation ``building``.
    """

    active: int
    fed: frozenset[int]
    building: int | None = None
    beat: int = field(default=0, compare=False)


class Generations:
    """The control rows. Raises ThrottledError, EndpointError or ResourceError."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def begin(self, projection: str) -> bool:
        """Create the control row of a projection that has none: generation 1, active. Idempotent and safe to race.

        Returns whether it was created.
        """
        with aws_errors(f"creating the control row of {projection}"):
            return write_if(
                self._dynamodb.put_item,
                TableName=self._table,
                Item={"projection": {"S": projection}, "active": {"N": "1"}, "fed": {"NS": ["1"]}},
                ConditionExpression="attribute_not_exists(#projection)",
                ExpressionAttributeNames={"#projection": "projection"},
            )

    def read(self, projection: str) -> Control:
        """Read a control row, strongly consistent. Raises ResourceError when there is none."""
        with aws_errors(f"reading the control row of {projection}"):
            answer = self._dynamodb.get_item(
                TableName=self._table, Key={"projection": {"S": projection}}, ConsistentRead=True
            )
        if "Item" not in answer:
            raise ResourceError(f"projection {projection} has no control row: start a projector once, it creates one")
        return control_of(answer["Item"])


class ControlView:
    """The control rows of some projections, cached for MAX_AGE seconds. Safe to share between threads."""

    def __init__(
        self, generations: Generations, projections: Iterable[str], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._generations = generations
        self._projections = tuple(projections)
        self._now = now
        self._lock = threading.Lock()
        self._held: tuple[float, Mapping[str, Control]] | None = None

    def current(self) -> Mapping[str, Control]:
        """Each projection's control row, at most MAX_AGE old. Raises as ``Generations.read`` does."""
        held = self._held
        return held[1] if held is not None and self._now() - held[0] <= MAX_AGE else self.refresh()

    def refresh(self) -> Mapping[str, Control]:
        """Each projection's control row as it is now. Raises as ``Generations.read`` does."""
        started = self._now()
        controls = {name: self._generations.read(name) for name in self._projections}
        with self._lock:
            # Another thread's read may have overtaken this one: what is held never goes back to an older one.
            if self._held is None or self._held[0] <= started:
                self._held = (started, controls)
            return self._held[1]


def control_of(item: Mapping[str, Any]) -> Control:
    """Parse a control row's item."""
    return Control(
        active=int(item["active"]["N"]),
        fed=frozenset(map(int, item["fed"]["NS"])),
        building=int(item["building"]["N"]) if "building" in item else None,
        beat=int(item["beat"]["N"]) if "beat" in item else 0,
    )
