"""A builder at work: its beat, in a thread of its own, and what is recorded with it."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

import structlog

from ledger.errors import TransientError
from ledger.store.parallel_scan import Cursor
from projector.rebuild.build_lease import BEAT, Build, Builds, Phase

log = structlog.get_logger(__name__)


class Builder:
    """The builds of one process. A beat every BEAT seconds records how far each is; safe to share between threads.

    When a build is lost, or a beat fails for good, ``stop`` is set and ``check`` raises what happened.
    """

    def __init__(self, builds: Builds, started: Sequence[Build], stop: threading.Event) -> None:
        self._builds = builds
        self._held = {build.projection: build for build in started}
        self._lock = threading.Lock()
        self._stop = stop
        self._ended = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._beat_for_ever, name="beat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def builds(self) -> list[Build]:
        """The builds that are still to be flipped, as they were last recorded."""
        with self._lock:
            return list(self._held.values())

    def build(self, projection: str) -> Build:
        """One build as it was last recorded, with the cursors that have moved since."""
        with self._lock:
            return self._held[projection]

    def moved(self, projection: str, segment: int, cursor: Cursor) -> int:
        """Note that a segment is done up to ``cursor``; the next beat records it. Returns the items read in all."""
        with self._lock:
            build = self._held[projection]
            cursors = (*build.cursors[:segment], cursor, *build.cursors[segment + 1 :])
            self._held[projection] = replace(build, cursors=cursors)
            return sum(each.items for each in cursors)

    def enter(self, projection: str, phase: Phase) -> None:
        """Begin a phase with fresh cursors, and record it at once. Raises BuildLostError."""
        with self._lock:
            build = self._held[projection]
            self._held[projection] = replace(build, phase=phase, cursors=(Cursor(),) * len(build.cursors))
        self.save(projection)

    def save(self, projection: str) -> None:
        """Record a build as it is now. Raises BuildLostError, and ThrottledError, EndpointError or ResourceError."""
        with self._lock:
            if projection in self._held:
                self._held[projection] = self._builds.save(self._held[projection])

    def flip(self, projection: str) -> None:
        """Show the build's generation to readers; it is then no longer this builder's. Raises BuildLostError."""
        self.check()
        with self._lock:
            self._builds.flip(self._held[projection])
            del self._held[projection]

    def check(self) -> None:
        """Raises what ended the beats, if anything did."""
        if self._error is not None:
            raise self._error

    def _beat_for_ever(self) -> None:
        while not self._ended.wait(BEAT):
            for build in self.builds:
                try:
                    self.save(build.projection)
                except TransientError as error:
                    log.warning("beat_held_up", projection=build.projection, reason=str(error), action="none")
                except Exception as error:  # noqa: BLE001 - handed to the thread that works
                    self._error = error
                    self._stop.set()
                    return
