"""What the event store costs on the embedded AWS: appends, loads with and without a snapshot, a rebuild."""

import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from bench.alone.fake_events_table import MemoryEvents
from bench.contest.bench_profile import BenchProfile, bench_profile, emulator
from bench.contest.workloads import skewed
from bench.metering.meter import Meter
from betting.account import Account
from betting.account_type import ACCOUNT
from betting.events import FundsDeposited
from betting.projections import PROJECTIONS
from faust_kinesis.kcl.coordination.tables import kcl_specs
from kinfold.local.environment import service_clients, service_environment
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore, ProvenVersion
from ledger.store.snapshots import Snapshot, SnapshotStore
from ledger.store.snapshots import encode as encode_snapshot
from ledger.store.stored_event import StoredEvent, timestamp
from ledger.store.tables import Names, ensure_table
from projector.engine.provisioning import prepare
from tests.support.accounts import aggregate_of
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.snapshot_writer import SnapshotWriter
from writer.metrics import Metrics
from writer.settings import WriterSettings

_DEPOSIT: Final = FundsDeposited(amount=Decimal("12.50"), currency="EUR")
_INTERVAL: Final[int] = WriterSettings.model_fields["snapshot_interval"].default
#: Nothing listens here: what is not answered from memory fails.
_NOWHERE: Final = "http://127.0.0.1:9"
_FREE: Final = "attribute_not_exists(sequenceNumber)"
_BEGIN: Final = datetime(2026, 1, 31, tzinfo=UTC)
_CORRELATION: Final = "shop:checkout:" + "c" * 60


@dataclass(slots=True)
class Cost:
    """What some calls took."""

    calls: int = 0
    read_units: float = 0.0
    write_units: float = 0.0
    seconds: float = 0.0


@contextmanager
def _metered(clients: Clients) -> Iterator[Cost]:
    meter, cost = Meter(), Cost()
    meter.watch(clients.dynamodb)
    began = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - began
        meter.unwatch(clients.dynamodb)
        cost.calls = sum(meter.calls.values())
        cost.read_units, cost.write_units = sum(meter.read_units.values()), sum(meter.write_units.values())


def appends(count: int, report: Callable[[str], None]) -> dict[str, Any]:
    """One event after a load; the same put as a transaction; and one at a version that is merely claimed."""
    found: dict[str, Any] = {"count": count}
    with emulator() as aws, bench_profile(aws.url) as profile:
        dynamodb, table = profile.clients.dynamodb, profile.names.events
        store = EventStore(dynamodb, table)

        def after_a_load(version: ProvenVersion) -> ProvenVersion:
            return _append(store, version.aggregate_id, version)

        def claimed(version: ProvenVersion) -> ProvenVersion:
            return _append(store, version.aggregate_id, version.number)

        def transaction(version: ProvenVersion) -> ProvenVersion:
            item = deposit(version.aggregate_id, version.number + 1).to_item()
            put = {"TableName": table, "Item": item, "ConditionExpression": _FREE}
            dynamodb.transact_write_items(TransactItems=[{"Put": put}])  # type: ignore[typeddict-item]
            return ProvenVersion(version.aggregate_id, version.number + 1)

        for append in (after_a_load, transaction, claimed):
            version = _append(store, append.__name__, store.load(append.__name__).version)
            seconds = []
            with _metered(profile.clients) as cost:
                for _ in range(count):
                    began = time.perf_counter()
                    version = append(version)
                    seconds.append(time.perf_counter() - began)
            found[append.__name__] = {
                "calls": cost.calls / count,
                "write_units": cost.write_units / count,
                "read_units": cost.read_units / count,
                "median_millis": statistics.median(seconds) * 1000,
            }
            report(f"append, {append.__name__}: {cost.write_units / count} write units")
    return found


def _append(store: EventStore, account: str, expected: ProvenVersion | int) -> ProvenVersion:
    history = store.append(account, [_DEPOSIT], expected, aggregate_type=ACCOUNT.name, correlation_id=_CORRELATION)
    return history.version


def loads(sizes: Sequence[int], report: Callable[[str], None]) -> dict[str, Any]:
    """An account of so many deposits, loaded without a snapshot and with one that is an interval old, from memory.

    Calls and read units are exact, by AWS's rules; the time is what the SDK and Kinfold take, without the network.
    """
    found: dict[str, Any] = {}
    names = Names("test-bench")
    for size in sizes:
        account_id = f"account-{size}"
        clients = service_clients(_NOWHERE, names.profile)
        memory = MemoryEvents(names, (deposit(account_id, number).to_item() for number in range(1, size + 1)))
        memory.answer_for(clients.dynamodb)
        store, snapshots = EventStore(clients.dynamodb, names.events), SnapshotStore(clients.dynamodb, names.snapshots)
        old = max(size - _INTERVAL, 1)
        account = Account(account_id, old, "EUR", _DEPOSIT.amount * old)
        memory.put_snapshot(encode_snapshot(Snapshot(aggregate_of(account), deposit(account_id, old).event_hash)))
        each = {}
        for name, interval in (("without", 0), ("with", _INTERVAL)):
            accounts = AggregateRepository(store, SnapshotWriter(snapshots, Metrics(), interval=interval))
            accounts.load(ACCOUNT, account_id)  # once, for what the SDK prepares at its first call
            with _metered(clients) as cost:
                loaded = accounts.load(ACCOUNT, account_id)
            if loaded.aggregate.state.balance != _DEPOSIT.amount * size:
                raise RuntimeError(f"{account_id} was loaded wrong")
            each[name] = {"calls": cost.calls, "read_units": cost.read_units, "millis": cost.seconds * 1000}
        found[str(size)] = each
        units = [each[name]["read_units"] for name in ("without", "with")]
        report(f"load of {size:,} events: {units[0]} read units, with a snapshot {units[1]}")
    return found


def deposit(account_id: str, number: int) -> StoredEvent:
    """A deposit, a millisecond after the one before it."""
    at = _BEGIN + timedelta(milliseconds=number)
    payload = _DEPOSIT.payload()
    return StoredEvent(account_id, number, ACCOUNT.name, _DEPOSIT.event_type, payload, timestamp(at), _CORRELATION)


def rebuild(events: int, report: Callable[[str], None]) -> dict[str, Any]:
    """`kinfold projector rebuild` of every read model from a table of so many events, its waits and checks included."""
    with emulator() as aws, bench_profile(aws.url) as profile:
        profile.store(each.event for each in skewed(events, 6))
        _prepare(profile)
        env = service_environment(aws.url, profile.names.profile)
        began = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-m", "kinfold", "projector", "rebuild", "--json"],
            env=env,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        seconds = time.perf_counter() - began
    if ended.returncode:
        raise RuntimeError(f"the rebuild ended with {ended.returncode}: {ended.stderr[-2000:]}")
    report(f"rebuild of {events:,} events: {seconds:.1f} s")
    return {"seconds": seconds, "said": _last_json(ended.stdout)}


def _prepare(profile: BenchProfile) -> None:
    prepare(profile.clients.dynamodb, profile.names, PROJECTIONS)
    for spec in kcl_specs(profile.names.leases):
        ensure_table(profile.clients.dynamodb, spec)


def _last_json(text: str) -> Any:
    lines = itertools.dropwhile(lambda line: not line.startswith("{"), reversed(text.splitlines()))
    line = next(lines, None)
    return json.loads(line) if line else None
