"""AWS answered from memory, inside the process that asks: **not** AWS, and no emulator. For benchmarks alone.

The SDK builds, signs and parses as ever; only the way over the network is cut out, at botocore's ``before-send``. What
costs nothing here is the endpoint, so that the rest, Kinfold's own work and the SDK's, can be measured by itself.

GetRecords comes from pages that were prepared in a file. BatchGetItem and BatchExecuteStatement work on the tables of
the simulation's AWS, with every condition of a statement checked; a statement that is not understood is refused, never
passed. Everything else (leases, control rows, the stream's description) goes to the endpoint, as it is rare.
"""

import base64
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import orjson
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from aws_client.tables import TableSpec
from simulation.aws.errors import NotModelledError
from simulation.aws.tables.dynamodb import DynamoDB


def tables(specs: Iterable[TableSpec]) -> DynamoDB:
    """Empty tables in memory."""
    memory = DynamoDB(clock=time.time, random=Random(6))
    for spec in specs:
        request = spec.request()
        memory.create(spec.name, request["KeySchema"], request["AttributeDefinitions"])
    return memory


def answer(client: Any, operation: str, body: Callable[[Any], bytes | None]) -> None:
    """Answer a client's operation from now on; the endpoint answers where the body is None."""

    def respond(request: Any, **_: Any) -> AWSResponse | None:
        found = body(orjson.loads(request.body))
        return None if found is None else AWSResponse(request.url, 200, HTTPHeaders(), Body(found))

    client.meta.events.register(f"before-send.{client.meta.service_model.service_name}.{operation}", respond)


class Body:
    """A response body that is there already."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        """The whole body."""
        yield self._body


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

    def __init__(self, pages: Pages, specs: Iterable[TableSpec]) -> None:
        self._pages = pages
        self.dynamodb = tables(specs)
        self.cpu_seconds = 0.0
        self._lock = threading.Lock()

    def answer_for(self, kinesis: Any, dynamodb: Any) -> None:
        """Answer these clients from now on."""
        answer(kinesis, "GetShardIterator", self._timed(self._iterator))
        answer(kinesis, "GetRecords", self._timed(self._records))
        answer(dynamodb, "BatchGetItem", self._timed(self._get))
        answer(dynamodb, "BatchExecuteStatement", self._timed(self._execute))

    def _timed(self, body: Callable[[Any], bytes | None]) -> Callable[[Any], bytes | None]:
        def timed(asked: Any) -> bytes | None:
            began = time.thread_time()
            found = body(asked)
            spent = time.thread_time() - began
            with self._lock:
                self.cpu_seconds += spent
            return found

        return timed

    def _iterator(self, asked: Any) -> bytes:
        if asked["ShardIteratorType"] != "TRIM_HORIZON":
            raise NotModelledError(f"an iterator of {asked['ShardIteratorType']}: a run begins at the oldest record")
        return orjson.dumps({"ShardIterator": self._pages.first(asked["ShardId"])})

    def _records(self, asked: Any) -> bytes:
        return self._pages.get(asked["ShardIterator"])

    def _get(self, asked: Any) -> bytes | None:
        if not asked["RequestItems"].keys() <= self.dynamodb.tables.keys():
            return None
        with self._lock:
            found = self.dynamodb.batch_get_item(asked)
        return orjson.dumps(found)

    def _execute(self, asked: Any) -> bytes:
        with self._lock:
            found = self.dynamodb.batch_execute_statement(asked)
        return orjson.dumps(found)
