"""Complete BatchGetItem reads: DynamoDB may leave keys unprocessed, which must be requested again after a pause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


#: AWS, "Amazon DynamoDB quotas": keys in one BatchGetItem.
MAX_KEYS: Final = 100

T = TypeVar("T")


class BatchRead:
    """Reads the rows of at most MAX_KEYS keys of one table. The caller's retry loop decides on pauses and the end.

    Each call continues where the last one stopped, so that no row is read twice. Not for several threads at once.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str, keys: Sequence[Any], **request: Any) -> None:
        """`request`: more of the table's part of the request, such as ConsistentRead."""
        self._dynamodb = dynamodb
        self._table = table
        self._request = request
        self._left = list(keys)
        self._found: list[dict[str, Any]] = []

    def __call__(self) -> list[dict[str, Any]]:
        """All rows that exist, once no key is left. Blocks.

        Raises ClientError: a throttle while keys are left, which the next call requests; or DynamoDB's own.
        """
        if self._left:
            request: Any = {self._table: {**self._request, "Keys": self._left}}
            answer = self._dynamodb.batch_get_item(RequestItems=request)
            self._found += answer["Responses"].get(self._table, [])
            left: Any = answer.get("UnprocessedKeys", {})
            self._left = left.get(self._table, {}).get("Keys", [])
        if self._left:
            message = f"{len(self._left)} keys were left unprocessed"
            raise ClientError(
                {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": message}}, "BatchGetItem"
            )
        return self._found


def chunks(things: Sequence[T], size: int) -> list[Sequence[T]]:
    """Cut into pieces of at most ``size``."""
    return [things[start : start + size] for start in range(0, len(things), size)]
