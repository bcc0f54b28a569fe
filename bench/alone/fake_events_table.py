"""The events and the snapshots of one account answered from memory: **not** AWS. For benchmarks alone.

The embedded AWS goes through a whole history for each page of it, so that a load of 100,000 events would measure that.
Answers Query as the event store asks it, in pages of 1 MB, and GetItem; any other condition is refused.
"""

from collections.abc import Sequence
from typing import Any, Final

import orjson
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from bench.alone.fake_aws import NotUnderstoodError, Raw
from bench.metering.item_size import item_size, query_units

#: AWS, "Querying tables in DynamoDB": bytes in one page.
_PAGE: Final = 1024 * 1024
_AFTER: Final = "aggregateId = :a AND sequenceNumber > :n"

Item = dict[str, Any]


class MemoryEvents:
    """The history of one account, numbered 1..n without a hole, and the item that GetItem gives, if any."""

    def __init__(self, history: Sequence[Item]) -> None:
        self._history = history
        self._sizes = [item_size(item) for item in history]
        self.snapshot: Item | None = None

    def answer_for(self, dynamodb: Any) -> None:
        """Answer this client's Query and GetItem from now on."""
        events = dynamodb.meta.events
        events.register("before-send.dynamodb.Query", lambda request, **_: _response(request, self.query))
        events.register("before-send.dynamodb.GetItem", lambda request, **_: _response(request, self.get))

    def query(self, asked: Any) -> Any:
        """One page. Raises NotUnderstoodError."""
        if asked["KeyConditionExpression"] != _AFTER or not asked.get("ScanIndexForward", True):
            raise NotUnderstoodError(asked["KeyConditionExpression"])
        values = asked["ExpressionAttributeValues"]
        if not self._history or values[":a"] != self._history[0]["aggregateId"]:
            raise NotUnderstoodError("another account")
        after = asked.get("ExclusiveStartKey", {}).get("sequenceNumber", values[":n"])
        begin = end = int(after["N"])
        size = 0
        while end < len(self._history) and size < _PAGE:
            size += self._sizes[end]
            end += 1
        items = self._history[begin:end]
        units = query_units(items, consistent=asked.get("ConsistentRead", False))
        answer = {"Items": items, "Count": len(items), "ScannedCount": len(items), **_consumed(asked, units)}
        if end < len(self._history):
            answer["LastEvaluatedKey"] = {name: items[-1][name] for name in ("aggregateId", "sequenceNumber")}
        return answer

    def get(self, asked: Any) -> Any:
        """The snapshot."""
        units = query_units([self.snapshot] if self.snapshot else [], consistent=asked.get("ConsistentRead", False))
        return ({"Item": self.snapshot} if self.snapshot else {}) | _consumed(asked, units)


def _consumed(asked: Any, units: float) -> dict[str, Any]:
    return {"ConsumedCapacity": {"TableName": asked["TableName"], "CapacityUnits": units}}


def _response(request: Any, answer: Any) -> AWSResponse:
    body = orjson.dumps(answer(orjson.loads(request.body)))
    return AWSResponse(request.url, 200, HTTPHeaders(), Raw(body))
