"""The JSON schemas of what the projector answers, made of what a projection says of its rows."""

from collections.abc import Mapping
from typing import Any, Final, get_args

from pydantic.alias_generators import to_pascal

from ledger.runtime.openapi.document import REF
from projector.dead_letters.letters import State
from projector.dead_letters.redrive import Result
from projector.projection import Projection

_TEXT: Final = {"type": "string"}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}
_NUMBER: Final = {"type": "integer", "minimum": 0}
_NUMBER_OR_NULL: Final = {"type": ["integer", "null"]}
_MOMENT: Final = {"type": "string", "description": "ISO 8601, UTC"}


def _object(properties: Mapping[str, Any], *optional: str, about: str = "") -> dict[str, Any]:
    described = {"description": about} if about else {}
    required = [name for name in properties if name not in optional]
    return {"type": "object", **described, "properties": dict(properties), "required": required}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": REF + name}


_LETTER: Final = {
    "id": _TEXT,
    "state": {"enum": list(get_args(State))},
    "reason": _TEXT,
    "projection": _TEXT_OR_NULL,
    "aggregateId": _TEXT_OR_NULL,
    "sequenceNumber": _NUMBER_OR_NULL,
    "correlationId": {**_TEXT_OR_NULL, "description": "of the request that the event is of, where it could be read"},
    "origin": _TEXT,
    "attempts": _NUMBER,
    "firstAt": _MOMENT,
    "lastAt": _MOMENT,
    "rawLength": _NUMBER,
    "rawCut": {"type": "boolean"},
    "resolvedBy": _TEXT_OR_NULL,
    "resolvedAt": _TEXT_OR_NULL,
    "resolvedWhy": _TEXT_OR_NULL,
}
LETTERS: Final = _object({"deadLetters": {"type": "array", "items": _object(_LETTER)}})
LETTER: Final = _object({**_LETTER, "raw": {"type": "string", "description": "the data as it came, as text"}})
REDRIVEN: Final = _object(
    {
        "id": _TEXT,
        "result": {"enum": list(get_args(Result))},
        "aggregateId": _TEXT_OR_NULL,
        "versions": {"type": "object", "additionalProperties": _NUMBER, "description": "afterwards, by table"},
        "reason": _TEXT_OR_NULL,
    }
)
_HALT: Final = _object(
    {"sequenceNumber": _NUMBER, "reason": _TEXT, "at": _MOMENT, "id": {**_TEXT, "description": "the dead letter"}},
    about="Why an aggregate stands still in this projection: the event, the reason, since when.",
)
HEALTH: Final = _object({"status": {"const": "ok"}})
READY: Final = _object(
    {
        "status": {"const": "ready"},
        "shards": {
            "type": "array",
            "items": _object(
                {
                    "shardId": _TEXT,
                    "owner": _TEXT_OR_NULL,
                    "checkpoint": _TEXT_OR_NULL,
                    "millisBehindLatest": _NUMBER_OR_NULL,
                    "ended": {"type": "boolean"},
                }
            ),
        },
    }
)


def aggregate_schema(projection: Projection[Any]) -> dict[str, Any]:
    """The schema of an aggregate: of its head, and of its parts where the projection has parts."""
    properties = _head(projection)
    if projection.part_name is not None:
        part = {projection.part_name: _TEXT, "version": _NUMBER, **projection.columns.schemas}
        properties[f"{projection.part_name}s"] = {"type": "array", "items": _object(part)}
    return _object(properties, *_optional(projection))


def page_schema(projection: Projection[Any]) -> dict[str, Any]:
    """The schema of a page of aggregates."""
    return _object(
        {
            "aggregates": {"type": "array", "items": _object(_head(projection), *_optional(projection))},
            "unreadable": {
                "type": "array",
                "items": _TEXT,
                "description": "keys of aggregates whose row cannot be read; a read of each says why",
            },
            "next": {**_TEXT_OR_NULL, "description": "the path of the next page; null on the last one"},
        }
    )


def projector_schemas() -> dict[str, Any]:
    """The schemas that those above refer to."""
    return {"Halt": _HALT}


def named(projection: Projection[Any], suffix: str = "") -> str:
    """The name of one of the projection's schemas in the document."""
    return to_pascal(projection.name.replace("-", "_")) + suffix


def _head(projection: Projection[Any]) -> dict[str, Any]:
    ids = {kind.id_name: {**_TEXT, "description": f"the {kind.name}"} for kind in projection.aggregates}
    columns = projection.columns.schemas if projection.part_name is None else {}
    return {**ids, "version": _NUMBER, **columns, "halted": _ref("Halt")}


def _optional(projection: Projection[Any]) -> set[str]:
    """What an aggregate may lack: the ids of other types, a halt, and a state before its first event is folded."""
    ids = [kind.id_name for kind in projection.aggregates]
    return {"halted", *projection.columns.names, *(ids if len(ids) > 1 else ())}
