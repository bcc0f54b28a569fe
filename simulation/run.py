"""One run: a plan is set up, suffers its faults, and must come to rest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from simulation.actors.bridge import Relay, Watcher
from simulation.actors.importer import Importer
from simulation.actors.operator import Operator
from simulation.actors.projector import Projector, Reader
from simulation.actors.service import Service
from simulation.actors.writer import Client, Writer
from simulation.disturbances import Disturbances, some_event
from simulation.invariants.fold import type_of
from simulation.kernel.scheduler import StandstillError
from simulation.plan import Plan
from simulation.world import ClientPool, World

#: Seconds of virtual time within which everything agrees once the faults have stopped.
CALM: Final = 120.0
#: Seconds within which all work has ended after a loss: a command waits two minutes for a table that a restore dropped.
_WORK: Final = 150.0


@dataclass(slots=True)
class Outcome:
    """What came of a run. ``digest``: of its trace, if it was traced."""

    seed: int
    plan: Plan
    calls: int
    violations: list[str]
    digest: str = ""
    trace: list[str] = field(default_factory=list)


class Run:
    """One run of a plan."""

    def __init__(self, seed: int, plan: Plan, pool: ClientPool, *, traced: bool = False) -> None:
        self._trace: list[str] | None = [] if traced else None
        self._seed = seed
        self.world = World(seed, plan, pool, self._trace.append if self._trace is not None else None)
        self._clients = [Client(self.world, f"client-{n}", Random(f"client {seed} {n}")) for n in range(plan.clients)]
        self._services = self._made()

    def _made(self) -> list[Service]:
        world, plan = self.world, self.world.plan
        services: list[Service] = [
            Writer(world, f"writer-{n}", self._clients[n :: plan.writers], held=plan.held * (n % 2 == 0))
            for n in range(plan.writers)
        ]
        services += [Projector(world, f"projector-{n}") for n in range(plan.projectors)]
        services += [Reader(world, f"reader-{n}") for n in range(plan.readers)]
        if plan.imports:
            services.append(Importer(world, "importer"))
        if plan.bridge == "relay":
            services += [Relay(world, f"relay-{n}") for n in range(2)]
        if plan.watch:
            services.append(Watcher(world, "watch"))
        return services

    def play(self) -> Outcome:
        """Run it to its end, or to the first violation."""
        world, plan = self.world, self.world.plan
        try:
            # What was stored before a watch follows every shard is not its business: it begins before the weather does.
            world.outages.fair = True
            for watch in (each for each in self._services if isinstance(each, Watcher)):
                watch.start()
                self._until(lambda watch=watch: watch.following, "the watch follows")  # type: ignore[misc]
            world.outages.fair = False
            for service in self._services:
                service.start()
            disturbances = Disturbances(world, self._services)
            world.scheduler.run(world.scheduler.now + plan.storm)
            world.clear()
            if plan.bridge == "native" and not self._watch_enables:
                world.enable_destination()
            world.log("-- the faults stop")
            self._until(lambda: self._is_done(disturbances), "work ends", within=CALM if plan.loss is None else _WORK)
            self._until(lambda: world.checkpoints.made, "a projector has started")
            self._command("redrive")
            if self._may_have_lost:
                self._nudge()
            self._until(self._agrees, "everything agrees", self._disagreement)
            if plan.watch or plan.bridge == "relay":
                self._until(self._arrived, "every event is on the stream", lambda: str(world.arrivals.missing()[:5]))
            self._command("verify")
        except StandstillError as error:
            world.violated("time goes on", str(error))
        finally:
            for service in self._services:
                service.end_quietly()
            world.scheduler.reap()
            world.close()
        digest = hashlib.sha256("\n".join(self._trace).encode()).hexdigest() if self._trace is not None else ""
        return Outcome(self._seed, world.plan, world.network.calls, world.violations, digest, self._trace or [])

    def _is_done(self, disturbances: Disturbances) -> bool:
        return all(client.done for client in self._clients) and not disturbances.busy

    def _until(
        self, holds: Callable[[], bool], what: str, why: Callable[[], str] = lambda: "", *, within: float = CALM
    ) -> None:
        world = self.world
        deadline = world.scheduler.now + within
        while not world.violations and not holds():
            if world.scheduler.now >= deadline:
                world.violated(
                    "in the end everything agrees", f"after {within:.0f} s without faults, not: {what}: {why()}"
                )
                return
            world.scheduler.run(min(deadline, world.scheduler.now + 1.0))

    def _nudge(self) -> None:
        """One more event for each account that has any: what a destination dropped is found at the next event."""
        world = self.world
        if world.violations:
            return
        table = world.db.table(world.names.events)
        for account, items in sorted(world.histories.items.items()):
            if not items:
                continue
            kind = type_of(account)
            item = {
                **items[-1],
                "sequenceNumber": {"N": str(len(items) + 1)},
                "aggregateType": {"S": kind},
                **some_event(kind),
                "correlationId": {"S": f"nudge-{account}"},
            }
            table.put(table.key_of(item), item)

    def _agrees(self) -> bool:
        return not self._disagreement()

    def _arrived(self) -> bool:
        return not self.world.arrivals.missing()

    def _disagreement(self) -> str:
        world = self.world
        for account, items in sorted(world.histories.items.items()):
            for projection in world.rows.projections_of(account) if items else ():
                head = world.checkpoints.head(projection, account)
                if head is not None and "halted" in head:
                    letter = head["halted"]["M"]["deadLetter"]["S"]
                    if (state := world.letters.state(letter)) != "open":
                        return f"{projection} {account} is halted by {letter}, which is {state}"
                elif head is None or int(head["version"]["N"]) < len(items):
                    return f"{projection} {account}: {head and head['version']['N']} of {len(items)}"
        return ""

    @property
    def _watch_enables(self) -> bool:
        """Whether the watch enables the destination; what is disabled again soon is left to who disabled it."""
        plan = self.world.plan
        return plan.watch and sum(each.kind == "destination_off" for each in plan.disturbances) < 2

    @property
    def _may_have_lost(self) -> bool:
        """Whether events may be stored that no stream will ever show, and that nobody looks for."""
        plan = self.world.plan
        kinds = {each.kind for each in plan.disturbances}
        unwatched = plan.bridge == "native" and not plan.watch
        return "trim" in kinds or (unwatched and (plan.dropped > 0 or "destination_off" in kinds))

    def _command(self, name: str) -> None:
        """Have an operator run a command to its end."""
        if not self.world.violations:
            process = Operator(self.world).start(name)
            self._until(lambda: not process.alive, f"{name} ends")


def play(seed: int, pool: ClientPool, *, plan: Plan | None = None, traced: bool = False) -> Outcome:
    """Run a seed: the plan drawn from it, or another one."""
    return Run(seed, plan or Plan.drawn(seed), pool, traced=traced).play()
