"""The destination's states, each answered by a scripted DynamoDB: the emulators never show most of them."""

from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_dynamodb import DynamoDBClient

from ledger.errors import EndpointError, ResourceError
from stream_bridge.provisioning.destination import NativeDestination
from stream_bridge.waiter import StateWaiter

TABLE = "domain-events-t"
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/domain-events-t"
OTHER = "arn:aws:kinesis:us-east-1:000000000000:stream/other"
THIRD = "arn:aws:kinesis:us-east-1:000000000000:stream/third"


def refusal(code: str, http_status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": http_status}},  # type: ignore[typeddict-item]
        "Op",
    )


class ScriptedDynamoDB:
    """Answers each look with the next state of the script, the last one for ever; records what was asked."""

    def __init__(
        self,
        *states: str | None,
        precision: str | None = "MICROSECOND",
        reason: str | None = None,
        refuse: tuple[ClientError, ...] = (),
        others: tuple[str, ...] = (),
    ) -> None:
        self.states = list(states)
        self.precision, self.reason, self.others = precision, reason, others
        self.refuse = list(refuse)
        self.calls: list[tuple[str, bool]] = []

    def describe_kinesis_streaming_destination(self, *, TableName: str) -> dict[str, Any]:  # noqa: N803
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        found: list[dict[str, Any]] = [{"StreamArn": arn, "DestinationStatus": "ACTIVE"} for arn in self.others]
        if state is not None:
            found.append({"StreamArn": STREAM, "DestinationStatus": state, "DestinationStatusDescription": self.reason})
            if self.precision is not None:
                found[-1]["ApproximateCreationDateTimePrecision"] = self.precision
        return {"KinesisDataStreamDestinations": found}

    def enable_kinesis_streaming_destination(self, **request: Any) -> None:
        self.calls.append(("enable", "EnableKinesisStreamingConfiguration" in request))
        if self.refuse:
            raise self.refuse.pop(0)

    def update_kinesis_streaming_destination(self, **request: Any) -> None:
        self.calls.append(("update", True))
        if self.refuse:
            raise self.refuse.pop(0)


def destination(dynamodb: ScriptedDynamoDB, told: list[str] | None = None, timeout: float = 30) -> NativeDestination:
    moments = iter(range(1000))
    waiter = StateWaiter(
        timeout,
        (told if told is not None else []).append,
        clock=lambda: float(next(moments)),
        sleep=lambda seconds: None,
    )
    return NativeDestination(cast(DynamoDBClient, dynamodb), TABLE, STREAM, waiter)


def test_enables_with_microseconds_and_waits_until_it_is_active() -> None:
    told: list[str] = []
    dynamodb = ScriptedDynamoDB(None, None, "ENABLING", "ENABLING", "ACTIVE")
    assert destination(dynamodb, told).ensure().status == "ACTIVE"
    assert dynamodb.calls == [("enable", True)]
    assert any("ENABLING" in line for line in told)


def test_an_active_one_is_left_alone() -> None:
    dynamodb = ScriptedDynamoDB("ACTIVE")
    assert destination(dynamodb).ensure().healthy
    assert dynamodb.calls == []


@pytest.mark.parametrize("passing", ["ENABLING", "UPDATING"])
def test_a_passing_state_is_waited_for(passing: str) -> None:
    dynamodb = ScriptedDynamoDB(passing, passing, "ACTIVE")
    assert destination(dynamodb).ensure().status == "ACTIVE"
    assert dynamodb.calls == []


def test_one_being_disabled_is_enabled_once_it_is_disabled() -> None:
    dynamodb = ScriptedDynamoDB("DISABLING", "DISABLING", "DISABLED", "ENABLING", "ACTIVE")
    subject = destination(dynamodb)
    assert subject.ensure().status == "ACTIVE"
    assert dynamodb.calls == [("enable", True)]


def test_a_disabled_one_is_enabled_with_a_warning_about_the_missing_events() -> None:
    subject = destination(ScriptedDynamoDB("DISABLED", "ACTIVE"))
    subject.ensure()
    assert "events of that outage are not on the stream" in subject.warnings[0]


