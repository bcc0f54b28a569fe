"""A service that runs until it is killed, and is started again as an orchestrator would."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from typing import Final

from ledger.errors import ResourceError, TransientError
from simulation.kernel.scheduler import Process
from simulation.world import World

#: Seconds after which a service is started again that has ended because a table is not there.
_GONE: Final = 5.0


class Service(ABC):
    """One replica. Each start is a process of its own: all that an earlier one held in memory is gone."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.process: Process | None = None
        self._wanted = True

    def start(self) -> None:
        """Start a process, unless one runs."""
        if not self._wanted or (self.process is not None and self.process.alive):
            return
        self.process = process = self.world.process(self.name)
        self.world.log(f"{self.name} starts")

        def main() -> None:
            try:
                self.run()
            except TransientError as error:
                # As a container that exits with 75: it is started again.
                self.world.log(f"{self.name} ends: {error}")
                self.later(1.0)
            except ResourceError as error:
                if not self.world.restores.felt:
                    self._failed(error)
                    raise
                # The events table is gone, or has no stream yet.
                self.world.log(f"{self.name} ends: {error}")
                self.later(_GONE)
            except Exception as error:
                self._failed(error)
                raise
            else:
                process.alive = False

        self.world.scheduler.spawn(process, main, "main")

    def _failed(self, error: Exception) -> None:
        self.world.violated("a service goes on", f"{self.name} ended: {error!r}\n{traceback.format_exc()}")

    def later(self, seconds: float) -> None:
        """End the process, and start another one after so many seconds."""
        self.world.scheduler.call_at(self.world.scheduler.now + seconds, self.start)
        if self.process is not None:
            self.world.scheduler.kill(self.process)

    def kill(self, seconds: float) -> None:
        """Kill -9, and a new start after so many seconds."""
        self.world.log(f"{self.name} is killed")
        self.later(seconds)

    def pause(self, seconds: float) -> None:
        """Stand still for so long."""
        if self.process is not None:
            self.process.paused_until = self.world.scheduler.now + seconds

    def end_quietly(self) -> None:
        """The run is over."""
        self._wanted = False

    @abstractmethod
    def run(self) -> None:
        """What a process of it does; inside the simulation."""
