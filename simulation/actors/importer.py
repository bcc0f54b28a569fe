"""An importer: appends several events at once at a version that it claims, as programs over the event store may."""

from __future__ import annotations

from decimal import Decimal

from typing_extensions import override

from betting.events import FundsDeposited
from ledger.errors import TransientError
from ledger.store.errors import VersionConflictError
from ledger.store.event_store import EventStore
from simulation.actors.service import Service
from simulation.world import World


class Importer(Service):
    """Deposits in appends of one to three events, often at a version that the account does not have."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self._left = world.plan.imports

    @override
    def run(self) -> None:
        world = self.world
        dynamodb = world.pool.take(attempts=2, read_timeout=5.0).dynamodb
        store = EventStore(dynamodb, world.names.events, retry_seconds=world.plan.patience)
        while self._left > 0:
            world.scheduler.sleep(world.random.random() * 4)
            self._left -= 1
            self._append(store, f"import-{self._left}")

    def _append(self, store: EventStore, correlation_id: str) -> None:
        histories, random = self.world.histories, self.world.random
        account = f"account-{random.randrange(self.world.plan.accounts)}"
        claimed = max(0, histories.version(account) + random.randint(-1, 2))
        events = [FundsDeposited(amount=Decimal(1), currency="EUR")] * random.randint(1, 3)
        expected, losses = len(events), histories.losses
        try:
            store.append(account, events, claimed, aggregate_type="account", correlation_id=correlation_id)
        except VersionConflictError:
            expected = 0
        except TransientError:
            return
        stored = histories.stored.get(correlation_id, [])
        if len(stored) != expected and losses == histories.losses:
            self.world.violated(
                "an append is whole or not at all", f"{expected} events of {account}: {stored} are stored"
            )
