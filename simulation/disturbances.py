"""What befalls a run beside its weather: kills, pauses, reshards, bad events, and an operator at work."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from betting.account import Account
from betting.account_type import ACCOUNT
from ledger.aggregates.aggregate_type import Aggregate
from ledger.store.snapshots import Snapshot, encode
from simulation.actors.operator import Operator
from simulation.actors.projector import Reader
from simulation.actors.service import Service
from simulation.faults.outages import SCOPES
from simulation.invariants.fold import type_of
from simulation.invariants.history import POISON
from simulation.kernel.scheduler import Process
from simulation.loss import TableLoss
from simulation.plan import STORMY, Disturbance
from simulation.vouchers import VOUCHER, Voucher
from simulation.world import World

#: The shares of an operator's commands that are killed, stand still, and are starved.
_KILLED: Final = 0.25
_STILL: Final = 0.25
_STARVED: Final = 0.35
#: After how many calls at most, or how many seconds, as some make many calls and some mostly wait.
_CALLS: Final = 60
_SOON: Final = 8.0
#: Seconds for which a command stands still, and after which another one is started beside it.
_LONG: Final = (3.0, 12.0)
_BESIDE: Final = 1.0
#: Seconds after which a restore that was killed is started again.
_AFTER: Final = 1.0


def _event(name: str, payload: str) -> dict[str, Any]:
    """An event's type and payload, as its item has them."""
    return {"eventType": {"S": name}, "payload": {"S": payload}}


#: Events that some fold cannot hold, by the type of their aggregate and by a disturbance's seconds.
_BAD: Final = {
    "account": {
        0.5: _event("FundsDeposited", "not json"),
        3.0: _event("FundsDeposited", '{"schemaVersion": 1, "amount": "1.00", "currency": "USD"}'),
        15.0: _event("FundsWithdrawn", '{"schemaVersion": 1, "amount": "99999.00", "currency": "EUR"}'),
    },
    "voucher": {
        0.5: _event("VoucherCharged", "not json"),
        3.0: _event("VoucherCharged", '{"schemaVersion": 1, "amount": 0}'),
        15.0: _event("VoucherSpent", '{"schemaVersion": 1, "amount": 99999}'),
    },
}


def some_event(kind: str) -> dict[str, Any]:
    """Type and payload of an event that every aggregate of the type can hold."""
    if kind == "voucher":
        return _event("VoucherCharged", '{"schemaVersion":1,"amount":1}')
    return _event("FundsDeposited", '{"schemaVersion":1,"amount":"1.00","currency":"EUR"}')


