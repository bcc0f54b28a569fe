"""A DynamoDB table's shape, its creation, its status, and conditional writes. DynamoDB's errors come as they are."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws_client.failures import code_of, is_condition_failed, is_not_found

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Keys = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table billed on demand: its keys (name to wire type, partition key first) and whether it has a stream.

    ``index``: the name and the keys of a global index over these keys alone. ``expiry``: the attribute with the time,
    in epoch seconds, after which DynamoDB may delete an item.
    """

    name: str
    keys: Keys
    stream: bool = False
    index: tuple[str, Keys] | None = None
    expiry: str | None = None

    def request(self) -> dict[str, Any]:
        """The arguments of CreateTable."""
        attributes = dict(self.keys) | dict(self.index[1] if self.index else ())
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeySchema": key_schema(self.keys),
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": kind} for name, kind in attributes.items()
            ],
            "BillingMode": "PAY_PER_REQUEST",
        }
        if self.stream:
            request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        if self.index:
            name, keys = self.index
            projection = {"ProjectionType": "KEYS_ONLY"}
            request["GlobalSecondaryIndexes"] = [
                {"IndexName": name, "KeySchema": key_schema(keys), "Projection": projection}
            ]
        return request


def create_table(dynamodb: "DynamoDBClient", spec: TableSpec) -> bool:
    """Request the table; False when it is there already or another caller was faster. It may not be ACTIVE yet."""
    try:
        dynamodb.create_table(**spec.request())
    except ClientError as error:
        if code_of(error) != "ResourceInUseException":
            raise
        return False
    return True


def find_status(dynamodb: "DynamoDBClient", name: str) -> str | None:
    """The table's status, such as ACTIVE; None when there is no such table."""
    try:
        return dynamodb.describe_table(TableName=name)["Table"]["TableStatus"]
    except ClientError as error:
        if is_not_found(error):
            return None
        raise


def write_if(write: Callable[..., object], **request: Any) -> bool:
    """Make a conditional write, such as `put_item`; False when its condition does not hold."""
    try:
        write(**request)
    except ClientError as error:
        if not is_condition_failed(error):
            raise
        return False
    return True


def unchanged(item: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Arguments of a conditional write that holds while these attributes are as they were read, or still missing."""
    conditions, bound, values = [], {}, {}
    for index, name in enumerate(names):
        bound[f"#a{index}"] = name
        if name in item:
            values[f":a{index}"] = item[name]
            conditions.append(f"#a{index} = :a{index}")
        else:
            conditions.append(f"attribute_not_exists(#a{index})")
    condition = {"ConditionExpression": " AND ".join(conditions), "ExpressionAttributeNames": bound}
    return {**condition, **({"ExpressionAttributeValues": values} if values else {})}


def key_schema(keys: Keys) -> list[dict[str, str]]:
    """The key schema in DynamoDB's words."""
    return [{"AttributeName": name, "KeyType": kind} for (name, _), kind in zip(keys, ("HASH", "RANGE"), strict=False)]