def test_a_failed_one_is_tried_again_with_the_reason_as_a_warning() -> None:
    subject = destination(ScriptedDynamoDB("ENABLE_FAILED", "ACTIVE", reason="no permission"))
    subject.ensure()
    assert "no permission" in subject.warnings[0]


def test_failing_for_good_gives_the_reason_and_what_to_do() -> None:
    dynamodb = ScriptedDynamoDB(None, None, "ENABLING", "ENABLE_FAILED", reason="the stream's KMS key is disabled")
    with pytest.raises(ResourceError, match=r"the stream's KMS key is disabled.*kinesis:PutRecords.*run the command"):
        destination(dynamodb).ensure()
    assert dynamodb.calls == [("enable", True)]


def test_a_stale_look_right_after_enabling_is_not_the_verdict() -> None:
    dynamodb = ScriptedDynamoDB("ENABLE_FAILED", "ENABLE_FAILED", "ENABLING", "ACTIVE")
    assert destination(dynamodb).ensure().status == "ACTIVE"
    assert dynamodb.calls == [("enable", True)]


def test_an_endpoint_without_precision_gets_the_plain_request() -> None:
    dynamodb = ScriptedDynamoDB(None, None, None, "ACTIVE", precision=None, refuse=(refusal("ValidationException"),))
    subject = destination(dynamodb)
    assert subject.ensure().status == "ACTIVE"
    assert dynamodb.calls == [("enable", True), ("enable", False)]
    assert "refused MICROSECOND" in subject.warnings[0]


@pytest.mark.parametrize("code", ["ValidationException", "ResourceInUseException"])
def test_losing_a_race_is_as_good_as_winning_it(code: str) -> None:
    dynamodb = ScriptedDynamoDB(None, None, "ENABLING", "ENABLING", "ACTIVE", refuse=(refusal(code),))
    subject = destination(dynamodb)
    assert subject.ensure().status == "ACTIVE"
    assert dynamodb.calls == [("enable", True)]
    assert subject.warnings == []


def test_what_is_refused_twice_is_an_error() -> None:
    dynamodb = ScriptedDynamoDB(None, refuse=(refusal("ValidationException"), refusal("ValidationException")))
    with pytest.raises(ResourceError, match="ValidationException: no"):
        destination(dynamodb).ensure()


def test_a_fault_of_the_endpoint_is_transient() -> None:
    with pytest.raises(EndpointError):
        destination(ScriptedDynamoDB(None, refuse=(refusal("InternalServerError", 500),))).ensure()


def test_milliseconds_are_refined_once() -> None:
    dynamodb = ScriptedDynamoDB("ACTIVE", "UPDATING", "ACTIVE", precision="MILLISECOND")
    destination(dynamodb).ensure()
    assert dynamodb.calls == [("update", True)]


def test_an_endpoint_that_cannot_refine_keeps_its_precision() -> None:
    dynamodb = ScriptedDynamoDB("ACTIVE", precision="MILLISECOND", refuse=(refusal("UnknownOperationException"),))
    subject = destination(dynamodb)
    assert subject.ensure().precision == "MILLISECOND"
    assert "keeps MILLISECOND" in subject.warnings[0]


def test_another_destination_is_named_and_two_leave_no_place() -> None:
    subject = destination(ScriptedDynamoDB(None, None, "ACTIVE", others=(OTHER,)))
    subject.ensure()
    assert OTHER in subject.warnings[0]
    dynamodb = ScriptedDynamoDB(None, others=(OTHER, THIRD))
    with pytest.raises(ResourceError, match=rf"{OTHER} and {THIRD}.*disable-kinesis-streaming-destination"):
        destination(dynamodb).ensure()
    assert dynamodb.calls == []


def test_it_does_not_wait_for_ever() -> None:
    with pytest.raises(ResourceError, match=r"ENABLING still, after \d+ s; run the command again"):
        destination(ScriptedDynamoDB("ENABLING"), timeout=5).ensure()
