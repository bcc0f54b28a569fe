"""When events reach the stream, what is repaired, and what is left to a person."""

from typing import Any

import pytest

from stream_bridge.provisioning.destination import DestinationState
from stream_bridge.watch.destination_health import Sight, judge

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/domain-events-t"


def sight(status: str | None = "ACTIVE", **more: Any) -> Sight:
    description = more.pop("description", None)
    destination = DestinationState(ARN, status, description=description) if status else None
    return Sight(**({"table": "ACTIVE", "stream": "ACTIVE", "destination": destination} | more))


@pytest.mark.parametrize("status", ["ACTIVE", "UPDATING"])
def test_it_is_sound_while_records_flow(status: str) -> None:
    assert judge(sight(status, stream="UPDATING"), native=True, repair=True, repaired_ago=None).sound


@pytest.mark.parametrize("status", ["DISABLED", "ENABLE_FAILED", None])
def test_what_can_be_enabled_is_enabled(status: str | None) -> None:
    judged = judge(sight(status, description="no key"), native=True, repair=True, repaired_ago=None)
    assert (judged.sound, judged.action) == (False, "enable")


@pytest.mark.parametrize("status", ["ENABLING", "DISABLING"])
def test_what_is_changing_is_waited_for(status: str) -> None:
    judged = judge(sight(status), native=True, repair=True, repaired_ago=None)
    assert (judged.sound, judged.action) == (False, "none")
    assert "waiting" in judged.reason


def test_a_person_is_never_fought() -> None:
    held = judge(sight("DISABLED", held="held by eve"), native=True, repair=True, repaired_ago=None)
    assert (held.action, "held by eve" in held.reason) == ("none", True)
    assert judge(sight("DISABLED"), native=True, repair=False, repaired_ago=None).action == "none"
    again = judge(sight("DISABLED"), native=True, repair=True, repaired_ago=30)
    assert (again.action, "somebody means it" in again.reason) == ("none", True)
    assert judge(sight("DISABLED"), native=True, repair=True, repaired_ago=3600).action == "enable"
    # AWS fails by itself, without anybody's will.
    assert judge(sight("ENABLE_FAILED"), native=True, repair=True, repaired_ago=30).action == "enable"


@pytest.mark.parametrize("gone", [{"table": None}, {"table": "DELETING"}, {"stream": None}, {"stream": "CREATING"}])
def test_a_table_or_stream_that_is_not_there_is_a_persons(gone: dict[str, Any]) -> None:
    judged = judge(sight("DISABLED", **gone), native=True, repair=True, repaired_ago=None)
    assert (judged.sound, judged.action) == (False, "none")
    assert "kinfold bridge ensure" in judged.reason


def test_with_a_relay_the_destination_is_left_alone() -> None:
    assert judge(sight("DISABLED"), native=False, repair=True, repaired_ago=None).sound
