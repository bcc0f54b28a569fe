"""The read model's table: consistent reads in bulk, conditional writes in bulk."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from ledger.aws import CONTENTION, THROTTLING, aws_errors
from ledger.errors import EndpointError, ResourceError, ThrottledError
from projector.projections.balance_summary import COLUMNS, BalanceSummary, from_item, to_values

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: AWS, "Amazon DynamoDB quotas": keys in one BatchGetItem, statements in one BatchExecuteStatement.
MAX_KEYS: Final = 100
MAX_STATEMENTS: Final = 25

#: The answers of a statement whose condition did not hold: an UPDATE at another version, an INSERT of a row that is.
_LOST: Final = frozenset({"ConditionalCheckFailed", "DuplicateItem"})
_SERVER_FAULT: Final = "InternalServerError"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """Put ``summary`` in the place of the row at version ``replaces``; 0 when there is no row yet."""

    summary: BalanceSummary
    replaces: int


class SummaryTable:
    """One generation of the balance summaries. Safe to share between threads.

    A row only ever moves from the version its writer read to the next state that this writer folded from it, so it is
    the fold of a prefix at every moment, whoever else writes.
    """

    def __init__(self, dynamodb: "DynamoDBClient", table: str, executor: Executor, *, patience: float = 10.0) -> None:
        """``executor`` runs the calls of one bulk write side by side; ``patience``: seconds to try a throttled one."""
        self._dynamodb = dynamodb
        self._table = table
        self._executor = executor
        self._patience = patience
        assignments = " ".join(f'SET "{column}"=?' for column in COLUMNS)
        fields = ", ".join(f"'{column}': ?" for column in COLUMNS)
        self._update = f'UPDATE "{table}" {assignments} WHERE "aggregateId"=? AND "version"=?'
        self._insert = f"INSERT INTO \"{table}\" VALUE {{'aggregateId': ?, {fields}}}"

    def get(self, account_id: str) -> BalanceSummary | None:
        """Read one row, strongly consistent. Raises ThrottledError, EndpointError or ResourceError."""
        with aws_errors(f"reading the summary of account {account_id}"):
            answer = self._dynamodb.get_item(
                TableName=self._table, Key={"aggregateId": {"S": account_id}}, ConsistentRead=True
            )
        return from_item(answer["Item"]) if "Item" in answer else None

    def get_many(self, account_ids: Iterable[str]) -> dict[str, BalanceSummary]:
        """Read rows, strongly consistent; an account without a row is absent from the answer."""
        found: dict[str, BalanceSummary] = {}
        for chunk in _chunks(list(account_ids), MAX_KEYS):
            found |= self._get_chunk(chunk)
        return found

    def write(self, changes: Sequence[Change]) -> set[str]:
        """Apply each change on the condition that the row is still at the version it replaces.

        At most one change an account. Returns the accounts whose condition was lost; all others are durable. After a
        raised ThrottledError, EndpointError or ResourceError any part may be durable: read again before going on.
        """
        answers = list(self._executor.map(self._write_chunk, _chunks(changes, MAX_STATEMENTS)))
        return set().union(*answers)

    def _get_chunk(self, account_ids: Sequence[str]) -> dict[str, BalanceSummary]:
        found: dict[str, BalanceSummary] = {}
        request: Any = {
            "Keys": [{"aggregateId": {"S": account_id}} for account_id in account_ids],
            "ConsistentRead": True,
        }
        for attempt in self._retrying():
            with attempt, aws_errors(f"reading {len(request['Keys'])} summaries"):
                answer = self._dynamodb.batch_get_item(RequestItems={self._table: request})
                found |= {item["aggregateId"]["S"]: from_item(item) for item in answer["Responses"][self._table]}
                left = answer.get("UnprocessedKeys", {}).get(self._table)
                if left:
                    request = left
                    raise ThrottledError(f"reading summaries: {len(left['Keys'])} keys left unprocessed")
        return found

    def _write_chunk(self, changes: Sequence[Change]) -> set[str]:
        lost: set[str] = set()
        waiting = list(changes)
        for attempt in self._retrying():
            with attempt, aws_errors(f"writing {len(waiting)} summaries"):
                answer = self._dynamodb.batch_execute_statement(Statements=[self._statement(each) for each in waiting])
                codes = [response.get("Error", {}).get("Code") for response in answer["Responses"]]
                lost |= {each.summary.account_id for each, code in zip(waiting, codes, strict=True) if code in _LOST}
                refused = [
                    (each, code) for each, code in zip(waiting, codes, strict=True) if code and code not in _LOST
                ]
                waiting = [each for each, _ in refused]
                if refused:
                    raise _refusal(self._table, refused[0][0], {str(code) for _, code in refused})
        return lost

    def _statement(self, change: Change) -> Any:
        key = {"S": change.summary.account_id}
        if change.replaces == 0:
            return {"Statement": self._insert, "Parameters": [key, *to_values(change.summary)]}
        version = {"N": str(change.replaces)}
        return {"Statement": self._update, "Parameters": [*to_values(change.summary), key, version]}

    def _retrying(self) -> Retrying:
        return Retrying(
            retry=retry_if_exception_type((ThrottledError, EndpointError)),
            stop=stop_after_delay(self._patience),
            wait=wait_random_exponential(0.02, max=1),
            reraise=True,
        )


def _refusal(table: str, change: Change, codes: set[str]) -> Exception:
    named = ", ".join(sorted(codes))
    if codes <= THROTTLING | CONTENTION:
        return ThrottledError(f"writing summaries to {table}: {named}")
    if codes <= THROTTLING | CONTENTION | {_SERVER_FAULT}:
        return EndpointError(f"writing summaries to {table}: {named}")
    return ResourceError(f"writing the summary of account {change.summary.account_id} to {table}: {named}")


def _chunks(things: Sequence[T], size: int) -> list[Sequence[T]]:
    return [things[start : start + size] for start in range(0, len(things), size)]
