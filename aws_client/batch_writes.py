"""Complete BatchWriteItem puts: DynamoDB may leave items unprocessed, which must be sent again after a pause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: AWS, "Amazon DynamoDB quotas": items in one BatchWriteItem.
MAX_PUTS: Final = 25


class BatchPut:
    """Puts at most MAX_PUTS items into one table, unconditionally. The caller's retry loop decides on pauses.

    Each call continues where the last one stopped. Not for several threads at once.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str, items: Sequence[Any]) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._left: list[Any] = [{"PutRequest": {"Item": item}} for item in items]

    def __call__(self) -> None:
        """Put what is left; every item is durable once this returns. Blocks.

        Raises ClientError: a throttle while items are left, which the next call sends; or DynamoDB's own.
        """
        if self._left:
            answer = self._dynamodb.batch_write_item(RequestItems={self._table: self._left})
            self._left = list(answer.get("UnprocessedItems", {}).get(self._table, []))
        if self._left:
            message = f"{len(self._left)} items were left unprocessed"
            raise ClientError(
                {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": message}}, "BatchWriteItem"
            )
