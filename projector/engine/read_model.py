"""The table of one projection's generation: consistent reads in bulk, conditional writes in bulk.

A row only ever moves from the version that its writer read to the next state that this writer folded from it, and
only while its aggregate is not halted and no repair has rewritten it; so it is the fold of a prefix at every moment,
whoever else writes.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from aws_client.batch_reads import MAX_KEYS, BatchRead, chunks
from aws_client.failures import Failure, classify_code
from aws_client.tables import TableSpec, write_if
from ledger.errors import AccessRefusedError, EndpointError, ResourceError, ThrottledError
from ledger.runtime.aws import aws_errors, retrying
from ledger.store.parallel_scan import Item
from projector.projection import ALL_PARTS, HEAD, Halt, Projection, Row

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: AWS, "Amazon DynamoDB quotas": statements in one BatchExecuteStatement.
MAX_STATEMENTS: Final = 25

S = TypeVar("S")
T = TypeVar("T")
RowKey = tuple[str, str]


class UnreadableRowError(ResourceError):
    """A row that no projector could have written: somebody has edited it. ``aggregate_id``: whose it is."""

    def __init__(self, table: str, aggregate_id: str, cause: Exception) -> None:
        self.aggregate_id = aggregate_id
        super().__init__(
            f"a row of aggregate {aggregate_id} in {table} cannot be read ({cause!r}): "
            "`kinfold projector verify --repair` rewrites it"
        )


@dataclass(frozen=True, slots=True)
class RowChange(Generic[S]):
    """Put ``row`` in the place of the one at version ``replaces``; None when there is no row yet."""

    row: Row[S]
    replaces: int | None


def table_spec(projection: Projection[Any], profile: str, generation: int) -> TableSpec:
    """The shape of a generation's table."""
    part = ((projection.part_name, "S"),) if projection.part_name else ()
    return TableSpec(projection.table(profile, generation), (("aggregateId", "S"), *part))


