"""AWS answered from memory, inside the process that asks: **not** AWS, and no emulator. For benchmarks alone.

The SDK builds, signs and parses as ever; only the way over the network is cut out, at botocore's ``before-send``. What
costs nothing here is the endpoint, so that the rest, Kinfold's own work and the SDK's, can be measured by itself.

GetRecords comes from pages that were prepared in a file. BatchGetItem and BatchExecuteStatement work on rows that are
kept here, with every condition of a statement checked; a statement that is not understood is refused, never passed.
Everything else (leases, control rows, the stream's description) goes to the endpoint, as it is rare.
"""

import base64
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

_CONDITION: Final = re.compile(r'\s*"(\w+)"\s*(=\s*\?|IS MISSING)\s*')
_INSERT: Final = re.compile(r"""INSERT INTO "([\w.-]+)" VALUE \{(.*)\}""")
_FIELD: Final = re.compile(r"\s*'(\w+)'\s*:\s*\?\s*")
_UPDATE: Final = re.compile(r'UPDATE "([\w.-]+)" (.*) WHERE (.*)')
_SET: Final = re.compile(r'(?:SET\s+)?"(\w+)"\s*=\s*\?,?\s*')

Row = dict[str, Any]


class NotUnderstoodError(Exception):
    """A request that these answers are not made for."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A PartiQL statement taken apart: an INSERT, or an UPDATE with the conditions that its WHERE names."""

    table: str
    insert: bool
    assigned: tuple[str, ...]
    equal: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Statement":
        """Raises NotUnderstoodError for anything but the two shapes that a read model writes."""
        if found := _INSERT.fullmatch(text):
            fields = _all(_FIELD, found[2].split(","))
            return cls(found[1], True, tuple(match[1] for match in fields))
        if found := _UPDATE.fullmatch(text):
            assigned = [match[1] for match in _SET.finditer(found[2])]
            if _SET.sub("", found[2]).strip():
                raise NotUnderstoodError(text)
            conditions = _all(_CONDITION, found[3].split(" AND "))
            equal = tuple(match[1] for match in conditions if match[2] != "IS MISSING")
            missing = tuple(match[1] for match in conditions if match[2] == "IS MISSING")
            return cls(found[1], False, tuple(assigned), equal, missing)
        raise NotUnderstoodError(text)


def _all(pattern: re.Pattern[str], parts: Iterable[str]) -> list[re.Match[str]]:
    found = [(pattern.fullmatch(part), part) for part in parts]
    for match, part in found:
        if match is None:
            raise NotUnderstoodError(part)
    return [match for match, _ in found if match]


class Tables:
    """Rows of the tables that a read model writes, by table and key."""

    def __init__(self, keys: Mapping[str, tuple[str, ...]]) -> None:
        """``keys``: the key attributes of each table."""
        self.keys = dict(keys)
        self._rows: dict[str, dict[tuple[str, ...], Row]] = {table: {} for table in keys}
        self._lock = threading.Lock()
        self._statements: dict[str, Statement] = {}

    def get(self, table: str, key: Row) -> Row | None:
        """A row by its key."""
        return self._rows[table].get(self._key(table, key))

    def rows(self, table: str) -> list[Row]:
        """All rows of a table."""
        return list(self._rows[table].values())

    def statement(self, text: str) -> Statement:
        """The statement of a text, taken apart once. Raises NotUnderstoodError."""
        found = self._statements.get(text)
        if found is None:
            found = self._statements[text] = Statement.parse(text)
        return found

    def execute(self, text: str, parameters: list[Any]) -> str | None:
        """Carry a statement out. Returns the error code of a condition that did not hold.

        Raises NotUnderstoodError for a statement of another shape, or with parameters too few or too many.
        """
        statement = self.statement(text)
        assigned = dict(zip(statement.assigned, parameters, strict=False))
        if len(parameters) != len(statement.assigned) + len(statement.equal):
            raise NotUnderstoodError(f"{len(parameters)} parameters for: {text}")
        rows = self._rows[statement.table]
        with self._lock:
            if statement.insert:
                key = self._key(statement.table, assigned)
                if key in rows:
                    return "DuplicateItem"
                rows[key] = assigned
                return None
            wanted = dict(zip(statement.equal, parameters[len(statement.assigned) :], strict=True))
            row = rows.get(self._key(statement.table, wanted))
            if row is None or any(row.get(name) != value for name, value in wanted.items()):
                return "ConditionalCheckFailed"
            if any(name in row for name in statement.missing):
                return "ConditionalCheckFailed"
            row.update(assigned)
            return None

    def _key(self, table: str, item: Row) -> tuple[str, ...]:
        return tuple(item[name]["S"] for name in self.keys[table])


