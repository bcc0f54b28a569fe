"""What an operator runs, once each: verify, repair, rebuild, redrive, skip, backfill."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Any, Final

from kinfold.restore.restore import Restore
from ledger.errors import KinfoldError, PermanentError, ResourceError, TransientError
from ledger.store.errors import JobLostError, JobRunningError
from ledger.store.parallel_scan import Cursor, RetryUntilStopped
from ledger.store.tables import store_specs
from projector.components import Components
from projector.dead_letters.redrive import DeadLetterError
from projector.engine.provisioning import control_specs
from projector.rebuild.rebuild import Rebuild, UnverifiedError
from projector.verification.repair import Repair
from projector.verification.verification import Finding, verification_of
from simulation.actors.projector import components_of
from simulation.world import AWS, World
from stream_bridge.backfill.backfill import Backfill
from stream_bridge.backfill.progress import BackfillStore
from stream_bridge.backfill.publisher import Publisher
from stream_bridge.backfill.selection import Selection
from stream_bridge.provisioning import bridge
from stream_bridge.provisioning.stream import StreamPlan
from stream_bridge.waiter import StateWaiter

_SEGMENTS: Final = 2
#: Seconds within which a table is joined to the stream.
_JOINED: Final = 60.0
#: Events a second that a backfill puts.
_RATES: Final = (3.0, 6.0)
#: What an operator's command may end with: another one is at work, or the endpoint does not answer.
_EXPECTED: Final = (JobRunningError, JobLostError, TransientError, DeadLetterError)


class Quiet:
    """Progress that nobody watches."""

    def begin(self, work: str, phase: str, total: int, done: int) -> None:
        """See `ProgressReport`."""

    def advance(self, work: str, done: int) -> None:
        """See `ProgressReport`."""

    def report(self, text: str) -> None:
        """See `ProgressReport`."""


class Operator:
    """Runs commands, each in a process of its own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._count = 0

    def start(self, command: str) -> Any:
        """Start a command; returns its process. Nobody starts one before a projector has made the read models."""
        self._count += 1
        process = self._world.process(f"{command}-{self._count}")
        work: Callable[[], None] = getattr(self, f"_{command}")

        restores = self._world.restores
        unsettled = restores.unsettled

        def main() -> None:
            try:
                work()
            except _EXPECTED as error:
                self._world.log(f"{command} ends: {error}")
            except ResourceError as error:
                # The events table was gone, or a restore has given up what this has begun.
                if not unsettled and not restores.felt:
                    self._world.violated("an operator's command works", f"{command} ended: {error!r}")
            except UnverifiedError as error:
                # What begins beside another table than the recorded one is a restore's to mend.
                excused = command != "restore" and (unsettled or restores.unsettled)
                if not self._world.rows.tampered and not excused:
                    self._world.violated("an operator's command works", f"{command}: {error}")
            except (PermanentError, KinfoldError) as error:
                self._world.violated("an operator's command works", f"{command} ended: {error!r}")
            except Exception:
                self._world.violated("an operator's command works", f"{command} ended: {traceback.format_exc()}")
                raise
            process.alive = False

        self._world.scheduler.spawn(process, main, "main")
        return process

    def _components(self) -> Components:
        """As the commands do that fold: they ask first whether the events table is the one that was recorded."""
        components = components_of(self._world)
        components.guard.identities.check()
        return components

    def _verify(self) -> None:
        self._check(self._components(), repair=False)

    def _repair(self) -> None:
        self._check(self._components(), repair=True)

    def _check(self, components: Components, *, repair: bool) -> None:
        """As `kinfold projector verify` does. What is right is never called wrong."""
        world = self._world
        retry = RetryUntilStopped(threading.Event(), lambda _: None)
        retry(components.skips.load)
        for projection in components.projections:
            generation = retry(lambda name=projection.name: components.generations.read(name)).active  # type: ignore[misc]
            model = components.models.model(projection, generation)

            def found(
                finding: Finding, projection: Any = projection, generation: int = generation, model: Any = model
            ) -> None:
                now, account = finding.found, finding.found.aggregate_id
                if model.table in world.rows.doomed:
                    return
                broken = None in world.histories.states[account] or account in world.rows.ever_tampered
                if now.kind in {"wrong", "extra", "unreadable"} and not broken:
                    place = f"{projection.name}, generation {generation}"
                    world.violated("verify tells the truth", f"{account}, {place}: {now.kind}: {now.reason}")

            repairer = Repair(components.clients.dynamodb, model, components.feeder_of_all(projection, cache_size=10))
            verification = verification_of(
                components, model, retry, found, repairer=repairer if repair else None, wait=2.0
            )
            verification.everything((Cursor(),) * _SEGMENTS, lambda *_: None)
            verification.extra_rows(_SEGMENTS, lambda _segment, _cursor: None)

    def _rebuild(self) -> None:
        components = self._components()
        Rebuild(components, Quiet()).run(components.projections, segments=_SEGMENTS)

    def _redrive(self) -> None:
        components, skipping = self._components(), self._world.checkpoints.skipping
        components.skips.load()
        for letter in [each for each in components.letters.list() if each.state == "open" or each.id in skipping]:
            outcome = components.redrive.redrive(letter.id, components.new_projectors, by="operator")
            if outcome.result != "still halted":
                skipping.discard(letter.id)

    def _skip(self) -> None:
        """Skip every open letter, and repeat what an earlier skip has not ended."""
        components, skipping = self._components(), self._world.checkpoints.skipping
        components.skips.load()
        for letter in [each for each in components.letters.list() if each.state == "open" or each.id in skipping]:
            skipping.add(letter.id)
            try:
                outcome = components.redrive.skip(letter.id, components.new_projectors, by="operator", why="simulated")
            except DeadLetterError:
                skipping.discard(letter.id)
                continue
            if outcome.result != "still halted":
                skipping.discard(letter.id)

    def _restore(self) -> None:
        """As `kinfold restore` does."""
        components = components_of(self._world)
        Restore(components, lambda: self._join(components), Quiet()).run(segments=_SEGMENTS)

    def _join(self, components: Components) -> None:
        names, clients = self._world.names, components.clients
        specs = (*store_specs(names), *control_specs(names), *bridge.bridge_specs(names))
        if self._world.plan.bridge == "relay" or bridge.status(clients, names, specs).carried:
            return
        plan = StreamPlan(shards=self._world.plan.shards, on_demand=False, retention_hours=24, key=None)
        waiter = StateWaiter(_JOINED, lambda _: None)
        bridge.ensure(clients, names, specs, plan, waiter, stream_arn=None, region=AWS["region"])

    def _backfill(self) -> None:
        world, names = self._world, self._world.names
        world.order.watching = False
        clients, stop = world.pool.take(), threading.Event()
        publisher = Publisher(clients.kinesis, names.stream, names.events, AWS["region"], stop)
        jobs = BackfillStore(clients.dynamodb, names.bridge)
        work = Backfill(
            clients.dynamodb, names.events, publisher, jobs, Quiet(), stop, rate=world.random.choice(_RATES)
        )
        work.run(Selection(), segments=_SEGMENTS)
