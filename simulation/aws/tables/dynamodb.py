"""DynamoDB's operations on items. A request and its answer are the JSON of AWS's API, as Python values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final

from simulation.aws.errors import AwsError, NotModelledError, not_found, validation
from simulation.aws.errors import cancelled as cancelled
from simulation.aws.tables.expressions import partiql
from simulation.aws.tables.expressions.conditions import Condition, condition
from simulation.aws.tables.expressions.key_conditions import key_condition
from simulation.aws.tables.expressions.projections import project, projection
from simulation.aws.tables.expressions.reader import Names, Path, Values
from simulation.aws.tables.table import Table, check_size
from simulation.aws.tables.transactions import Transactions
from simulation.aws.tables.values import Item, equal, read_units, stored, write_units
from simulation.aws.tables.writes import Request, bindings, require, units_asked, updated

Answer = dict[str, Any]

#: AWS, "Amazon DynamoDB quotas": keys and bytes in a BatchGetItem, statements in a batch, bytes that a page of Query or
#: Scan reads.
MAX_KEYS: Final = 100
MAX_BATCH_BYTES: Final = 16 * 1024 * 1024
MAX_STATEMENTS: Final = 25
MAX_WRITES: Final = 25
PAGE_BYTES: Final = 1024 * 1024

#: A statement's error codes, by those of other calls.
_STATEMENT_ERRORS: Final = {"ValidationException": "ValidationError", "ResourceNotFoundException": "ResourceNotFound"}


class DynamoDB:
    """Tables and what is done to their items. One call at a time; each is atomic unless said otherwise."""

    #: The operations of AWS's API that it answers.
    OPERATIONS: Final = (
        "GetItem",
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "BatchGetItem",
        "BatchWriteItem",
        "BatchExecuteStatement",
        "TransactWriteItems",
        "Query",
        "Scan",
    )

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        random: Random,
        staleness: float = 0.0,
        page_bytes: int = PAGE_BYTES,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        """``staleness``: seconds by which an eventually consistent read may lag behind.

        ``between`` is called between two items of a batch, which is not atomic.
        """
        self.tables: dict[str, Table] = {}
        self._clock = clock
        self._random = random
        self._staleness = staleness
        self._page_bytes = page_bytes
        self._between = between
        self._transactions = Transactions(self.table, clock)
        #: Hears of each table that is made.
        self.made: Callable[[Table], None] = lambda _: None

    def create(
        self,
        name: str,
        schema: Sequence[Mapping[str, str]],
        definitions: Sequence[Mapping[str, str]],
        items: Iterable[Item] = (),
    ) -> Table:
        """Make a table, of a KeySchema and AttributeDefinitions. Raises ResourceInUseException.

        ``items``: what a restored one holds, before anybody hears of it.
        """
        if name in self.tables:
            raise AwsError("ResourceInUseException", f"Table already exists: {name}")
        table = Table(name, schema, definitions, clock=self._clock, staleness=self._staleness)
        for item in items:
            table.put(table.key_of(item), item)
        self.tables[name] = table
        self.made(table)
        return table

    def table(self, name: str) -> Table:
        """A table by its name. Raises ResourceNotFoundException."""
        try:
            return self.tables[name]
        except KeyError:
            raise not_found(f"Table: {name} not found") from None

    # One item.

    def get_item(self, request: Request) -> Answer:
        table = self.table(request["TableName"])
        paths = _projected(request)
        found, size = table.sized(table.key_of(request["Key"], exactly=True), self._stale_by(request))
        answer: Answer = {}
        if found is not None:
            answer["Item"] = found if paths is None else project(found, paths)
        return _with_units(answer, request, table, read_units(size, consistent=_consistent(request)))

    def put_item(self, request: Request) -> Answer:
        table = self.table(request["TableName"])
        _check_return(request, "NONE", "ALL_OLD")
        key = table.key_of(request["Item"])
        item, size = stored(request["Item"])
        check_size(size)
        before = table.get(key)
        require(request, before)
        units = write_units(table.store(key, item, size))
        return _with_units(_old(request, before), request, table, units)

    def update_item(self, request: Request) -> Answer:
        table = self.table(request["TableName"])
        key = table.key_of(request["Key"], exactly=True)
        before = table.get(key)
        after, paths = updated(table, request, before)
        units = write_units(table.put(key, after))
        wanted = request.get("ReturnValues", "NONE")
        answer = _old(request, before)
        if wanted == "ALL_NEW":
            answer["Attributes"] = table.get(key)
        elif wanted in {"UPDATED_OLD", "UPDATED_NEW"}:
            part = project((before if wanted == "UPDATED_OLD" else table.get(key)) or {}, paths)
            answer |= {"Attributes": part} if part else {}
        return _with_units(answer, request, table, units)

    def delete_item(self, request: Request) -> Answer:
        table = self.table(request["TableName"])
        _check_return(request, "NONE", "ALL_OLD")
        key = table.key_of(request["Key"], exactly=True)
        before = table.get(key)
        require(request, before)
        units = write_units(table.store(key, None, 0) if before is not None else 0)
        return _with_units(_old(request, before), request, table, units)

    # Several items.

    def batch_get_item(self, request: Request) -> Answer:
        """Each item is read at a moment of its own; what does not fit the answer is left unprocessed."""
        asked = request["RequestItems"]
        if sum(len(part["Keys"]) for part in asked.values()) > MAX_KEYS:
            raise validation("Too many items requested for the BatchGetItem call")
        keys = {
            name: [self.table(name).key_of(key, exactly=True) for key in part["Keys"]] for name, part in asked.items()
        }
        if any(len(set(each)) < len(each) for each in keys.values()):
            raise validation("Provided list of item keys contains duplicates")
        found: dict[str, list[Item]] = {name: [] for name in asked}
        left: Answer = {}
        units = dict.fromkeys(asked, 0.0)
        room = MAX_BATCH_BYTES
        for name, part in asked.items():
            table, paths = self.tables[name], _projected(part)
            for at, key in enumerate(keys[name]):
                item, size = table.sized(key, self._stale_by(part))
                room -= size
                if room < 0:
                    left[name] = {**part, "Keys": part["Keys"][at:]}
                    break
                units[name] += read_units(size, consistent=_consistent(part))
                if item is not None:
                    found[name].append(item if paths is None else project(item, paths))
                self._between()
        return _with_units_of_all({"Responses": found, "UnprocessedKeys": left}, request, units)

    def batch_write_item(self, request: Request) -> Answer:
        """Puts, each at a moment of its own."""
        asked = request["RequestItems"]
        puts = [(self.table(name), each) for name, part in asked.items() for each in part]
        if not 0 < len(puts) <= MAX_WRITES:
            raise validation("Too many items requested for the BatchWriteItem call")
        if any("PutRequest" not in each for _, each in puts):
            raise NotModelledError("deletes in a BatchWriteItem")
        items = [(table, *stored(each["PutRequest"]["Item"])) for table, each in puts]
        if len({(table.name, table.key_of(item)) for table, item, _ in items}) < len(items):
            raise validation("Provided list of item keys contains duplicates")
        for _, _, size in items:
            check_size(size)
        units = dict.fromkeys(asked, 0.0)
        for table, item, size in items:
            units[table.name] += write_units(table.store(table.key_of(item), item, size))
            self._between()
        return _with_units_of_all({"UnprocessedItems": {}}, request, units)

    def batch_execute_statement(self, request: Request) -> Answer:
        """Each statement is atomic; they are carried out one after the other."""
        statements = request["Statements"]
        if not 0 < len(statements) <= MAX_STATEMENTS:
            raise validation(f"Member must have length less than or equal to {MAX_STATEMENTS}")
        responses: list[Answer] = []
        units: dict[str, float] = {}
        for each in statements:
            statement = partiql.parse(each["Statement"])
            try:
                size = self._execute(statement, each.get("Parameters", []))
            except AwsError as error:
                code = _STATEMENT_ERRORS.get(error.code, error.code)
                responses.append({"TableName": statement.table, "Error": {"Code": code, "Message": error.message}})
            else:
                units[statement.table] = units.get(statement.table, 0.0) + write_units(size)
                responses.append({"TableName": statement.table})
            self._between()
        return _with_units_of_all({"Responses": responses}, request, units)

    def _execute(self, statement: partiql.Statement, parameters: Sequence[Any]) -> int:
        """Carry a statement out. Returns the bytes that it writes. Raises AwsError."""
        table = self.table(statement.table)
        if len(parameters) != len(statement.assigned) + len(statement.equal):
            raise validation("Number of parameters in request and statement don't match.")
        assigned: Item = dict(zip(statement.assigned, parameters, strict=False))
        if statement.insert:
            key = table.key_of(assigned)
            if table.get(key) is not None:
                raise AwsError("DuplicateItem", "Duplicate primary key exists in table")
            return table.put(key, assigned)
        wanted = dict(zip(statement.equal, parameters[len(statement.assigned) :], strict=True))
        key = table.key_of(wanted)
        if any(name in assigned for name in table.keys):
            raise validation("Cannot update attribute. This attribute is part of the key")
        row = table.get(key)
        if row is None or not _matches(row, wanted, statement.missing):
            raise AwsError("ConditionalCheckFailed", "The conditional request failed")
        return table.put(key, {**row, **assigned})

    def transact_write_items(self, request: Request) -> Answer:
        """See `Transactions.write`."""
        return self._transactions.write(request)

    # Pages.

    def query(self, request: Request) -> Answer:
        table = self._paged(request)
        asked = key_condition(request["KeyConditionExpression"])
        chosen, paths, names, values = _expressions(request, asked)
        if chosen is not None and any(path[0] in table.keys for path in chosen.paths(names)):
            raise validation("Filter Expression can only contain non-primary key attributes")
        hashed, ranged = asked.bind(table.keys, names, values)
        start = request.get("ExclusiveStartKey")
        partition, after = table.key_value(hashed, 0), None
        if start is not None:
            begin, after = table.key_of(start, exactly=True)
            if begin != partition:
                raise validation("The provided starting key is outside query boundaries based on provided conditions")
        forward, stale_by = request.get("ScanIndexForward", True), self._stale_by(request)
        rows = table.partition(partition, ranged, reverse=not forward, after=after, stale_by=stale_by)
        return self._page(table, request, rows, chosen, paths, names, values)

    def scan(self, request: Request) -> Answer:
        table = self._paged(request)
        chosen, paths, names, values = _expressions(request)
        segment, segments = request.get("Segment", 0), request.get("TotalSegments", 1)
        if segment >= segments or ("Segment" in request) != ("TotalSegments" in request):
            raise validation("Segment and TotalSegments: both or none, and the first lower than the second")
        start = request.get("ExclusiveStartKey")
        after = table.key_of(start, exactly=True) if start is not None else None
        rows = table.scan(after, segment, segments, self._stale_by(request))
        return self._page(table, request, rows, chosen, paths, names, values)

    def _paged(self, request: Request) -> Table:
        if "IndexName" in request:
            raise NotModelledError("an index")
        return self.table(request["TableName"])

    def _page(
        self,
        table: Table,
        request: Request,
        rows: Iterator[tuple[Item, int]],
        chosen: Condition | None,
        paths: list[Path] | None,
        names: Names,
        values: Values,
    ) -> Answer:
        limit, page_bytes = request.get("Limit", -1), self._page_bytes
        items: list[Item] = []
        read, size, last = 0, 0, None
        for item, bytes_ in rows:
            read += 1
            size += bytes_
            if chosen is None or chosen.holds(item, names, values):
                items.append(item)
            # As AWS does: a page that ends just where the data ends says that there is more.
            if read == limit or size >= page_bytes:
                last = item
                break
        answer: Answer = {"Count": len(items), "ScannedCount": read}
        if request.get("Select") != "COUNT":
            answer["Items"] = items if paths is None else [project(item, paths) for item in items]
        if last is not None:
            answer["LastEvaluatedKey"] = {name: last[name] for name in table.keys}
        return _with_units(answer, request, table, read_units(size, consistent=_consistent(request)))

    def _stale_by(self, request: Request) -> float:
        if not self._staleness or request.get("ConsistentRead"):
            return 0.0
        return self._random.random() * self._staleness


def _matches(row: Item, wanted: Item, missing: Sequence[str]) -> bool:
    for name, value in wanted.items():
        held = row.get(name)
        if held != value and (held is None or not equal(held, value)):
            return False
    return all(name not in row for name in missing)


def _expressions(request: Request, *others: Any) -> tuple[Condition | None, list[Path] | None, Names, Values]:
    """The filter and the projection of a page, and the names and values that they and the others take."""
    filtered, projected = request.get("FilterExpression"), request.get("ProjectionExpression")
    chosen = condition(filtered) if filtered is not None else None
    part = projection(projected) if projected is not None else None
    names, values = bindings(request, *others, *(each for each in (chosen, part) if each is not None))
    return chosen, part.paths(names) if part is not None else None, names, values


def _projected(request: Request) -> list[Path] | None:
    text = request.get("ProjectionExpression")
    if text is None and "ExpressionAttributeNames" not in request:
        return None
    expressions = [projection(text)] if text is not None else []
    names, _ = bindings(request, *expressions)
    return expressions[0].paths(names)


def _consistent(request: Request) -> bool:
    return bool(request.get("ConsistentRead"))


def _check_return(request: Request, *allowed: str) -> None:
    if request.get("ReturnValues", "NONE") not in allowed:
        raise validation(f"ReturnValues can only be {' or '.join(allowed)}")


def _old(request: Request, before: Item | None) -> Answer:
    return {"Attributes": before} if before is not None and request.get("ReturnValues") == "ALL_OLD" else {}


def _with_units(answer: Answer, request: Request, table: Table, units: float) -> Answer:
    if units_asked(request):
        answer["ConsumedCapacity"] = {"TableName": table.name, "CapacityUnits": units}
    return answer


def _with_units_of_all(answer: Answer, request: Request, units: Mapping[str, float]) -> Answer:
    if units_asked(request):
        answer["ConsumedCapacity"] = [{"TableName": name, "CapacityUnits": each} for name, each in units.items()]
    return answer
