"""The relay and the watch."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import Final

from typing_extensions import override

from aws_client.call_pool import CallPool
from simulation.actors.service import Service
from simulation.kernel import event_loop
from simulation.world import AWS, World
from stream_bridge.backfill.progress import BackfillStore
from stream_bridge.backfill.publisher import Publisher
from stream_bridge.dynamodb_stream import TableStream
from stream_bridge.relay.daemon import build_relay
from stream_bridge.relay.health import RelayHealth
from stream_bridge.relay.leader_lease import put_timeouts
from stream_bridge.settings import RelaySettings
from stream_bridge.watch.daemon import Watch, WatchOptions
from stream_bridge.watch.destination_health import Inspector
from stream_bridge.watch.followers import StreamTail, TableTail
from stream_bridge.watch.republish import Republisher
from stream_bridge.watch.watermark import WatermarkStore

_FAILOVER: Final = 5.0
_THREADS: Final = 16


class Relay(Service):
    """A relay; two of them are one active and one waiting."""

    @override
    def run(self) -> None:
        event_loop.run(self._main())

    async def _main(self) -> None:
        settings = RelaySettings(**AWS, worker_id=self.name, failover_time=_FAILOVER, bridge="relay")
        connect, answer = put_timeouts(_FAILOVER)
        prompt = self.world.pool.take(attempts=1, connect_timeout=connect, read_timeout=answer)
        with build_relay(settings, RelayHealth(), self.world.pool.take(), prompt) as relay:
            await relay.run()


class Watcher(Service):
    """The watch, which repairs. What was stored before it first followed both streams is not its business."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self._watch: Watch | None = None

    @property
    def following(self) -> bool:
        """Whether it reads both streams, and the next watch will resume from where it is."""
        return self._watch is not None and self._watch.following and self._watch.saved

    @override
    def run(self) -> None:
        event_loop.run(self._main())

    async def _main(self) -> None:
        names, clients = self.world.names, self.world.pool.take()
        calls = CallPool(_THREADS, "watch")
        publisher = Publisher(clients.kinesis, names.stream, names.events, AWS["region"], threading.Event())
        self._watch = watch = Watch(
            WatchOptions(interval=1.0, grace=8.0, poll=0.5, native=True, repair=True),
            Inspector(clients, names, 60.0, lambda _: None),
            Republisher(clients.dynamodb, names.events, publisher, BackfillStore(clients.dynamodb, names.bridge)),
            WatermarkStore(clients.dynamodb, names.bridge),
            partial(TableTail, TableStream(clients.dynamodb, clients.dynamodbstreams, names.events, calls)),
            partial(StreamTail, clients.kinesis, calls, names.stream, names.events),
            calls,
        )
        await watch.run(asyncio.Event())
