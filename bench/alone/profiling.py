"""A profile over all threads of a process: cProfile sees one, and the projector folds in another than it reads in."""

import cProfile
import pstats
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

ROOT: Final = Path(__file__).parents[2]


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


#: Frames of a profile that are worth a line, in the order of their own time.
_TOP: Final = 25


def top(path: Path, events: int, lines: int = _TOP) -> list[dict[str, Any]]:
    """The functions with the most CPU time of their own, in microseconds an event, and with what they call."""
    stats = cast("Any", pstats.Stats(str(path))).stats
    ordered = sorted(stats.items(), key=lambda entry: -entry[1][2])[:lines]
    return [
        {"function": _location(*where), "own_micros": own / events * 1e6, "total_micros": total / events * 1e6}
        for where, (_, _, own, total, _) in ordered
    ]


def _location(file: str, line: int, function: str) -> str:
    """File, line and name of a function; the path begins at its package, so that it is the same on every machine."""
    if file == "~":
        return function
    parts = Path(file).parts
    begin = next((n + 1 for n in reversed(range(len(parts))) if parts[n] in {"site-packages", "lib", ROOT.name}), 0)
    return f"{'/'.join(parts[begin:])}:{line} {function}"


def profile(events: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Profile the real app with AWS answered from memory. The profiler slows it: only the shares are meaningful."""
    from bench.alone.prepared_run import prepared

    with prepared("skewed", events) as pages, tempfile.TemporaryDirectory(prefix="bench-profile-") as home:
        path = Path(home) / "stats"
        pages.run("--profile", str(path))
        functions = top(path, events)
    for each in functions:
        report(f"{each['own_micros']:7.2f} {each['total_micros']:8.2f}  {each['function']}")
    return {"events": events, "functions": functions}
