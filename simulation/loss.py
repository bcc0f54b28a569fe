"""The events table is lost: deleted, gone for a while, and back as another table, as it was at an earlier moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ledger.store.tables import store_specs
from simulation.kernel.scheduler import Process
from simulation.plan import AWAY, Loss
from simulation.world import World

#: Seconds at most until an operator enables the stream of a table that is back.
_STREAMLESS: Final = 2.0
#: Seconds between two looks of an operator whether a restore has ended.
_AGAIN: Final = 3.0


class TableLoss:
    """Lets it happen, and has an operator run the restore until it has ended. Every step takes no time."""

    def __init__(self, world: World, loss: Loss, restore: Callable[[], Process]) -> None:
        """``restore`` starts an operator's restore."""
        self._world = world
        self._loss = loss
        self._restore = restore
        self._running: Process | None = None
        world.restores.pending = True
        self._at(loss.at, self._go)

    def _at(self, moment: float, step: Callable[[], None]) -> None:
        self._world.scheduler.call_at(moment, step)

    def _go(self) -> None:
        world = self._world
        world.log(f"-- the events table is {self._loss}")
        world.control.delete_table({"TableName": world.names.events})
        world.restores.gone()
        self._at(self._loss.at + AWAY, self._come_back)

    def _come_back(self) -> None:
        """What derives from the events is judged by what is left of them from now on."""
        world, now = self._world, self._world.scheduler.now
        world.histories.go_back(world.clock() - AWAY - self._loss.back)
        world.log(f"-- the events table is back: {dict(world.histories.kept)}")
        world.answers.forget_lost()
        world.readers.forget()
        # A rebuild that was refused leaves the empty table of a generation that was never fed: a later one may take it.
        fed = world.checkpoints.fed() if world.names.projections in world.db.tables else set[str]()
        world.rows.go_back(name for name, table in world.db.tables.items() if name in fed or any(table.items()))
        for delivery in (world.order, world.relayed, world.backfills):
            delivery.go_back()
        items = [item for items in world.histories.items.values() for item in items]
        world.control.restore_table(store_specs(world.names)[0].request(), items)
        world.restores.back()
        self._at(now + world.random.random() * _STREAMLESS, self._enable_stream)
        self._at(now + max(self._loss.waits, _STREAMLESS), self._have_it_restored)

    def _enable_stream(self) -> None:
        world = self._world
        world.control.enable_stream(world.names.events)
        world.arrivals.go_back()
        world.order.go_back()
        world.restores.streaming()

    def _have_it_restored(self) -> None:
        """Again and again: a restore may be killed, or meet AWS at a bad moment."""
        world = self._world
        if not world.restores.pending:
            return
        if world.checkpoints.made and (self._running is None or not self._running.alive):
            self._running = self._restore()
        self._at(world.scheduler.now + _AGAIN, self._have_it_restored)