class ReadModel(Generic[S]):
    """One generation of one projection. Safe to share between threads.

    Every method raises ThrottledError, EndpointError or ResourceError when the endpoint fails.
    """

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        projection: Projection[S],
        table: str,
        executor: Executor,
        *,
        generation: int = 1,
        retry_seconds: float = 10.0,
    ) -> None:
        """``executor`` runs the calls of a bulk write in parallel; a failed call is retried for ``retry_seconds``."""
        self.projection = projection
        self.table = table
        self.generation = generation
        self._dynamodb = dynamodb
        self._executor = executor
        self._retry_seconds = retry_seconds
        self.keys = ("aggregateId", projection.part_name) if projection.part_name else ("aggregateId",)
        row = ("version", "eventHash")
        columns = (*row, *projection.columns.names)
        where = " AND ".join(f'"{key}"=?' for key in self.keys)
        condition = f'{where} AND "version"=? AND "halted" IS MISSING AND "revision"'
        self._insert = _insert(table, (*self.keys, *columns))
        self._insert_head = _insert(table, (*self.keys, *row))
        self._update = f'UPDATE "{table}" {_assignments(columns)} WHERE {condition}'
        self._update_head = f'UPDATE "{table}" {_assignments(row)} WHERE {condition}'

    def get(self, aggregate_id: str) -> Row[S] | None:
        """Read an aggregate's head, strongly consistent."""
        return self.get_many([(aggregate_id, HEAD)]).get((aggregate_id, HEAD))

    def get_many(self, keys: Iterable[RowKey]) -> dict[RowKey, Row[S]]:
        """Read rows (aggregate, part), strongly consistent; one that does not exist is absent from the answer.

        Raises UnreadableRowError.
        """
        found, unreadable = self.read(keys)
        for error in unreadable.values():
            raise error
        return found

    def read(self, keys: Iterable[RowKey]) -> tuple[dict[RowKey, Row[S]], dict[str, UnreadableRowError]]:
        """Like ``get_many``; what cannot be read is told by aggregate, beside the rows that can."""
        found: dict[RowKey, Row[S]] = {}
        unreadable: dict[str, UnreadableRowError] = {}
        for chunk in chunks(list(keys), MAX_KEYS):
            for item in self._get_chunk(chunk):
                try:
                    row = self.row(item)
                except UnreadableRowError as error:
                    unreadable[error.aggregate_id] = error
                else:
                    found[row.aggregate_id, row.part] = row
        return found, unreadable

    def parts(self, aggregate_id: str, first: str, last: str, limit: int) -> list[Row[S]]:
        """Read an aggregate's parts from ``first`` to ``last``, in order, strongly consistent, at most ``limit``."""
        return self._parts(aggregate_id, first, last, limit)

    def _parts(self, aggregate_id: str, first: str, last: str, limit: int, *, newest: bool = False) -> list[Row[S]]:
        with aws_errors(f"reading {self.table} of aggregate {aggregate_id}"):
            answer = self._dynamodb.query(
                TableName=self.table,
                KeyConditionExpression="aggregateId = :a AND #part BETWEEN :first AND :last",
                ExpressionAttributeNames={"#part": str(self.projection.part_name)},
                ExpressionAttributeValues={":a": {"S": aggregate_id}, ":first": {"S": first}, ":last": {"S": last}},
                ConsistentRead=True,
                Limit=limit,
                ScanIndexForward=not newest,
            )
        return [self.row(item) for item in answer["Items"]]

    def heads(self, after: Item | None, rows: int, *, halted: bool) -> tuple[list[Item], Item | None]:
        """Read on for at most ``rows`` rows after the key ``after`` (None: from the start), strongly consistent.

        Returns the heads among them, as items for ``row``, with ``halted`` only those of halted aggregates; and the key
        where reading goes on, None at the end of the table. Their order is DynamoDB's, and no promise.
        """
        wanted = ["attribute_exists(halted)"] if halted else []
        request: dict[str, Any] = {"ExclusiveStartKey": after} if after is not None else {}
        if self.projection.part_name:
            wanted.append("#part = :head")
            request["ExpressionAttributeNames"] = {"#part": self.projection.part_name}
            request["ExpressionAttributeValues"] = {":head": {"S": HEAD}}
        if wanted:
            request["FilterExpression"] = " AND ".join(wanted)
        with aws_errors(f"scanning {self.table}"):
            page = self._dynamodb.scan(TableName=self.table, ConsistentRead=True, Limit=rows, **request)
        return list(page["Items"]), page.get("LastEvaluatedKey")

    def last_parts(self, aggregate_id: str, count: int) -> list[Row[S]]:
        """Read an aggregate's last parts, in order, strongly consistent."""
        return self._parts(aggregate_id, *ALL_PARTS, count, newest=True)[::-1]

    def write(self, changes: Sequence[RowChange[S]]) -> set[RowKey]:
        """Apply each change on the condition that its row is as it was read: its version, no halt, no repair since.

        At most one change a row. Returns the keys whose condition was lost; all others are durable. After an error
        any part may be durable: read again before going on.
        """
        answers = list(self._executor.map(self._write_chunk, chunks(changes, MAX_STATEMENTS)))
        return set().union(*answers)

    def halt(self, aggregate_id: str, version: int | None, halt: Halt, provided: Mapping[str, Any]) -> bool:
        """Halt an aggregate whose head is still at ``version`` (None: there is no head yet) and not halted.

        ``provided``: what else must hold at that moment, an action of TransactWriteItems. Returns False, with nothing
        written, when either does not hold.
        """
        unhalted = "version = :v AND attribute_not_exists(halted)"
        condition = unhalted if version is not None else "attribute_not_exists(aggregateId)"
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
        update = self._head_update(aggregate_id, "SET version = :v, halted = :h", condition, values)
        with aws_errors(f"halting aggregate {aggregate_id} in {self.table}"):
            return write_if(self._dynamodb.transact_write_items, TransactItems=[provided, {"Update": update}])

    def lift(self, head: Row[S]) -> bool:
        """Lift the halt that ``head`` was read with. Returns False when the head is no longer as it was read."""
        assert head.halted is not None
        values = {
            ":v": {"N": str(head.version)},
            ":at": {"S": head.halted.at},
            ":letter": {"S": head.halted.dead_letter},
        }
        condition = "version = :v AND halted.#at = :at AND halted.deadLetter = :letter"
        update = self._head_update(head.aggregate_id, "REMOVE halted", condition, values)
        with aws_errors(f"lifting the halt of aggregate {head.aggregate_id} in {self.table}"):
            return write_if(self._dynamodb.update_item, **update, ExpressionAttributeNames={"#at": "at"})

    def row(self, item: Mapping[str, Mapping[str, Any]]) -> Row[S]:
        """Parse an item of the table. Raises UnreadableRowError for one that no projector could have written."""
        columns = self.projection.columns
        part = item[self.projection.part_name]["S"] if self.projection.part_name else HEAD
        try:
            return Row(
                aggregate_id=item["aggregateId"]["S"],
                part=part,
                version=_version(item["version"]["N"]),
                state=columns.state(item) if part != HEAD or not item.keys().isdisjoint(columns.names) else None,
                halted=_halt(item["halted"]["M"]) if "halted" in item else None,
                revision=int(item["revision"]["N"]) if "revision" in item else 0,
                event_hash=item["eventHash"]["S"] if "eventHash" in item else None,
            )
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise UnreadableRowError(self.table, item["aggregateId"]["S"], error) from error

    def readable(self, item: Mapping[str, Mapping[str, Any]]) -> Row[S] | None:
        """Like ``row``, but None for an item that cannot be read."""
        try:
            return self.row(item)
        except UnreadableRowError:
            return None

    def image(self, row: Row[S]) -> dict[str, Any]:
        """The item that holds a row which is not halted."""
        columns = self.projection.columns
        state = columns.values(row.state) if row.state is not None else []
        image = {**self.key(row.aggregate_id, row.part), "version": {"N": str(row.version)}}
        image |= dict(zip(columns.names, state, strict=False))
        image |= {"eventHash": {"S": row.event_hash}} if row.event_hash else {}
        return image | ({"revision": {"N": str(row.revision)}} if row.revision else {})

    def key(self, aggregate_id: str, part: str = HEAD) -> dict[str, Any]:
        """The primary key of a row."""
        return {name: {"S": value} for name, value in zip(self.keys, (aggregate_id, part), strict=False)}

    def _head_update(self, aggregate_id: str, update: str, condition: str, values: Any) -> dict[str, Any]:
        return {
            "TableName": self.table,
            "Key": self.key(aggregate_id),
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }

    def _get_chunk(self, keys: Sequence[RowKey]) -> list[dict[str, Any]]:
        read = BatchRead(self._dynamodb, self.table, [self.key(*key) for key in keys], ConsistentRead=True)
        items: list[dict[str, Any]] = []
        for attempt in retrying(self._retry_seconds):
            with attempt, aws_errors(f"reading {len(keys)} rows of {self.table}"):
                items = list(read())
        return items

    def _write_chunk(self, changes: Sequence[RowChange[S]]) -> set[RowKey]:
        lost: set[RowKey] = set()
        waiting = list(changes)
        for attempt in retrying(self._retry_seconds):
            with attempt, aws_errors(f"writing {len(waiting)} rows of {self.table}"):
                answer = self._dynamodb.batch_execute_statement(Statements=[self._statement(each) for each in waiting])
                codes = [str(response.get("Error", {}).get("Code", "")) for response in answer["Responses"]]
                if len(codes) != len(waiting):
                    raise ResourceError(f"writing to {self.table}: {len(codes)} answers for {len(waiting)} statements")
                failed = [(each, code) for each, code in zip(waiting, codes, strict=True) if code]
                refused = [(each, code) for each, code in failed if not _is_lost(code)]
                lost |= {(each.row.aggregate_id, each.row.part) for each, code in failed if _is_lost(code)}
                waiting = [each for each, _ in refused]
                if refused:
                    raise _refusal(self.table, waiting[0].row.aggregate_id, {code for _, code in refused})
        return lost

    def _statement(self, change: RowChange[S]) -> Any:
        row = change.row
        keys = list(self.key(row.aggregate_id, row.part).values())
        state = self.projection.columns.values(row.state) if row.state is not None else []
        assert row.event_hash is not None, "only a fold writes rows, and it ends at an event"
        values = [{"N": str(row.version)}, {"S": row.event_hash}, *state]
        if change.replaces is None:
            return {"Statement": self._insert if state else self._insert_head, "Parameters": [*keys, *values]}
        statement = self._update if state else self._update_head
        parameters = [*values, *keys, {"N": str(change.replaces)}]
        if row.revision == 0:
            return {"Statement": f"{statement} IS MISSING", "Parameters": parameters}
        return {"Statement": f"{statement}=?", "Parameters": [*parameters, {"N": str(row.revision)}]}


