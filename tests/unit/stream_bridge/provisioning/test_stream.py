from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_kinesis import KinesisClient

from ledger.errors import ConfigurationError
from stream_bridge.provisioning.stream import StreamPlan, StreamState, check_place, ensure_stream
from stream_bridge.waiter import StateWaiter

NAME = "domain-events-t"
ARN = f"arn:aws:kinesis:eu-central-1:111111111111:stream/{NAME}"


def stream(shards: int = 2, mode: str = "PROVISIONED") -> StreamState:
    return StreamState(NAME, ARN, "ACTIVE", mode, shards, 24, "NONE")


class ScriptedKinesis:
    """Answers each look with the next status of the script, the last one for ever."""

    def __init__(self, *statuses: str | None, refuse: tuple[str, ...] = ()) -> None:
        self.statuses = list(statuses)
        self.refuse = list(refuse)
        self.created: list[dict[str, Any]] = []

    def describe_stream_summary(self, *, StreamName: str) -> dict[str, Any]:  # noqa: N803
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status is None:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "no"}}, "Op")
        summary = {"StreamName": NAME, "StreamARN": ARN, "StreamStatus": status, "OpenShardCount": 1}
        return {"StreamDescriptionSummary": summary | {"RetentionPeriodHours": 24}}

    def create_stream(self, **request: Any) -> None:
        self.created.append(request)
        if self.refuse:
            raise ClientError({"Error": {"Code": self.refuse.pop(0), "Message": "no"}}, "Op")


def ensure(kinesis: ScriptedKinesis, capacity: StreamPlan) -> tuple[StreamState, bool]:
    waiter = StateWaiter(30, lambda line: None, sleep=lambda seconds: None)
    return ensure_stream(cast(KinesisClient, kinesis), NAME, capacity, waiter)


def test_creates_with_one_shard_unless_told_otherwise() -> None:
    for capacity, request in (
        (StreamPlan(), {"StreamName": NAME, "ShardCount": 1}),
        (StreamPlan(3), {"StreamName": NAME, "ShardCount": 3}),
        (StreamPlan(on_demand=True), {"StreamName": NAME, "StreamModeDetails": {"StreamMode": "ON_DEMAND"}}),
    ):
        kinesis = ScriptedKinesis(None, "CREATING", "ACTIVE")
        state, created = ensure(kinesis, capacity)
        assert (state.status, created, kinesis.created) == ("ACTIVE", True, [request])


def test_one_that_is_being_deleted_is_created_again() -> None:
    kinesis = ScriptedKinesis("DELETING", "DELETING", None, "ACTIVE")
    assert ensure(kinesis, StreamPlan())[1]


def test_losing_the_race_to_create_is_no_error() -> None:
    kinesis = ScriptedKinesis(None, "CREATING", "ACTIVE", refuse=("ResourceInUseException",))
    assert not ensure(kinesis, StreamPlan())[1]


def test_a_limit_on_the_rate_of_creations_is_waited_for() -> None:
    kinesis = ScriptedKinesis(None, None, "ACTIVE", refuse=("LimitExceededException",))
    assert ensure(kinesis, StreamPlan())[1]
    assert len(kinesis.created) == 2


def test_another_shape_is_said_and_how_to_change_it() -> None:
    assert StreamPlan(2).mismatch(stream(2)) == []
    assert StreamPlan().mismatch(stream(7)) == []
    assert StreamPlan(on_demand=True, retention_hours=24, key="none").mismatch(stream(4, "ON_DEMAND")) == []
    for plan, found, change in (
        (StreamPlan(4), stream(2), "scale --shards 4`"),
        (StreamPlan(4), stream(4, "ON_DEMAND"), "scale --shards 4`"),
        (StreamPlan(on_demand=True), stream(2), "scale --on-demand`"),
        (StreamPlan(retention_hours=48), stream(2), "scale --retention 48`"),
        (StreamPlan(key="alias/mine"), stream(2), "scale --key alias/mine`"),
    ):
        (told,) = plan.mismatch(found)
        assert change in told
    assert len(StreamPlan(4, retention_hours=48, key="k").mismatch(stream(2))) == 3


def test_a_key_is_known_by_its_name_and_by_its_arn() -> None:
    arn = "arn:aws:kms:eu-central-1:111111111111:key/1234"
    encrypted = StreamState(NAME, ARN, "ACTIVE", "PROVISIONED", 2, 24, "KMS", arn)
    assert encrypted.encrypted_by(arn)
    assert encrypted.encrypted_by("1234")
    assert not encrypted.encrypted_by("234")
    assert not encrypted.encrypted_by("none")
    assert stream().encrypted_by("none")


def test_a_stream_of_another_account_region_or_name_is_refused_with_every_fault() -> None:
    check_place(ARN, name=NAME, account="111111111111", region="eu-central-1")
    with pytest.raises(ConfigurationError) as refused:
        check_place(ARN, name="domain-events-live", account="222222222222", region="us-east-1")
    for fault in ("region eu-central-1", "account 111111111111", "not named domain-events-live"):
        assert fault in str(refused.value)
