"""A profile over all threads of a process: cProfile sees one, and the projector folds in another than it reads in."""

import cProfile
import pstats
import threading
import time
from pathlib import Path


class Profiles:
    """A profiler for the calling thread and for each thread that starts after ``begin``."""

    def __init__(self) -> None:
        self._profiles: list[cProfile.Profile] = []

    def begin(self) -> None:
        """Profile this thread and all later ones."""
        threading.setprofile(lambda *_: self._profile_thread())
        self._profile_thread()

    def end(self, path: Path) -> None:
        """Stop, and write the sum of all threads. Threads that still run keep what they had until now."""
        threading.setprofile(None)
        self._profiles[0].disable()
        stats = None
        for profile in self._profiles:
            profile.create_stats()
            stats = pstats.Stats(profile) if stats is None else stats.add(profile)
        assert stats is not None
        stats.dump_stats(path)

    def _profile_thread(self) -> None:
        profile = cProfile.Profile(time.thread_time)  # CPU time, so that waiting counts for nothing
        self._profiles.append(profile)
        profile.enable()
