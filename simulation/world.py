"""The world of one run: the scheduler, AWS in memory, the network between them, and the invariants that watch."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

import boto3

from ledger.runtime.aws import Clients
from ledger.runtime.settings import Settings
from ledger.store.tables import Names, store_specs
from projector.engine.provisioning import control_specs
from simulation.aws.account import Account
from simulation.aws.tables.table import Table
from simulation.aws.wire.connection import Connection
from simulation.aws.wire.network import Network, Request
from simulation.faults.interruptions import Interruptions
from simulation.faults.outages import Outages
from simulation.faults.weather import SeededWeather
from simulation.invariants.answers import Answers
from simulation.invariants.delivery.arrivals import Arrivals
from simulation.invariants.delivery.backfills import Backfills
from simulation.invariants.delivery.order import RelayOrder
from simulation.invariants.delivery.relayed import Relayed
from simulation.invariants.history import Histories
from simulation.invariants.jobs import Jobs
from simulation.invariants.leases import Leases
from simulation.invariants.projections.checkpoints import Checkpoints
from simulation.invariants.projections.flips import Flips
from simulation.invariants.projections.generations import Generations
from simulation.invariants.projections.halts import Halts
from simulation.invariants.projections.letters import Letters
from simulation.invariants.projections.readers import Readers
from simulation.invariants.projections.rows import ACTIVITY, BALANCES, VOUCHERS, Rows
from simulation.invariants.restores import Restores
from simulation.kernel import primitives
from simulation.kernel.scheduler import EPOCH, Process, Scheduler
from simulation.plan import Plan
from stream_bridge.provisioning.bridge import bridge_specs

PROFILE: Final = "sim"
#: AWS's region and endpoint, which no call ever leaves for.
AWS: Final[dict[str, Any]] = {"region": "eu-west-1", "endpoint_url": "http://aws.invalid", "profile": PROFILE}


class ClientPool:
    """boto3 clients by their options. They are costly to make, so that runs share them, each process its own."""

    def __init__(self) -> None:
        self.connection = Connection()
        self._session = boto3.session.Session("key", "secret", region_name=AWS["region"])
        self._free: dict[tuple[tuple[str, Any], ...], list[Clients]] = {}
        self._taken: list[tuple[tuple[tuple[str, Any], ...], Clients]] = []

    def take(self, **options: Any) -> Clients:
        """Clients that nobody else uses until ``take_back``, as if they were new."""
        key = tuple(sorted(options.items()))
        free = self._free.setdefault(key, [])
        clients = free.pop() if free else self._new(options)
        for client in (clients.dynamodb, clients.dynamodbstreams, clients.kinesis):
            self.connection.renew(client)
        self._taken.append((key, clients))
        return clients

    def take_back(self) -> None:
        """Take all clients back: the run is over."""
        for key, clients in self._taken:
            self._free[key].append(clients)
        self._taken = []

    def _new(self, options: dict[str, Any]) -> Clients:
        clients = Clients(Settings(**AWS), session=self._session, **options)
        for client in (clients.dynamodb, clients.dynamodbstreams, clients.kinesis):
            self.connection.join(client)
        return clients


class World:
    """One run. Not for a second one."""

    def __init__(self, seed: int, plan: Plan, pool: ClientPool, trace: Callable[[str], None] | None = None) -> None:
        self.plan = plan
        self.names = Names(PROFILE)
        self.scheduler = Scheduler(seed)
        self.random = Random(f"world {seed}")
        self.violations: list[str] = []
        #: Whether the faults have stopped.
        self.calm = False
        self.trace = trace
        self.pool = pool
        primitives.World.scheduler = self.scheduler

        self.weather = SeededWeather(Random(f"weather {seed}"), plan.climate)
        self.outages = Outages(self.weather, lambda: self.scheduler.now)
        self.interruptions = Interruptions(self.scheduler, Random(f"interruptions {seed}"))
        self.account = Account(
            clock=self.clock,
            random=Random(f"staleness {seed}"),
            staleness=plan.staleness,
            page_bytes=plan.page_bytes,
            stream_shards=plan.table_shards,
            deliver=self.deliver,
        )
        self.db, self.kinesis, self.control = self.account.dynamodb, self.account.kinesis, self.account.control
        self.table_streams = self.account.streams
        self.network = Network(
            self.account.operations(),
            self.outages,
            sleep=self.scheduler.sleep,
            later=lambda seconds, call: self.scheduler.call_at(self.scheduler.now + seconds, call),
            now=self.clock,
            observe=self._observe,
        )
        pool.connection.network = self.network
        self.stream = self.kinesis.create(self.names.stream, plan.shards)
        self.histories = Histories(self.clock, self.violated)
        projections = (BALANCES, ACTIVITY, VOUCHERS) if plan.vouchers else (BALANCES, ACTIVITY)
        self.rows = Rows(self.histories, self.violated, PROFILE, projections)
        self.checkpoints = Checkpoints(self.db, self.stream, self.histories, self.rows, self.violated, PROFILE)
        self.order = RelayOrder(self.histories, self.stream, self.violated)
        self.order.watching = plan.bridge == "relay"
        self.relayed = Relayed(self.stream, lambda: self.table_streams.of(self.names.events), self.violated)
        self.leases = Leases(lambda shard: shard in self.stream.log.shards, self.violated)
        self.relay_leases = Leases(self._in_table_stream, self.violated)
        self.halts = Halts(self.db, self.names.dead_letters, self.checkpoints, self.rows, self.violated)
        self.generations = Generations(self.clock, self.violated)
        self.flips = Flips(self.db, self.rows, self.clock, self._working, self.violated, PROFILE)
        self.builds = Jobs("builder", self.violated)
        self.runs = Jobs("runner", self.violated)
        self.letters = Letters(self.histories, self.rows, self._restoring, self.violated)
        self.arrivals = Arrivals(self.histories, self.stream)
        self.backfills = Backfills(self.histories, self.stream, self._restoring, self.violated)
        self.answers = Answers(self.histories, self.violated)
        self.readers = Readers(self.violated)
        self.restores = Restores(
            self.db,
            self.histories,
            self.letters,
            self.checkpoints,
            self.rows,
            lambda: self.scheduler.now,
            self._current,
            self.violated,
        )
        self.db.made = self._made
        for spec in (*store_specs(self.names), *control_specs(self.names), *bridge_specs(self.names)):
            self.control.create_table(spec.request())
        self._record_events_table()
        #: The request that names DynamoDB's own destination.
        self.destination = {"TableName": self.names.events, "StreamArn": self.stream.arn}
        if plan.bridge == "native":
            self.control.enable_kinesis_streaming_destination(self.destination)

    def _record_events_table(self) -> None:
        """As `bridge ensure` does once it has made the tables."""
        table, found = self.db.table(self.names.projections), self.db.table(self.names.events).description
        item = {"projection": {"S": "#events-table"}, "tableId": {"S": found["TableId"]}}
        table.put(table.key_of(item), item)

    def clock(self) -> float:
        """AWS's own clock: seconds since 1970."""
        return EPOCH + self.scheduler.now

    def violated(self, invariant: str, how: str) -> None:
        """An invariant does not hold: the run ends."""
        self.violations.append(f"{invariant}: {how}")
        self.log(f"VIOLATED {self.violations[-1]}")
        self.scheduler.stop()

    def log(self, what: str) -> None:
        """Add a line to the trace."""
        if self.trace is not None:
            fiber = self.scheduler.current
            who = fiber.process.name if fiber is not None else "-"
            self.trace(f"{self.scheduler.now:10.4f} {who:<12} {what}")

    def process(self, name: str) -> Process:
        """A new process, whose wall clock is off by what the plan allows."""
        return Process(name, skew=(self.random.random() - 0.5) * self.plan.skew)

    def close(self) -> None:
        """End the run: nothing of it goes on."""
        self.pool.take_back()
        self.pool.connection.network = None
        primitives.World.scheduler = None

    def _made(self, table: Table) -> None:
        names = self.names
        if table.name == names.events:
            table.listeners.insert(0, self.histories.changed)
        elif table.name == names.leases:
            table.listeners += [self.checkpoints.changed, self.leases.changed]
        elif table.name == names.relay:
            table.listeners += [self.relayed.changed, self.relay_leases.changed]
        elif table.name == names.projections:
            table.listeners += [
                self.restores.recorded,
                self.generations.changed,
                self.flips.flipped,
                self.builds.changed,
            ]
        elif table.name == names.bridge:
            table.listeners += [self.backfills.changed, self.runs.changed]
        elif table.name == names.dead_letters:
            table.listeners += [self.letters.changed, self.halts.resolved]
        elif self.rows.projection_of(table.name):
            table.listeners += [self.rows.changed, self.halts.changed, self.flips.changed]

    def deliver(self, stream: str, key: str, data: bytes) -> None:
        """DynamoDB's own destination: late, in no order, some records twice, and on some endpoints some never."""
        plan, random = self.plan, self.random
        if not self.calm and random.random() < plan.dropped:
            self.log(f"the destination drops a record of {key}")
            return
        for _ in range(1 + (random.random() < plan.repeated)):
            spread = key if random.random() >= plan.scattered else f"{random.random()}"
            at = self.scheduler.now + random.random() * plan.delay
            self.scheduler.call_at(at, lambda spread=spread: self.kinesis.streams[stream].put(spread, data))  # type: ignore[misc]

    def _in_table_stream(self, shard: str) -> bool:
        stream = self.table_streams.of(self.names.events)
        return stream is not None and shard in stream.log.shards

    def _working(self) -> bool:
        return self._is_running("projector-")

    def _restoring(self) -> bool:
        return self._is_running("restore-")

    def _is_running(self, name: str) -> bool:
        """Whether a process whose name begins so runs at this moment."""
        process = self._current()
        return process is not None and process.name.startswith(name)

    def _current(self) -> Process | None:
        fiber = self.scheduler.current
        return fiber.process if fiber is not None else None

    def enable_destination(self) -> None:
        """Have AWS mend the table's destination, where it has one."""
        if self.control.has_destination(self.destination):
            self.control.set_destination(self.destination, "ACTIVE")

    def clear(self) -> None:
        """The faults stop."""
        self.calm = True
        self.weather.clear()
        self.outages.clear()
        self.interruptions.clear()

    def _observe(self, operation: str, request: Request, outcome: str) -> None:
        self.interruptions.called()
        if outcome == "ok" and self.restores.replaced:
            self.restores.called(operation, request)
        if self.trace is not None:
            self.log(f"{operation.partition('.')[2]} {_subject(request)} -> {outcome}")


def _subject(request: Request) -> str:
    for name in ("Key", "Item"):
        if name in request:
            shown = list(request[name].items())[:2]
            return f"{request['TableName']} {' '.join(str(next(iter(value.values()))) for _, value in shown)}"
    if "TransactItems" in request:
        return " + ".join(
            f"{kind} {_subject(each)}" for action in request["TransactItems"] for kind, each in action.items()
        )
    if "Statements" in request:
        return " + ".join(
            f"{each['Statement'][:6]} {[next(iter(p.values())) for p in each['Parameters']]}"
            for each in request["Statements"]
        )
    if "RequestItems" in request:
        # Keys that are read, or puts.
        found = request["RequestItems"].items()
        return ", ".join(f"{name} x{len(each if isinstance(each, list) else each['Keys'])}" for name, each in found)
    for name in ("ShardIterator", "ShardId", "TableName", "StreamName"):
        if name in request:
            return str(request[name])
    return ""
