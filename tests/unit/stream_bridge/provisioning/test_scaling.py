"""Changing a stream in steps that AWS allows."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_kinesis import KinesisClient

from stream_bridge.provisioning.scaling import change_stream, shard_steps
from stream_bridge.provisioning.shard_usage import ShardUse, hot_shards
from stream_bridge.provisioning.stream import StreamPlan
from stream_bridge.waiter import StateWaiter


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_every_step_at_most_doubles_or_halves_and_the_last_one_is_there(now: int, target: int) -> None:
    steps = list(shard_steps(now, target))
    assert (steps or [now])[-1] == target
    for before, after in zip([now, *steps], steps, strict=False):
        assert before / 2 <= after <= before * 2
        assert after != before
    assert len(steps) <= 14


class OneStream:
    """A stream that changes one thing at a time, and what it was asked for."""

    def __init__(self, **state: Any) -> None:
        self.state = {"shards": 2, "mode": "PROVISIONED", "hours": 24, "key": None} | state
        self.asked: list[tuple[str, Any]] = []
        self.status = "ACTIVE"

    def describe_stream_summary(self, **_: Any) -> Any:
        key = self.state["key"]
        status, self.status = self.status, "ACTIVE"
        return {
            "StreamDescriptionSummary": {
                "StreamName": "s",
                "StreamARN": "arn",
                "StreamStatus": status,
                "OpenShardCount": self.state["shards"],
                "StreamModeDetails": {"StreamMode": self.state["mode"]},
                "RetentionPeriodHours": self.state["hours"],
                "EncryptionType": "KMS" if key else "NONE",
                **({"KeyId": key} if key else {}),
            }
        }

    def _change(self, call: str, field: str, value: Any) -> None:
        assert self.status == "ACTIVE", "Kinesis refuses a change while another is under way"
        self.status = "UPDATING"
        self.asked.append((call, value))
        self.state[field] = value

    def update_shard_count(self, *, TargetShardCount: int, **_: Any) -> None:  # noqa: N803
        self._change("shards", "shards", TargetShardCount)

    def update_stream_mode(self, *, StreamModeDetails: Any, **_: Any) -> None:  # noqa: N803
        self._change("mode", "mode", StreamModeDetails["StreamMode"])

    def increase_stream_retention_period(self, *, RetentionPeriodHours: int, **_: Any) -> None:  # noqa: N803
        self._change("longer", "hours", RetentionPeriodHours)

    def decrease_stream_retention_period(self, *, RetentionPeriodHours: int, **_: Any) -> None:  # noqa: N803
        self._change("shorter", "hours", RetentionPeriodHours)

    def start_stream_encryption(self, *, KeyId: str, **_: Any) -> None:  # noqa: N803
        self._change("encrypt", "key", KeyId)

    def stop_stream_encryption(self, *, KeyId: str, **_: Any) -> None:  # noqa: N803
        assert KeyId == self.state["key"]
        self._change("decrypt", "key", None)


@pytest.mark.parametrize(
    ("before", "plan", "asked"),
    [
        ({}, StreamPlan(9), [("shards", 4), ("shards", 8), ("shards", 9)]),
        ({"shards": 9}, StreamPlan(2), [("shards", 5), ("shards", 3), ("shards", 2)]),
        ({}, StreamPlan(on_demand=True), [("mode", "ON_DEMAND")]),
        ({"mode": "ON_DEMAND", "shards": 4}, StreamPlan(5), [("mode", "PROVISIONED"), ("shards", 5)]),
        ({}, StreamPlan(retention_hours=48), [("longer", 48)]),
        ({"hours": 48}, StreamPlan(retention_hours=24), [("shorter", 24)]),
        ({}, StreamPlan(key="k"), [("encrypt", "k")]),
        ({"key": "k"}, StreamPlan(key="none"), [("decrypt", None)]),
        ({}, StreamPlan(4, retention_hours=48, key="k"), [("shards", 4), ("longer", 48), ("encrypt", "k")]),
        ({"mode": "ON_DEMAND"}, StreamPlan(retention_hours=24, key="none"), []),
    ],
)
def test_what_is_asked_of_kinesis_and_nothing_the_second_time(
    before: dict[str, Any], plan: StreamPlan, asked: list[tuple[str, Any]]
) -> None:
    stream = OneStream(**before)
    waiter = StateWaiter(10, lambda line: None, sleep=lambda seconds: None)
    done = change_stream(cast(KinesisClient, stream), "s", plan, waiter)
    assert stream.asked == asked
    assert bool(done) == bool(asked)
    assert change_stream(cast(KinesisClient, stream), "s", plan, waiter) == []
    assert stream.asked == asked


def test_a_hot_shard_is_named_with_a_remedy() -> None:
    use = [ShardUse("shard-0", 850, 1000), ShardUse("shard-1", 10, 900_000), ShardUse("shard-2", 790, 1000)]
    first, second = hot_shards(use, "PROVISIONED")
    assert "shard-0 is hot" in first
    assert "85%" in first
    assert "kinfold bridge scale --shards 6" in first
    assert "shard-1" in second
    assert all("by itself" in warning for warning in hot_shards(use, "ON_DEMAND"))
