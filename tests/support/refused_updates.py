"""Updates of an item with a version of 1 and a map {"x": 1} in `halted`, that are refused, or are close to it."""

from typing import Any, Final

_ONE: Final = {"N": "1"}
_TWO: Final = {"N": "2"}
_SET: Final = {"SS": ["a"]}


def _update(text: str, **values: Any) -> dict[str, Any]:
    given = {f":{name}": value for name, value in values.items()}
    return {"UpdateExpression": text, **({"ExpressionAttributeValues": given} if given else {})}


def _condition(text: str, **values: Any) -> dict[str, Any]:
    return {**_update("REMOVE version", **values), "ConditionExpression": text}


UPDATES: Final[tuple[dict[str, Any], ...]] = (
    _update("SET version = :v", v=_TWO, w=_TWO),
    _update("SET version = :w", v=_TWO),
    _update("SET version = version"),
    _update("SET #v = #v") | {"ExpressionAttributeNames": {"#v": "version", "#w": "w"}},
    _update("REMOVE version") | {"ExpressionAttributeValues": {}},
    _update("SET count = :v", v=_TWO),
    _update("SET id = :v", v={"S": "id-0"}),
    _update("REMOVE id"),
    _update("SET version = absent"),
    _update("SET version = absent + version"),
    _update("SET absent.x = version"),
    _update("SET version.x = version"),
    _update("ADD halted :v", v=_TWO),
    _update("ADD version :v", v=_SET),
    _update("ADD version :v", v={"S": "a"}),
    _update("DELETE version :v", v=_SET),
    _update("DELETE version :v", v=_ONE),
    _update("SET version = :v", v={"SS": []}),
    _update("SET version = :v", v={"N": "one"}),
    _update("SET version = :v", v={"N": "1" * 39}),
    _update("SET version = :v", v={"N": "1E126"}),
    _update("SET version = :v", v={"S": "x" * 409_600}),
    _update(""),
    _update("SET version=version+version,halted.x=halted.x-version"),
    _condition(""),
    _condition("((attribute_exists(version)))"),
    _condition("attribute_exists(version) AND"),
    _condition("attribute_exists(version) version"),
    _condition("version BETWEEN :v AND :w", v=_TWO, w=_ONE),
    _condition("Not attribute_exists(absent)"),
)
#: What AWS refuses, and the embedded AWS takes.
STRICT_UPDATES: Final[tuple[dict[str, Any], ...]] = (
    _update("SET version = :v REMOVE version", v=_TWO),
    _update("SET halted.x = version REMOVE halted"),
    _update("REMOVE version REMOVE halted"),
    _update("SET version = halted + version"),
    _update("SET version = "),
    _update("REMOVE absent.x"),
    _update("REMOVE halted.absent"),
    _update("SET version = :v", v={"NS": ["1", "1.0"]}),
    _update("ADD numbers :v", v={"NS": ["1", "2.0"]}),
    _update("DELETE numbers :v", v={"NS": ["2.0"]}),
    _condition("ATTRIBUTE_EXISTS(version)"),
    _condition("version < :v", v={"BOOL": True}),
    _condition("begins_with(version, :v)", v=_ONE),
)
