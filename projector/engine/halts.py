"""Halting an account on its head row, and lifting the halt: the two conditional writes that frame a dead letter."""

from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from aws_client.failures import is_condition_failed
from ledger.runtime.aws import aws_errors
from projector.engine.read_model import ReadModel
from projector.projection import Halt, Row

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

S = TypeVar("S")


class Halts:
    """Halts of the accounts of one read model. Raises ThrottledError, EndpointError or ResourceError."""

    def __init__(self, dynamodb: "DynamoDBClient", model: ReadModel[Any]) -> None:
        self._dynamodb = dynamodb
        self._model = model

    def halt(self, account_id: str, version: int | None, halt: Halt) -> bool:
        """Halt the account, if its head is still at ``version`` (None: there is no head yet) and not halted.

        Returns False when it is not: somebody else went on, or halted it first.
        """
        condition = (
            "version = :v AND attribute_not_exists(halted)"
            if version is not None
            else ("attribute_not_exists(aggregateId)")
        )
        values = {
            ":v": {"N": str(version or 0)},
            ":h": {
                "M": {
                    "sequenceNumber": {"N": str(halt.sequence_number)},
                    "reason": {"S": halt.reason},
                    "at": {"S": halt.at},
                    "deadLetter": {"S": halt.dead_letter},
                }
            },
        }
        return self._update(account_id, "SET version = :v, halted = :h", condition, values)

    def lift(self, head: Row[Any]) -> bool:
        """Lift the halt that ``head`` was read with. Returns False when the head is no longer as it was read."""
        assert head.halted is not None
        values = {
            ":v": {"N": str(head.version)},
            ":at": {"S": head.halted.at},
            ":letter": {"S": head.halted.dead_letter},
        }
        condition = "version = :v AND halted.#at = :at AND halted.deadLetter = :letter"
        return self._update(head.account_id, "REMOVE halted", condition, values, {"#at": "at"})

    def _update(
        self, account_id: str, update: str, condition: str, values: Any, names: dict[str, str] | None = None
    ) -> bool:
        request: dict[str, Any] = {"ExpressionAttributeNames": names} if names else {}
        with aws_errors(f"writing the head of account {account_id} in {self._model.table}"):
            try:
                self._dynamodb.update_item(
                    TableName=self._model.table,
                    Key=self._model.key(account_id),
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    **request,
                )
            except ClientError as error:
                if is_condition_failed(error):
                    return False
                raise
        return True