class Pages:
    """GetRecords' answers, prepared in a file and read from it one at a time, so that they take no memory."""

    def __init__(self, home: Path) -> None:
        self._file = os.open(home / "pages", os.O_RDONLY)
        self._index: dict[str, list[tuple[int, int]]] = json.loads((home / "index.json").read_text())

    def first(self, shard: str) -> str:
        """The iterator at a shard's oldest record."""
        return f"{shard} 0"

    def get(self, iterator: str) -> bytes:
        """The answer's body; one without records after the last page."""
        shard, number = iterator.split()
        pages = self._index.get(shard, [])
        if int(number) >= len(pages):
            return orjson.dumps({"Records": [], "NextShardIterator": iterator, "MillisBehindLatest": 0})
        offset, length = pages[int(number)]
        return os.pread(self._file, length, offset)


def write_pages(home: Path, shards: list[str], records: Iterator[tuple[str, bytes]], page: int) -> int:
    """Prepare pages of ``page`` records. Returns how many records.

    A partition key stays on one shard: on the one with the fewest records when it first comes.
    """
    waiting: dict[str, list[dict[str, Any]]] = {shard: [] for shard in shards}
    index: dict[str, list[tuple[int, int]]] = {shard: [] for shard in shards}
    loads = dict.fromkeys(shards, 0)
    placed: dict[str, str] = {}
    count, now = 0, time.time()
    with (home / "pages").open("wb") as file:

        def flush(shard: str) -> None:
            number = len(index[shard]) + 1
            answer = {"Records": waiting[shard], "NextShardIterator": f"{shard} {number}", "MillisBehindLatest": 1000}
            body = orjson.dumps(answer)
            index[shard].append((file.tell(), len(body)))
            file.write(body)
            waiting[shard] = []

        for key, data in records:
            shard = placed.get(key) or placed.setdefault(key, min(loads, key=loads.__getitem__))
            loads[shard] += 1
            count += 1
            waiting[shard].append(
                {
                    "Data": base64.b64encode(data).decode(),
                    "PartitionKey": key,
                    "SequenceNumber": f"{4_9000_0000_0000_0000_0000 + count:056d}",
                    "ApproximateArrivalTimestamp": now,
                }
            )
            if len(waiting[shard]) == page:
                flush(shard)
        for shard in shards:
            if waiting[shard]:
                flush(shard)
    (home / "index.json").write_text(json.dumps(index))
    return count


class MemoryAws:
    """Answers the hot calls of some clients from memory. ``cpu_seconds``: what the answers themselves have cost."""

    def __init__(self, pages: Pages, tables: Tables) -> None:
        self._pages = pages
        self.tables = tables
        self.cpu_seconds = 0.0
        self._lock = threading.Lock()

    def answer_for(self, kinesis: Any, dynamodb: Any) -> None:
        """Answer these clients from now on."""
        for client, operation, answer in (
            (kinesis, "GetShardIterator", self._iterator),
            (kinesis, "GetRecords", self._records),
            (dynamodb, "BatchGetItem", self._get),
            (dynamodb, "BatchExecuteStatement", self._execute),
        ):
            service = client.meta.service_model.service_name
            client.meta.events.register(f"before-send.{service}.{operation}", self._from_memory(answer))

    def _from_memory(self, answer: Callable[[Any], bytes | None]) -> Callable[..., AWSResponse | None]:
        def respond(request: Any, **_: Any) -> AWSResponse | None:
            began = time.thread_time()
            body = answer(orjson.loads(request.body))
            spent = time.thread_time() - began
            with self._lock:
                self.cpu_seconds += spent
            return None if body is None else AWSResponse(request.url, 200, HTTPHeaders(), Raw(body))

        return respond

    def _iterator(self, asked: Any) -> bytes:
        if asked["ShardIteratorType"] != "TRIM_HORIZON":
            raise NotUnderstoodError(f"an iterator of {asked['ShardIteratorType']}: a run begins at the oldest record")
        return orjson.dumps({"ShardIterator": self._pages.first(asked["ShardId"])})

    def _records(self, asked: Any) -> bytes:
        return self._pages.get(asked["ShardIterator"])

    def _get(self, asked: Any) -> bytes | None:
        if not asked["RequestItems"].keys() <= self.tables.keys.keys():
            return None
        found: dict[str, list[Row]] = {}
        units = []
        for table, request in asked["RequestItems"].items():
            rows = [self.tables.get(table, key) for key in request["Keys"]]
            found[table] = [row for row in rows if row is not None]
            rate = 1.0 if request.get("ConsistentRead") else 0.5
            units.append({"TableName": table, "CapacityUnits": len(rows) * rate})
        return orjson.dumps({"Responses": found, "UnprocessedKeys": {}, "ConsumedCapacity": units})

    def _execute(self, asked: Any) -> bytes:
        answers: list[dict[str, Any]] = []
        units: dict[str, float] = {}
        for each in asked["Statements"]:
            code = self.tables.execute(each["Statement"], each["Parameters"])
            table = self.tables.statement(each["Statement"]).table
            units[table] = units.get(table, 0.0) + 1.0
            answers.append({"Error": {"Code": code, "Message": code}} if code else {"TableName": table})
        consumed = [{"TableName": table, "CapacityUnits": each} for table, each in units.items()]
        return orjson.dumps({"Responses": answers, "ConsumedCapacity": consumed})


class Raw:
    """A response body that is there already."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        """The whole body."""
        yield self._body
