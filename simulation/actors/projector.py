"""Projectors: the real source, handler and engine, with leases and checkpoints; and readers of what they write."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Any, Final

from typing_extensions import override

from faust_kinesis.options import KinesisOptions
from faust_kinesis.polling.source import PollingSource
from faust_kinesis.records import RecordBatch
from ledger.errors import TransientError
from projector.components import Components, build_components
from projector.engine.provisioning import prepare
from projector.settings import ProjectorSettings
from simulation.actors.service import Service
from simulation.kernel import event_loop
from simulation.kernel.primitives import ThreadPoolExecutor
from simulation.world import AWS, World


def components_of(world: World) -> Components:
    """The projector's components for one process."""
    settings = _settings(world.plan.cache, world.plan.domain)
    clients = world.pool.take()
    return build_components(settings, clients, ThreadPoolExecutor(settings.write_concurrency, "row-write"))


#: Seconds between two reads of a shard: fewer idle calls than the product's default makes.
_POLL: Final = 0.6


@lru_cache
def _settings(cache: int, domain: str) -> ProjectorSettings:
    return ProjectorSettings(**AWS, domain=domain, cache_size=cache, storm_limit=1000)


class Projector(Service):
    """A projector under a worker id of its own, over the polling source."""

    @override
    def run(self) -> None:
        event_loop.run(self._main())

    async def _main(self) -> None:
        world, names = self.world, self.world.names
        components = components_of(world)
        await asyncio.to_thread(prepare, components.clients.dynamodb, names, components.projections)
        await asyncio.to_thread(components.skips.load)
        with components.guard.watching():
            await self._work(components)

    async def _work(self, components: Components) -> None:
        world, names = self.world, self.world.names
        clients, handler = components.clients, components.batch_handler()
        options = KinesisOptions(
            application=names.leases,
            worker_id=self.name,
            failover_time=5.0,
            batch_size=world.plan.batch,
            poll_interval=_POLL,
        )
        source = PollingSource(names.stream, options, kinesis=clients.kinesis, dynamodb=clients.dynamodb)
        await source.start()
        while True:
            batch = await source.next_batch(5.0)
            together: list[RecordBatch] = []
            while batch is not None:
                together.append(batch)
                batch = await source.next_batch(0.0) if len(together) < 4 else None
            if together:
                told = world.restores.told()
                await handler.handle(together)
                world.restores.went_on(f"{self.name} completes batches", told=told)


class Reader(Service):
    """Reads the rows of every aggregate, as the query routes do."""

    @override
    def run(self) -> None:
        world = self.world
        components = components_of(world)
        prepare(components.clients.dynamodb, world.names, components.projections)
        with components.guard.watching():
            while True:
                world.scheduler.sleep(world.random.random() * 2)
                for projection in components.projections:
                    try:
                        components.guard.check()
                        self._read(components, projection)
                    except TransientError:
                        continue

    def _read(self, components: Components, projection: Any) -> None:
        world = self.world
        for account in filter(projection.takes, world.plan.keys):
            losses, unsettled = world.histories.losses, world.restores.unsettled
            head = components.models.active(projection).get(account)
            # A row that somebody has changed may have passed an event that it could never hold.
            if account in world.rows.ever_tampered or losses != world.histories.losses or (losses and unsettled):
                continue
            world.readers.saw(self.name, projection.name, account, head.version if head else None)
            if losses and head is not None:
                world.restores.read(projection.name, account, head)
