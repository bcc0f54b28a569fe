"""The domain events: a sealed union of frozen models, and their JSON.

Sealed: every ``match`` over ``DomainEvent`` ends in ``assert_never``, so that adding an event makes the type checker
name each place that must handle it. Event type names are written out: a class may move, a stored name may not.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from ledger.identifiers import BetId
from ledger.money import Amount, Currency


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    event_type: ClassVar[str]
    #: The shape of the payload. A payload written by newer code than this does not validate here.
    schema_version: Literal[1] = 1


class FundsDeposited(_Event):
    """Money came in from outside."""

    event_type = "FundsDeposited"
    amount: Amount
    currency: Currency


class FundsWithdrawn(_Event):
    """Money was paid out to the holder."""

    event_type = "FundsWithdrawn"
    amount: Amount
    currency: Currency


class BetPlaced(_Event):
    """A stake left the balance for a bet."""

    event_type = "BetPlaced"
    bet_id: BetId
    stake: Amount
    currency: Currency


class BetSettled(_Event):
    """A bet ended; its payout, which may be 0, came back to the balance."""

    event_type = "BetSettled"
    bet_id: BetId
    payout: Amount
    currency: Currency


DomainEvent = FundsDeposited | FundsWithdrawn | BetPlaced | BetSettled

EVENT_TYPES: Final[Mapping[str, type[DomainEvent]]] = MappingProxyType(
    {model.event_type: model for model in get_args(DomainEvent)}
)


class UnreadablePayloadError(ValueError):
    """An event type or payload that this code cannot read; the message never repeats the payload."""


def encode_payload(event: DomainEvent) -> str:
    """Write the event's payload as JSON, its schema version inside."""
    return event.model_dump_json(by_alias=True)


def decode_payload(event_type: str, payload: str | bytes) -> DomainEvent:
    """Read one event from its type and JSON payload.

    Raises UnreadablePayloadError for an unknown type and for a payload that does not validate.
    """
    model = EVENT_TYPES.get(event_type)
    if model is None:
        raise UnreadablePayloadError(f"unknown event type {event_type!r}; this code knows {', '.join(EVENT_TYPES)}")
    try:
        return model.model_validate_json(payload)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        named = [
            f"{'.'.join(map(str, fault['loc'])) or 'payload'}: {fault['msg']}"
            for fault in faults
            if fault["type"] != "extra_forbidden"
        ]
        # The names of foreign fields are the payload's own words, so only their number is told.
        if foreign := len(faults) - len(named):
            named.append(f"{foreign} foreign field(s)")
        raise UnreadablePayloadError(f"payload of {event_type}: {'; '.join(named)}") from None
