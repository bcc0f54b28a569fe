"""`kinfold demo` of this tree and of an earlier revision, by turns: the whole job, every process on this machine."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.report.results import ROOT

#: The last revision whose writer read an aggregate's history for every command.
BEFORE: Final = "47fd5a2869119f845ad2391e08befb903ba546b2"
_PATIENCE: Final = 900


class RevisionError(Exception):
    """The revision to compare with cannot be had; the message says why."""


def demo(events: int, runs: int, before: str, report: Callable[[str], None]) -> dict[str, Any]:
    """So many runs of each. Raises RevisionError, and RuntimeError for a demo that fails or finds a balance wrong."""
    with tree_of(before) as earlier:
        trees = {"now": ROOT, "before": earlier}
        found: dict[str, Any] = {"events": events, "before": before, "runs": {name: [] for name in trees}}
        for _ in range(runs):
            for name, tree in trees.items():
                found["runs"][name].append(run := measure(tree, events))
                report(f"demo, {name}: {run}")
    return found


@contextmanager
def tree_of(revision: str, repository: Path = ROOT) -> Iterator[Path]:
    """The files of a revision, in a folder for the block. Raises RevisionError."""
    git = ["git", "-C", str(repository), "archive", "--format=tar", revision]
    archive = subprocess.run(git, capture_output=True, check=False)
    if archive.returncode:
        reason = archive.stderr.decode(errors="replace").strip()
        raise RevisionError(f"no files of revision {revision} ({reason}): fetch the whole history, or name another one")
    with tempfile.TemporaryDirectory(prefix="bench-demo-") as folder:
        subprocess.run(["tar", "-xf", "-", "-C", folder], input=archive.stdout, check=True)
        yield Path(folder)


def measure(tree: Path, events: int) -> dict[str, float]:
    """One demo of the Kinfold in ``tree``, on this interpreter and its packages: its own figures, and all its CPU."""
    command = [sys.executable, "-m", "kinfold", "demo", "--json", "--events", str(events)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(tree), str(tree / "examples")))}
    before = _cpu_of_children()
    ended = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=_PATIENCE
    )
    if ended.returncode:
        raise RuntimeError(f"a demo of {tree} ended with exit code {ended.returncode}:\n{ended.stderr[-2000:]}")
    # An earlier one printed its table before, and other names.
    figures = json.loads(ended.stdout.splitlines()[-1])
    return {
        "seconds": figures["seconds"],
        "per_second": figures["appended"] / figures["seconds"],
        "cpu_seconds": _cpu_of_children() - before,
    }


def _cpu_of_children() -> float:
    """Of the demo and of the services that it has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
