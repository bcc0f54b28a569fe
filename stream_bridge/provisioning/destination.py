"""DynamoDB's own streaming destination: the table's change records go to the Kinesis stream without a daemon.

Delivery: at least once and unordered. Changes made while the destination is not ACTIVE never reach the stream; the
projector reads them from the event store when it meets the gap.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from aws_client.failures import code_of
from ledger.errors import ResourceError
from ledger.runtime.aws import aws_errors
from stream_bridge.waiter import StateWaiter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: How many destinations AWS allows on one table.
MAX_PER_TABLE: Final = 2
#: States that count towards that limit.
COUNTED: Final = frozenset({"ACTIVE", "ENABLING", "UPDATING", "DISABLING"})
#: The states from which AWS accepts EnableKinesisStreamingDestination; None: there is no destination yet.
ENABLEABLE: Final = frozenset({None, "DISABLED", "ENABLE_FAILED"})
PRECISION: Final = "MICROSECOND"
#: Error codes of an endpoint that does not implement the operation.
UNSUPPORTED: Final = frozenset({"UnknownOperationException", "NotImplementedException", "InternalFailure"})


@dataclass(frozen=True, slots=True)
class DestinationState:
    """One destination of a table. ``precision`` is None where the endpoint does not say (LocalStack)."""

    stream_arn: str
    status: str
    precision: str | None = None
    description: str | None = None

    @property
    def healthy(self) -> bool:
        """Whether change records flow; they do while the precision is being changed (UPDATING)."""
        return self.status in {"ACTIVE", "UPDATING"}


def describe_destinations(dynamodb: "DynamoDBClient", table: str) -> list[DestinationState]:
    """Ask for every destination of the table. Raises TransientError, ResourceError when there is no such table."""
    with aws_errors(f"describing the streaming destinations of {table}"):
        answer = dynamodb.describe_kinesis_streaming_destination(TableName=table)
    return [
        DestinationState(
            stream_arn=found["StreamArn"],
            status=found["DestinationStatus"],
            precision=found.get("ApproximateCreationDateTimePrecision"),
            description=found.get("DestinationStatusDescription") or None,
        )
        for found in answer.get("KinesisDataStreamDestinations", [])
    ]


def find_destination(
    dynamodb: "DynamoDBClient", table: str, stream: str
) -> tuple[DestinationState | None, list[DestinationState]]:
    """The table's destination to the stream of this name, if there is one, and every other. Raises as above."""
    found = describe_destinations(dynamodb, table)
    ours = next((each for each in found if each.stream_arn.endswith(f":stream/{stream}")), None)
    return ours, [each for each in found if each is not ours]


class NativeDestination:
    """The destination that joins one table to one stream."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str, stream_arn: str, waiter: StateWaiter) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._stream_arn = stream_arn
        self._waiter = waiter
        self._what = f"the streaming destination of {table}"
        self.warnings: list[str] = []

    def ensure(self) -> DestinationState:
        """Bring the destination to ACTIVE from whatever state it is in. Idempotent, also under concurrency.

        Warnings go to ``warnings``. Raises ResourceError when AWS cannot enable it (with AWS's own reason), when the
        table has all the destinations it may have, or when it does not become ACTIVE in time; TransientError.
        """
        asked = updated = False
        looks = 0
        while True:
            state = self._state()
            status = state.status if state else None
            if state is not None and status == "ACTIVE":
                if state.precision in {None, PRECISION} or updated:
                    return state
                updated = True
                self._refine(state)
            elif status in ENABLEABLE and not asked:
                asked = self._enable(state)
            elif status == "ENABLE_FAILED" and looks > 0:
                raise ResourceError(self._failure(state))
            else:
                # The first look after the request may still show the state before it.
                looks += asked
                self._waiter.wait(f"{self._what} is {status}")

    def _state(self) -> DestinationState | None:
        destinations = describe_destinations(self._dynamodb, self._table)
        return next((found for found in destinations if found.stream_arn == self._stream_arn), None)

    def _enable(self, state: DestinationState | None) -> bool:
        """Request the destination; False when somebody else did so first."""
        if state is None:
            self._check_limit()
        elif state.status == "DISABLED":
            self._warn(
                f"{self._what} was DISABLED and is enabled again: events of that outage are not on the stream; "
                f"the projector reads them from the event store at the aggregate's next event"
            )
        else:
            self._warn(f"{self._what} had failed ({state.description or 'AWS gave no reason'}) and is tried again")
        with aws_errors(f"enabling {self._what}"):
            try:
                self._request_enable(precise=True)
            except ClientError as error:
                if code_of(error) not in {"ValidationException", "ResourceInUseException", "SerializationException"}:
                    raise
                now = self._state()
                if (now.status if now else None) not in ENABLEABLE:
                    return False
                self._request_enable(precise=False)
                self._warn(f"the endpoint refused {PRECISION} timestamps; change records carry its default precision")
        return True

    def _request_enable(self, *, precise: bool) -> None:
        precision = {"ApproximateCreationDateTimePrecision": PRECISION}
        more: dict[str, Any] = {"EnableKinesisStreamingConfiguration": precision} if precise else {}
        self._dynamodb.enable_kinesis_streaming_destination(TableName=self._table, StreamArn=self._stream_arn, **more)

    def _refine(self, state: DestinationState) -> None:
        self._waiter.report(f"{self._what} has {state.precision} timestamps; asking for {PRECISION}")
        with aws_errors(f"updating {self._what}"):
            try:
                self._dynamodb.update_kinesis_streaming_destination(
                    TableName=self._table,
                    StreamArn=self._stream_arn,
                    UpdateKinesisStreamingConfiguration={"ApproximateCreationDateTimePrecision": PRECISION},
                )
            except ClientError as error:
                if code_of(error) not in {"ValidationException", "ResourceInUseException", *UNSUPPORTED}:
                    raise
                self._warn(f"{self._what} keeps {state.precision} timestamps: {code_of(error)}")

    def _check_limit(self) -> None:
        held = [found for found in describe_destinations(self._dynamodb, self._table) if found.status in COUNTED]
        others = [found.stream_arn for found in held if found.stream_arn != self._stream_arn]
        if len(others) >= MAX_PER_TABLE:
            raise ResourceError(
                f"table {self._table} already streams to {' and '.join(others)}, and AWS allows {MAX_PER_TABLE} "
                f"destinations a table; end one with `aws dynamodb disable-kinesis-streaming-destination "
                f"--table-name {self._table} --stream-arn ARN`"
            )
        for other in others:
            self._warn(f"table {self._table} also streams to {other}; every change record is billed for each stream")

    def _failure(self, state: DestinationState | None) -> str:
        reason = state.description if state and state.description else "AWS gave no reason"
        return (
            f"{self._what} could not be enabled: {reason}. Check that stream {self._stream_arn} is ACTIVE, in the "
            f"table's account and region, that its KMS key (if any) admits DynamoDB, and that this caller may "
            f"kinesis:PutRecords, kinesis:PutRecord and kinesis:DescribeStream on it; then run the command again"
        )

    def _warn(self, warning: str) -> None:
        self.warnings.append(warning)
        self._waiter.report(f"warning: {warning}")
