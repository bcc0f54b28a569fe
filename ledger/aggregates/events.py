"""Domain events: frozen models, their JSON, and how an older payload is brought forward.

An aggregate's events are a sealed union: every ``match`` over it ends in ``assert_never``, so that adding an event
makes the type checker name each place that must handle it.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

Fields = dict[str, Any]
#: An upcaster: makes the fields of the next version from those of one, and from the event's sequence number.
Upcaster = Callable[[Fields, int], Fields]


class Event(BaseModel):
    """What happened to an aggregate: stored once, never changed. Frozen; JSON names in camel case.

    Each class writes out its name, since a class may move and a stored name may not, and its ``schema_version``, the
    shape of the payload that this code writes: ``schema_version: Literal[1] = 1``. Older payloads are brought forward
    by the upcasters of ``EventTypes``; a newer one may mean what this code cannot know, and is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    event_type: ClassVar[str]

    def payload(self) -> str:
        """The event's payload as JSON, its schema version inside."""
        return self.model_dump_json(by_alias=True)


E = TypeVar("E", bound=Event)


class UnreadablePayloadError(ValueError):
    """An event type or payload that this code cannot read; the message never repeats the payload."""


class EventTypes(Generic[E]):
    """The events of one aggregate type, by name, and the reader of their payloads."""

    def __init__(self, models: Iterable[type[E]], upcasters: Mapping[tuple[str, int], Upcaster] = {}) -> None:
        """``models``: the members of the sealed union, ``typing.get_args`` of it.

        ``upcasters``: by event type and the version that a step starts from. They run wherever an event is decoded: in
        the aggregate, in every projection, in verification. A new field needs a new version and a step too: code that
        does not know it refuses it.

        Raises TypeError when a name is given twice, a class has no version, or a step to its version is missing.
        """
        given = tuple(models)
        self._models = {model.event_type: model for model in given}
        self._current = {name: _schema_version(model) for name, model in self._models.items()}
        self._upcasters = dict(upcasters)
        if len(self._models) < len(given):
            raise TypeError(f"two events have one name: {', '.join(model.event_type for model in given)}")
        steps = {(name, version) for name, current in self._current.items() for version in range(1, current)}
        if steps != self._upcasters.keys():
            raise TypeError(f"upcasters are needed for {sorted(steps)}, there are {sorted(self._upcasters)}")

    @property
    def models(self) -> tuple[type[E], ...]:
        """The classes of the events."""
        return tuple(self._models.values())

    def decode(self, event_type: str, payload: str | bytes, sequence_number: int) -> E:
        """Read one event from its type, its JSON payload and its sequence number, whatever schema it was written in.

        Raises UnreadablePayloadError for an unknown type, for a payload of a newer schema than this code knows, for one
        that does not validate, and for one on which an upcaster or a validator fails.
        """
        model = self._models.get(event_type)
        if model is None:
            raise UnreadablePayloadError(
                f"unknown event type {event_type!r}; this code knows {', '.join(self._models)}"
            )
        try:
            try:
                return model.model_validate_json(payload)
            except ValidationError:
                fields = self._older(event_type, payload)
                if fields is None:
                    raise
            return model.model_validate(self._upcast(event_type, fields, sequence_number))
        except ValidationError as error:
            raise _unreadable(event_type, error) from None
        except (UnreadablePayloadError, MemoryError):
            raise
        except Exception as error:
            # An upcaster or a validator of the domain: its words may repeat the payload.
            raise UnreadablePayloadError(
                f"payload of {event_type}: reading it failed with {type(error).__name__}"
            ) from error

    def _older(self, event_type: str, payload: str | bytes) -> Fields | None:
        """The fields of a payload whose schema is older than the current one; None for any other payload.

        Only asked when a payload does not validate as it is: what was written lately costs one parse.
        """
        try:
            fields = json.loads(payload)
        except (ValueError, RecursionError):
            return None
        version = fields.get("schemaVersion") if isinstance(fields, dict) else None
        if not isinstance(version, int) or isinstance(version, bool):
            return None
        current = self._current[event_type]
        if version > current:
            raise UnreadablePayloadError(
                f"payload of {event_type}: schemaVersion is newer than {current}, the newest that this code knows: "
                "deploy the version of Kinfold that wrote it, or a later one"
            )
        return fields if 1 <= version < current else None

    def _upcast(self, event_type: str, fields: Fields, sequence_number: int) -> Fields:
        while (version := fields["schemaVersion"]) < self._current[event_type]:
            fields = self._upcasters[event_type, version](fields, sequence_number) | {"schemaVersion": version + 1}
        return fields


def _schema_version(model: type[Event]) -> int:
    field = model.model_fields.get("schema_version")
    # An int that is no Literal would take an older payload for one of today's.
    if field is None or get_args(field.annotation) != (field.default,):
        raise TypeError(f"event {model.__name__} needs `schema_version: Literal[1] = 1`")
    return int(field.default)


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
