"""When events reach the stream, what is repaired, and what is left to a person."""

from typing import Any

import pytest

from stream_bridge.provisioning.destination import DestinationState
from stream_bridge.watch.destination_health import BridgeObservation, assess

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/domain-events-t"


def observation(status: str | None = "ACTIVE", **more: Any) -> BridgeObservation:
    description = more.pop("description", None)
    destination = DestinationState(ARN, status, description=description) if status else None
    return BridgeObservation(**({"table": "ACTIVE", "stream": "ACTIVE", "destination": destination} | more))


@pytest.mark.parametrize("status", ["ACTIVE", "UPDATING"])
def test_it_is_sound_while_records_flow(status: str) -> None:
    assert assess(observation(status, stream="UPDATING"), native=True, repair=True, repaired_ago=None).healthy


@pytest.mark.parametrize("status", ["DISABLED", "ENABLE_FAILED", None])
def test_what_can_be_enabled_is_enabled(status: str | None) -> None:
    verdict = assess(observation(status, description="no key"), native=True, repair=True, repaired_ago=None)
    assert (verdict.healthy, verdict.action) == (False, "enable")


@pytest.mark.parametrize("status", ["ENABLING", "DISABLING"])
def test_what_is_changing_is_waited_for(status: str) -> None:
    verdict = assess(observation(status), native=True, repair=True, repaired_ago=None)
    assert (verdict.healthy, verdict.action) == (False, "none")
    assert "waiting" in verdict.reason


def test_a_person_is_never_fought() -> None:
    held = assess(observation("DISABLED", held="held by eve"), native=True, repair=True, repaired_ago=None)
    assert (held.action, "held by eve" in held.reason) == ("none", True)
    assert assess(observation("DISABLED"), native=True, repair=False, repaired_ago=None).action == "none"
    again = assess(observation("DISABLED"), native=True, repair=True, repaired_ago=30)
    assert (again.action, "somebody means it" in again.reason) == ("none", True)
    assert assess(observation("DISABLED"), native=True, repair=True, repaired_ago=3600).action == "enable"
    # AWS fails by itself, without anybody's will.
    assert assess(observation("ENABLE_FAILED"), native=True, repair=True, repaired_ago=30).action == "enable"


@pytest.mark.parametrize("gone", [{"table": None}, {"table": "DELETING"}, {"stream": None}, {"stream": "CREATING"}])
def test_a_table_or_stream_that_is_not_there_is_a_persons(gone: dict[str, Any]) -> None:
    verdict = assess(observation("DISABLED", **gone), native=True, repair=True, repaired_ago=None)
    assert (verdict.healthy, verdict.action) == (False, "none")
    assert "kinfold bridge ensure" in verdict.reason
    held = assess(observation("DISABLED", **gone, held="held by eve"), native=True, repair=True, repaired_ago=None)
    assert (held.healthy, "held by eve" in held.reason, "bridge ensure" in held.reason) == (False, True, False)


def test_with_a_relay_the_destination_is_left_alone() -> None:
    assert assess(observation("DISABLED"), native=False, repair=True, repaired_ago=None).healthy
