"""The domain events: a sealed union of frozen models, and their JSON.

Sealed: every ``match`` over ``DomainEvent`` ends in ``assert_never``, so that adding an event makes the type checker
name each place that must handle it. Event type names are written out: a class may move, a stored name may not.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from ledger.domain.identifiers import BetId
from ledger.domain.money import Amount, Currency
from ledger.domain.upcasters import upcast


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    #: Each class states its name, and its ``schema_version``: the shape of the payload that this code writes. Older
    #: ones are brought forward (ledger.domain.upcasters); a newer one may mean what this code cannot know.
    event_type: ClassVar[str]


class FundsDeposited(_Event):
    """Money came in from outside."""

    event_type = "FundsDeposited"
    schema_version: Literal[1] = 1
    amount: Amount
    currency: Currency


class FundsWithdrawn(_Event):
    """Money was paid out to the holder."""

    event_type = "FundsWithdrawn"
    schema_version: Literal[1] = 1
    amount: Amount
    currency: Currency


class BetPlaced(_Event):
    """A stake left the balance for a bet."""

    event_type = "BetPlaced"
    schema_version: Literal[2] = 2
    bet_id: BetId
    stake: Amount
    currency: Currency


class BetSettled(_Event):
    """A bet ended; its payout, which may be 0, came back to the balance."""

    event_type = "BetSettled"
    schema_version: Literal[1] = 1
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


def decode_payload(event_type: str, payload: str | bytes, sequence_number: int) -> DomainEvent:
    """Read one event from its type, its JSON payload and its sequence number, whatever schema it was written in.

    Raises UnreadablePayloadError for an unknown type, for a payload of a newer schema than this code knows, and for
    one that does not validate.
    """
    model = EVENT_TYPES.get(event_type)
    if model is None:
        raise UnreadablePayloadError(f"unknown event type {event_type!r}; this code knows {', '.join(EVENT_TYPES)}")
    try:
        return model.model_validate_json(payload)
    except ValidationError as error:
        current: int = model.model_fields["schema_version"].default
        fields = _older(event_type, payload, current)
        if fields is None:
            raise _unreadable(event_type, error) from None
    try:
        return model.model_validate(upcast(event_type, fields, current, sequence_number))
    except ValidationError as error:
        raise _unreadable(event_type, error) from None


def _older(event_type: str, payload: str | bytes, current: int) -> dict[str, Any] | None:
    """The fields of a payload whose schema is older than ``current``; None for any other payload.

    Only asked when a payload does not validate as it is: what was written lately costs one parse.
    """
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    version = fields.get("schemaVersion") if isinstance(fields, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        return None
    if version > current:
        raise UnreadablePayloadError(
            f"payload of {event_type}: schemaVersion is newer than {current}, the newest that this code knows: deploy "
            "the version of Kinfold that wrote it, or a later one"
        )
    return fields if 1 <= version < current else None


def _unreadable(event_type: str, error: ValidationError) -> UnreadablePayloadError:
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    named = [
        f"{'.'.join(map(str, fault['loc'])) or 'payload'}: {fault['msg']}"
        for fault in faults
        if fault["type"] != "extra_forbidden"
    ]
    # The names of foreign fields are the payload's own words, so only their number is given.
    if foreign := len(faults) - len(named):
        named.append(f"{foreign} foreign field(s)")
    return UnreadablePayloadError(f"payload of {event_type}: {'; '.join(named)}")
