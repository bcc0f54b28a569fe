"""The JSON of the API: what every resource answers, and the models that are made of a resource's own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.alias_generators import to_camel, to_pascal

from ledger.aggregates.aggregate_type import Aggregate
from ledger.store.errors import UndecodableEventError
from ledger.store.stored_event import StoredEvent
from writer.resource import Resource, View


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Event(_Answer):
    """One stored event."""

    sequence_number: int = Field(examples=[1])
    event_type: str = Field(examples=["FundsDeposited"])
    payload: dict[str, Any] = Field(examples=[{"schemaVersion": 1, "amount": "12.50", "currency": "EUR"}])
    occurred_at: str = Field(examples=["2026-03-01T12:00:00.000000+00:00"], description="ISO 8601, UTC")
    correlation_id: str

    @classmethod
    def of(cls, stored: StoredEvent) -> Self:
        """Show a stored event as it is stored, whether or not this code knows its type.

        Raises UndecodableEventError when its payload is no JSON object.
        """
        try:
            payload = json.loads(stored.payload)
        except ValueError:
            payload = None
        if not isinstance(payload, dict):
            raise UndecodableEventError(stored.aggregate_id, stored.sequence_number, "its payload is no JSON object")
        return cls(
            sequence_number=stored.sequence_number,
            event_type=stored.event_type,
            payload=payload,
            occurred_at=stored.occurred_at,
            correlation_id=stored.correlation_id,
        )


@dataclass(frozen=True, slots=True)
class Models:
    """The models of one resource: a state, the answer to a command, pages of events and states; its id in a path."""

    place: Any
    state: type[BaseModel]
    accepted: type[BaseModel]
    page: type[BaseModel]
    history: type[BaseModel]
    _step: type[BaseModel]
    _view: type[BaseModel]
    _resource: Resource[Any]

    @classmethod
    def of(cls, resource: Resource[Any]) -> Self:
        """Make the models; their names in the OpenAPI document begin with that of the aggregate's type."""
        kind, name = resource.aggregate, to_pascal(resource.aggregate.name.replace("-", "_"))
        head: dict[str, Any] = {
            kind.id_name: (str, Field(examples=[resource.example_id])),
            "version": (int, Field(examples=[1])),
        }
        whose = {kind.id_name: head[kind.id_name]}
        rest = {"next": (str | None, Field(description="the path of the next page; null on the last one"))}

        def model(suffix: str, doc: str, fields: dict[str, Any]) -> type[BaseModel]:
            return create_model(f"{name}{suffix}", __base__=_Answer, __doc__=doc, **fields)

        view = model("View", f"The {kind.name} after an event.", _fields(resource.view))
        step = model(
            "Step",
            "One stored event, and the state that it led to.",
            {
                "sequence_number": (int, Field(examples=[1])),
                "event_type": (str, Field(examples=["FundsDeposited"])),
                "occurred_at": (str, Field(examples=["2026-03-01T12:00:00.000000+00:00"], description="ISO 8601, UTC")),
                "correlation_id": (str, ...),
                "state": (view, ...),
            },
        )
        steps: dict[str, Any] = {"history": (list[step], ...)}  # type: ignore[valid-type]
        return cls(
            Path(alias=kind.id_name, description=f"the {kind.name}", examples=[resource.example_id]),
            model("State", resource.view.__doc__ or "", head | _fields(resource.view)),
            model(
                "Accepted",
                f"A command that was carried out: the {kind.name} after it, and the events that it stored.",
                head | _fields(resource.brief or resource.view) | {"events": (list[Event], ...)},
            ),
            model(
                "Events",
                "Some events in the order that was asked for, and where the rest is.",
                whose | {"events": (list[Event], ...)} | rest,
            ),
            model(
                "History", f"The {kind.name} after each of some events, and where the rest is.", whose | steps | rest
            ),
            step,
            view,
            resource,
        )

    def show(self, aggregate: Aggregate[Any, Any]) -> str:
        """An aggregate as JSON."""
        return self._json(self.state, aggregate, self._resource.view)

    def accept(self, aggregate: Aggregate[Any, Any], stored: Sequence[StoredEvent]) -> str:
        """The body of the answer to a command, from the aggregate after it and the events that it stores."""
        return self._json(
            self.accepted,
            aggregate,
            self._resource.brief or self._resource.view,
            events=[Event.of(each) for each in stored],
        )

    def show_page(self, aggregate_id: str, events: Sequence[StoredEvent], following: str | None) -> str:
        """A page of events as JSON."""
        fields: dict[str, Any] = {self._resource.aggregate.id_name: aggregate_id, "next": following}
        return self.page.model_construct(None, **fields, events=[Event.of(event) for event in events]).model_dump_json(
            by_alias=True
        )

    def show_step(self, event: StoredEvent, aggregate: Aggregate[Any, Any]) -> str:
        """A stored event and the aggregate after it as JSON, for ``show_history``."""
        state = self._view.model_construct(None, **dict(self._resource.view.of(aggregate.state)))
        return self._step.model_construct(
            None,
            sequence_number=event.sequence_number,
            event_type=event.event_type,
            occurred_at=event.occurred_at,
            correlation_id=event.correlation_id,
            state=state,
        ).model_dump_json(by_alias=True)

    def show_history(self, aggregate_id: str, steps: Sequence[str], following: str | None) -> str:
        """A page of ``show_step`` as JSON."""
        id_name = self._resource.aggregate.id_name
        return (
            f'{{{json.dumps(id_name)}:{json.dumps(aggregate_id)},"history":[{",".join(steps)}],'
            f'"next":{json.dumps(following)}}}'
        )

    def _json(self, model: type[BaseModel], aggregate: Aggregate[Any, Any], view: type[View[Any]], **more: Any) -> str:
        fields: dict[str, Any] = {aggregate.type.id_name: aggregate.id, **dict(view.of(aggregate.state)), **more}
        return model.model_construct(None, version=aggregate.version, **fields).model_dump_json(by_alias=True)


def _fields(view: type[View[Any]]) -> dict[str, Any]:
    return {name: (field.annotation, field) for name, field in view.model_fields.items()}


class Health(_Answer):
    """The process is alive, or ready to work."""

    status: str = Field(examples=["ok"])
