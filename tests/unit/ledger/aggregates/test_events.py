"""Payloads are read whatever schema they were written in, and an error on the way never repeats them."""

from typing import Any, ClassVar, Literal

import pytest
from pydantic import field_validator

from ledger.aggregates.events import Event, EventTypes, UnreadablePayloadError


class Sent(Event):
    event_type: ClassVar[str] = "Sent"
    schema_version: Literal[2] = 2
    weight: int

    @field_validator("weight")
    @classmethod
    def _weighed(cls, weight: int) -> int:
        return {7: 7}[weight]


def in_grams(fields: dict[str, Any], _: int) -> dict[str, Any]:
    return {"weight": fields["kilos"] * 1000 + 7} if fields["kilos"] == 0 else {"weight": fields["secret"]}


SENT = EventTypes((Sent,), {("Sent", 1): in_grams})


def test_an_older_payload_is_brought_forward() -> None:
    assert SENT.decode("Sent", '{"schemaVersion":1,"kilos":0}', 1) == Sent(weight=7)


@pytest.mark.parametrize("payload", ['{"schemaVersion":1,"kilos":4711}', '{"schemaVersion":2,"weight":4711}'])
def test_what_an_upcaster_or_a_validator_fails_on_cannot_be_read(payload: str) -> None:
    with pytest.raises(UnreadablePayloadError, match=r"^payload of Sent: reading it failed with KeyError$"):
        SENT.decode("Sent", payload, 1)


def test_a_schema_version_is_a_literal_since_an_int_takes_any_version_for_its_own() -> None:
    class Lost(Event):
        event_type: ClassVar[str] = "Lost"
        schema_version: int = 1

    with pytest.raises(TypeError, match=r"event Lost needs `schema_version: Literal\[1\] = 1`"):
        EventTypes((Lost,))
