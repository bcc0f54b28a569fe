"""The same calls to an endpoint and to the AWS in memory: the same answers, but for what no two endpoints share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from botocore.exceptions import ClientError

from ledger.runtime.aws import Clients
from simulation.aws.tables.values import canonical
from tests.support.expressions import Expressions

Answer = dict[str, Any]

#: What is compared by its cost too. DynamoDB Local, which is in LocalStack, does not charge for keys and pages without
#: an item, nor for statements, and charges for a table in a transaction what AWS charges for an item.
_COSTED = frozenset({"put_item", "update_item", "delete_item", "get_item"})
#: What is an endpoint's own.
_OWN = frozenset({"ResponseMetadata", "SequenceNumber", "NextShardIterator", "ShardIterator", "EncryptionType"})


@dataclass
class TwoEndpoints:
    """``theirs``: clients of the endpoint; ``ours``: clients of the memory.

    ``strict``: the endpoint is as strict as AWS about expressions, and counts what a call costs. The embedded AWS is
    not.
    """

    theirs: Clients
    ours: Clients
    strict: bool = True
    calls: int = 0

    def dynamodb(self, operation: str, ordered: Callable[[Answer], Answer] | None = None, **request: Any) -> Answer:
        """Call both, compare, and give the memory's answer: ``{"Error": code}`` for an error.

        ``ordered`` puts what has no order of its own into one.
        """
        if self.strict and operation in _COSTED:
            request["ReturnConsumedCapacity"] = "TOTAL"
        theirs = outcome(getattr(self.theirs.dynamodb, operation), request)
        ours = outcome(getattr(self.ours.dynamodb, operation), request)
        if ordered is not None:
            theirs, ours = ordered(theirs), ordered(ours)
        self.same(theirs, ours, operation, request)
        return ours

    def expressions(self, random: Random) -> Expressions:
        """Random expressions that both understand alike."""
        return Expressions(random, strict=self.strict)

    def same(self, theirs: Answer, ours: Answer, operation: str, request: Any = None) -> None:
        """Fail unless two answers are the same."""
        self.calls += 1
        left, right = comparable(theirs), comparable(ours)
        if left != right:
            shown = [f"{operation} {request}", f"endpoint: {left}", f"memory:   {right}"]
            shown += [f"message of the endpoint: {theirs.get('Message')}", f"of the memory: {ours.get('Message')}"]
            raise AssertionError("\n".join(shown))


def outcome(call: Callable[..., Any], request: Any) -> Answer:
    """The answer of a call, or its error: the code, the reasons, the item shown."""
    try:
        answer: Answer = call(**request)
    except ClientError as error:
        response: Any = error.response
        found = {"Error": response["Error"]["Code"], "Message": response["Error"].get("Message")}
        if "Item" in response:
            found["Item"] = response["Item"]
        if "CancellationReasons" in response:
            found["CancellationReasons"] = [
                {"Code": reason["Code"], "Item": reason.get("Item")} for reason in response["CancellationReasons"]
            ]
        return found
    return answer


def comparable(value: Any) -> Any:
    """An answer without what is an endpoint's own; numbers and sets in one notation."""
    if isinstance(value, list):
        return [comparable(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"N"}:
        return {"N": canonical(value["N"])}
    if value.keys() == {"NS"}:
        return {"NS": sorted(map(canonical, value["NS"]))}
    if value.keys() in ({"SS"}, {"BS"}):
        return {kind: sorted(held) for kind, held in value.items()}
    kept = {name: comparable(each) for name, each in value.items() if name not in _OWN and name != "Message"}
    if kept.get("Attributes") == {}:
        del kept["Attributes"]
    if "ConsumedCapacity" in kept:
        kept["ConsumedCapacity"] = _units(kept["ConsumedCapacity"])
    return kept


def _units(consumed: Any) -> dict[str, float]:
    tables = consumed if isinstance(consumed, list) else [consumed]
    return {each["TableName"]: each["CapacityUnits"] for each in tables}