def _version(text: str) -> int:
    version = int(text)
    if version < 0:
        raise ValueError(f"version {version}")
    return version


def _insert(table: str, columns: Sequence[str]) -> str:
    fields = ", ".join(f"'{column}': ?" for column in columns)
    return f'INSERT INTO "{table}" VALUE {{{fields}}}'


def _assignments(columns: Sequence[str]) -> str:
    return " ".join(f'SET "{column}"=?' for column in columns)


def _halt(halted: Mapping[str, Any]) -> Halt:
    return Halt(
        sequence_number=int(halted["sequenceNumber"]["N"]),
        reason=halted["reason"]["S"],
        at=halted["at"]["S"],
        dead_letter=halted["deadLetter"]["S"],
    )


def _is_lost(code: str) -> bool:
    """Whether a statement's condition did not hold: an UPDATE at another version, an INSERT of a row that is there."""
    return classify_code(code) is Failure.CONDITION_FAILED


def _refusal(table: str, aggregate_id: str, codes: set[str]) -> Exception:
    named, failures = ", ".join(sorted(codes)), {classify_code(code) for code in codes}
    if failures <= {Failure.THROTTLED, Failure.CONTENDED}:
        return ThrottledError(f"writing to {table}: {named}")
    if all(failure.passes for failure in failures):
        return EndpointError(f"writing to {table}: {named}")
    if Failure.ACCESS_REFUSED in failures:
        refused = f"dynamodb:PartiQLInsert and PartiQLUpdate on table/{table}"
        return AccessRefusedError(
            f"writing the row of aggregate {aggregate_id}: AWS refuses {refused}: {named}", refused
        )
    return ResourceError(f"writing the row of aggregate {aggregate_id} to {table}: {named}")