class Disturbances:
    """Lets the plan's disturbances happen. Every method runs between two steps, and takes no time."""

    def __init__(self, world: World, services: Sequence[Service]) -> None:
        self._world = world
        self._services = services
        self._operator = Operator(world)
        self._commands: list[Process] = []
        self._disabled = False
        for each in world.plan.disturbances:
            self._later(world.plan.moment(each.at), lambda each=each: self._happen(each))  # type: ignore[misc]
        if world.plan.loss is not None:
            TableLoss(world, world.plan.loss, lambda: self._command(Disturbance(0.0, "restore", 0.0, _AFTER)))

    @property
    def busy(self) -> bool:
        """Whether an operator's command is at work, or a lost table is still to be restored."""
        return self._world.restores.pending or any(process.alive for process in self._commands)

    def _happen(self, what: Disturbance) -> None:
        self._world.log(f"-- {what}")
        act = getattr(self, f"_{what.kind}", None)
        if act is not None:
            act(what)
        elif self._world.checkpoints.made:
            self._command(what)

    def _command(self, what: Disturbance) -> Process:
        """Start an operator's command; some are killed or stand still, and then the same is started once more."""
        interruptions, random = self._world.interruptions, self._world.random
        process = self._start(what.kind)
        if self._world.calm:
            return process
        drawn, calls, seconds = random.random(), 1 + int(_CALLS * random.random() ** 2), _SOON * random.random()
        waits = random.random() < 0.5

        def kill() -> None:
            if process.alive:
                self._end(process)
                self._later(what.seconds, lambda: self._start(what.kind))

        def pause() -> None:
            if process.alive:
                self._stop_still(process, random.choice(_LONG))
                self._later(_BESIDE, lambda: self._start(what.kind))

        if drawn < _KILLED + _STILL:
            act = kill if drawn < _KILLED else pause
            if waits:
                self._later(seconds, act)
            else:
                interruptions.after(process, calls, act)
        elif drawn < _KILLED + _STILL + _STARVED:
            interruptions.starve(process, STORMY)
        return process

    def _start(self, command: str) -> Process:
        process: Process = self._operator.start(command)
        self._commands.append(process)
        return process

    def _later(self, seconds: float, act: Callable[[], Any]) -> None:
        self._world.scheduler.call_at(self._world.scheduler.now + seconds, act)

    def _end(self, process: Process) -> None:
        self._world.log(f"{process.name} is killed")
        self._world.scheduler.kill(process)

    def _stop_still(self, process: Process, seconds: float) -> None:
        self._world.log(f"{process.name} stands still for {seconds:.1f} s")
        process.paused_until = self._world.scheduler.now + seconds

    def _victim(self, pick: float) -> Service | Process:
        """A service or a command at work: each kind of them is as likely as any other. A reader would break nothing."""
        kinds: dict[type, list[Service | Process]] = {}
        running = [each for each in self._commands if each.alive]
        everybody: list[Service | Process] = [
            *(each for each in self._services if not isinstance(each, Reader)),
            *running,
        ]
        for each in everybody:
            kinds.setdefault(type(each), []).append(each)
        chosen = list(kinds.values())[int(pick * len(kinds))]
        return chosen[int(pick * len(kinds) % 1.0 * len(chosen))]

    def _kill(self, what: Disturbance) -> None:
        victim = self._victim(what.pick)
        if isinstance(victim, Service):
            victim.kill(what.seconds)
        else:
            self._end(victim)

    def _pause(self, what: Disturbance) -> None:
        victim = self._victim(what.pick)
        if isinstance(victim, Service):
            victim.pause(what.seconds)
        else:
            self._stop_still(victim, what.seconds)

    def _starve(self, what: Disturbance) -> None:
        """A process gets too little CPU: it stands still between its calls."""
        victim = self._victim(what.pick)
        process = victim.process if isinstance(victim, Service) else victim
        if process is not None:
            self._world.log(f"{process.name} is starved")
            self._world.interruptions.starve(process, what.seconds)

    def _outage(self, what: Disturbance) -> None:
        """AWS, or a part of it, fails every call: some of the time for longer than anybody is patient."""
        self._world.outages.begin(SCOPES[int(what.pick * len(SCOPES))], 1.5 * what.seconds)

    def _split(self, what: Disturbance) -> None:
        stream = self._world.stream
        shards = stream.open_shards()
        shard = shards[int(what.pick * len(shards))]
        if len(shards) < 6 and shard.high - shard.low > 2:
            stream.split(shard, (shard.low + shard.high) // 2 + 1)

    def _merge(self, what: Disturbance) -> None:
        shards = sorted(self._world.stream.open_shards(), key=lambda each: each.low)
        if len(shards) > 1:
            first = int(what.pick * (len(shards) - 1))
            self._world.stream.merge(shards[first], shards[first + 1])

    def _rotate(self, what: Disturbance) -> None:
        stream = self._world.table_streams.of(self._world.names.events)
        assert stream is not None
        stream.rotate(int(what.pick * stream.partitions))

    def _trim(self, what: Disturbance) -> None:
        """What the stream has kept for longer than some seconds is gone, read or not."""
        self._world.stream.trim(self._world.clock() - what.seconds)

    def _destination_off(self, what: Disturbance) -> None:
        world = self._world
        if world.plan.bridge != "native" or not world.control.has_destination(world.destination):
            return
        # What was enabled a moment ago and is disabled again is left so: somebody means it. AWS's own failures are not.
        enabled = self._disabled or world.histories.losses
        world.control.set_destination(world.destination, "ENABLE_FAILED" if enabled else "DISABLED")
        self._disabled = True
        if not world.plan.watch:
            self._later(what.seconds, world.enable_destination)

    def _poison(self, what: Disturbance) -> None:
        """An event that some fold cannot hold, stored past the writer. Often an operator looks at it soon."""
        world = self._world
        if world.restores.away:
            return
        account = self._key(what)
        kind = type_of(account)
        self._store(account, kind, _BAD[kind][what.seconds])
        command = world.random.choice(("", "skip", "redrive"))
        if command:
            seconds = world.random.choice((3.0, 8.0))
            self._later(seconds, lambda: self._happen(replace(what, kind=command, seconds=seconds)))

    def _misplaced_event(self, what: Disturbance) -> None:
        """An event of another type of aggregates is stored under a key: such as its own type knows, or the other."""
        if self._world.restores.away:
            return
        account = self._key(what)
        own, other = type_of(account), "account" if type_of(account) == "voucher" else "voucher"
        self._store(account, other, some_event(own if what.seconds < 1.0 else other))

    def _store(self, account: str, kind: str, event: dict[str, Any]) -> None:
        """Store an event past the writer."""
        world = self._world
        number = world.histories.version(account) + 1
        item = {
            "aggregateId": {"S": account},
            "sequenceNumber": {"N": str(number)},
            "aggregateType": {"S": kind},
            **event,
            "occurredAt": {"S": "2026-01-01T00:00:30.000000+00:00"},
            "correlationId": {"S": f"{POISON}{number}"},
        }
        table = world.db.table(world.names.events)
        table.put(table.key_of(item), item)

    def _key(self, what: Disturbance) -> str:
        """The key of an aggregate."""
        keys = self._world.plan.keys
        return keys[int(what.pick * len(keys))]

    def _foreign_record(self, what: Disturbance) -> None:
        """Somebody puts on the stream what is no change record."""
        self._world.order.watching = False
        self._world.stream.put(f"foreign-{what.pick:.6f}", b"no change record")

    def _tampered_record(self, what: Disturbance) -> None:
        """The stream says that somebody has changed an event: its account is halted until an operator looks at it."""
        world, account = self._world, self._key(what)
        if world.histories.version(account) < 2:
            return
        keys = {"aggregateId": {"S": account}, "sequenceNumber": {"N": "1"}}
        record = {"eventName": "MODIFY", "tableName": world.names.events, "dynamodb": {"Keys": keys}}
        world.deliver(world.names.stream, account, json.dumps(record).encode())

    def _stray_snapshot(self, what: Disturbance) -> None:
        """A snapshot of a future that never comes, as a restore of the events table to an earlier moment leaves."""
        world = self._world
        key, version = self._key(what), 1_000_000
        aggregate: Aggregate[Any, Any] = Aggregate(ACCOUNT, key, version, Account(key, version, "EUR", Decimal(999)))
        if type_of(key) == "voucher":
            aggregate = Aggregate(VOUCHER, key.rpartition("~")[2], version, Voucher(999))
        table, item = world.db.table(world.names.snapshots), encode(Snapshot(aggregate, None))
        table.put(table.key_of(item), item)

    def _tamper(self, what: Disturbance) -> None:
        """Somebody changes a balance in the read model."""
        world = self._world
        generation = world.checkpoints.active("balance-summary")
        table = world.db.tables.get(f"balance-summary-sim-{generation}")
        rows = [row for row in table.items() if "balance" in row] if table is not None else []
        if table is None or not rows:
            return
        row = rows[int(what.pick * len(rows))]
        world.rows.tampering = True
        table.put(table.key_of(row), {**row, "balance": {"S": "123456.00"}})
        world.rows.tampering = False
        self._later(what.seconds, lambda: self._happen(replace(what, kind="repair")))
