"""An AWS account in memory whose clock a test turns."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from simulation.aws.account import Account
from simulation.aws.errors import AwsError

ROWS = "rows"
PARTS = "parts"


@dataclass
class Memory:
    """An account with a table of rows (`id`), which has a stream, and one of parts (`id`, and a number `part`)."""

    now: float = 1_000_000.0
    staleness: float = 10.0
    account: Account = field(init=False)

    def __post_init__(self) -> None:
        self.account = Account(clock=lambda: self.now, random=Random(1), staleness=self.staleness)
        self.create(ROWS, id="S")
        self.create(PARTS, id="S", part="N")

    def create(self, name: str, **keys: str) -> None:
        roles = zip(keys, ("HASH", "RANGE"), strict=False)
        self.call(
            "CreateTable",
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": role} for key, role in roles],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind in keys.items()],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        )

    def call(self, operation: str, service: str = "dynamodb", **request: Any) -> dict[str, Any]:
        """Call an operation as the network does."""
        return self.account.operations()[f"{service}.{operation}"](request)

    def refused(self, operation: str, service: str = "dynamodb", **request: Any) -> AwsError:
        """The refusal of a call."""
        with pytest.raises(AwsError) as caught:
            self.call(operation, service, **request)
        return caught.value

    def put(self, item: dict[str, Any], table: str = ROWS, **request: Any) -> None:
        self.call("PutItem", TableName=table, Item=item, **request)

    def get(self, key: str, **request: Any) -> dict[str, Any] | None:
        return self.call("GetItem", TableName=ROWS, Key={"id": {"S": key}}, **request).get("Item")


@pytest.fixture
def memory() -> Memory:
    return Memory()
