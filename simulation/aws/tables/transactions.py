"""TransactWriteItems: all of it or nothing, once for each token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from simulation.aws.errors import AwsError, NotModelledError, UnfitError, cancelled, validation
from simulation.aws.tables.table import MAX_ITEM_BYTES, Key, Table, check_size
from simulation.aws.tables.values import Item, read_units, stored, write_units
from simulation.aws.tables.writes import Request, require, units_asked, updated

Answer = dict[str, Any]

#: AWS, "Amazon DynamoDB quotas": actions and bytes in a transaction; and for how many seconds its token is remembered.
MAX_ACTIONS: Final = 100
MAX_TRANSACTION_BYTES: Final = 4 * 1024 * 1024
TOKEN_SECONDS: Final = 600.0


class Transactions:
    """Carries out transactions, and remembers their tokens."""

    def __init__(self, table: Callable[[str], Table], clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock
        self._done: dict[str, tuple[float, Any]] = {}

    def write(self, request: Request) -> Answer:
        """All of the actions or none; a token that is known is answered as before.

        Raises TransactionCanceledException with a reason for each action, ValidationException,
        IdempotentParameterMismatchException.
        """
        actions = [next(iter(action.items())) for action in request["TransactItems"]]
        if not 0 < len(actions) <= MAX_ACTIONS:
            raise validation(f"Member must have length less than or equal to {MAX_ACTIONS}")
        tables = [self._table(action["TableName"]) for _, action in actions]
        keys = [_key(table, kind, action) for table, (kind, action) in zip(tables, actions, strict=True)]
        if len({(table.name, key) for table, key in zip(tables, keys, strict=True)}) < len(keys):
            raise validation("Transaction request cannot include multiple operations on one item")
        token = request.get("ClientRequestToken")
        if token is not None and self._known(token, request["TransactItems"]):
            sizes = [table.sized(key)[1] for table, key in zip(tables, keys, strict=True)]
            costs = [2 * read_units(size, consistent=True) for size in sizes]
            return _consumed(request, tables, costs)
        planned = self._planned(tables, keys, actions)
        costs = []
        for table, key, (kind, _), (item, size) in zip(tables, keys, actions, planned, strict=True):
            bytes_ = table.sized(key)[1] if kind == "ConditionCheck" else table.store(key, item, size)
            costs.append(2 * write_units(bytes_))
        if token is not None:
            self._done[token] = self._clock(), request["TransactItems"]
        return _consumed(request, tables, costs)

    def _known(self, token: str, items: Any) -> bool:
        now = self._clock()
        while self._done:
            oldest = next(iter(self._done))
            if self._done[oldest][0] > now - TOKEN_SECONDS:
                break
            del self._done[oldest]
        if token not in self._done:
            return False
        if self._done[token][1] != items:
            raise AwsError("IdempotentParameterMismatchException", "The token was used for another request")
        return True

    def _planned(
        self, tables: list[Table], keys: list[Key], actions: list[tuple[str, Any]]
    ) -> list[tuple[Item | None, int]]:
        """What each action leaves, and its size."""
        planned: list[tuple[Item | None, int]] = []
        reasons: list[Answer] = []
        for table, key, (kind, action) in zip(tables, keys, actions, strict=True):
            try:
                planned.append(_after(table, key, kind, action))
                reasons.append({"Code": "None"})
            except UnfitError as error:
                reasons.append({"Code": "ValidationError", "Message": error.message})
            except AwsError as error:
                if error.code != "ConditionalCheckFailedException":
                    raise
                reasons.append({"Code": "ConditionalCheckFailed", "Message": error.message, **error.members})
        if len(planned) < len(actions):
            raise cancelled(reasons)
        if sum(size for _, size in planned) > MAX_TRANSACTION_BYTES:
            raise validation("Collection size of items in the transaction exceeded limit")
        return planned


def _key(table: Table, kind: str, action: Mapping[str, Any]) -> Key:
    return table.key_of(action["Item"]) if kind == "Put" else table.key_of(action["Key"], exactly=True)


def _after(table: Table, key: Key, kind: str, action: Mapping[str, Any]) -> tuple[Item | None, int]:
    before = table.get(key)
    match kind:
        case "Put":
            put = stored(action["Item"])
            if put[1] > MAX_ITEM_BYTES:
                raise validation("Item size has exceeded the maximum allowed size")
            require(action, before)
            return put
        case "Update":
            after, _ = updated(table, action, before)
            put = stored(after)
            check_size(put[1])
            return put
        case "Delete" | "ConditionCheck":
            require(action, before)
            return None, 0
        case _:
            raise NotModelledError(f"{kind} in a transaction")


def _consumed(request: Request, tables: list[Table], costs: list[float]) -> Answer:
    if not units_asked(request):
        return {}
    units: dict[str, float] = {}
    for table, cost in zip(tables, costs, strict=True):
        units[table.name] = units.get(table.name, 0.0) + cost
    return {"ConsumedCapacity": [{"TableName": name, "CapacityUnits": each} for name, each in units.items()]}
