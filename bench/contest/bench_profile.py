"""The endpoint of a run: an embedded AWS of its own, whose CPU time is known, and what is put on it."""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from aws_client.tables import TableSpec
from bench.contest.workloads import Delivery
from bench.metering.meter import cpu_of
from kinfold.demo.disposable import delete_profile, disposable_profile
from kinfold.local.embedded_aws import LocalAws
from kinfold.local.environment import service_clients
from kinfold.tables import service_specs
from ledger.runtime.aws import Clients
from ledger.store.change_record import encode
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names, ensure_table

_REGION: Final = "us-east-1"
#: AWS's limits: records in one PutRecords, items in one BatchWriteItem.
_RECORDS: Final = 500
_ITEMS: Final = 25


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running embedded AWS."""

    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """What it has used so far."""
        return cpu_of(self.pid)


@contextmanager
def emulator() -> Iterator[Emulator]:
    """Run an embedded AWS for the block."""
    aws = LocalAws()
    try:
        yield Emulator(aws.url, aws.pid)
    finally:
        aws.stop()


@dataclass(frozen=True, slots=True)
class BenchProfile:
    """A profile of its own on an endpoint: its stream and its tables."""

    clients: Clients
    names: Names
    endpoint: str

    def ensure(self, *tables: TableSpec) -> None:
        """Create tables that are missing."""
        for table in tables:
            ensure_table(self.clients.dynamodb, table)

    def drop(self, *tables: str) -> None:
        """Delete tables, whether or not they are there."""
        dynamodb = self.clients.dynamodb
        for table in tables:
            try:
                dynamodb.delete_table(TableName=table)
            except dynamodb.exceptions.ResourceNotFoundException:
                continue

    def create_stream(self, shards: int) -> None:
        """Create the stream and wait until it is there."""
        self.clients.kinesis.create_stream(StreamName=self.names.stream, ShardCount=shards)
        self.clients.kinesis.get_waiter("stream_exists").wait(
            StreamName=self.names.stream, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )

    def put(self, deliveries: Iterable[Delivery]) -> tuple[int, int]:
        """Put the records on the stream, in order; returns how many, and their mean size in bytes."""
        count = size = 0
        for batch in _batches(deliveries, _RECORDS):
            records: list[Any] = [
                {"Data": encode(each.event, self.names.events, _REGION), "PartitionKey": each.key} for each in batch
            ]
            answer = self.clients.kinesis.put_records(StreamName=self.names.stream, Records=records)
            if answer["FailedRecordCount"]:
                raise RuntimeError("the endpoint refused records")
            count, size = count + len(records), size + sum(len(record["Data"]) for record in records)
        return count, round(size / max(count, 1))

    def store(self, events: Iterable[StoredEvent]) -> None:
        """Put events into the events table, without an event store's conditions: quick, and only for a benchmark."""
        for batch in _batches(events, _ITEMS):
            requests: list[Any] = [{"PutRequest": {"Item": event.to_item()}} for event in batch]
            answer = self.clients.dynamodb.batch_write_item(RequestItems={self.names.events: requests})
            if answer["UnprocessedItems"]:
                raise RuntimeError("the endpoint left items unwritten")


@contextmanager
def bench_profile(endpoint: str) -> Iterator[BenchProfile]:
    """A new profile with the tables of the main job, deleted after the block."""
    profile = disposable_profile("test-")
    clients = service_clients(endpoint, profile)
    try:
        created = BenchProfile(clients, Names(profile), endpoint)
        created.ensure(*service_specs(created.names))
        yield created
    finally:
        delete_profile(clients, profile)


def _batches(things: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(things)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
