"""The image, built from what git knows, and projects of docker-compose.yml. Without an engine, these tests are skipped.

``make test-engine`` asks for these tests; ``make test`` leaves them out.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support.containers.compose_project import PREFIX, ComposeProject, Started, why_no_engine

ROOT: Final = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that git tracks, as they are now, and no others."""
    if reason := why_no_engine():
        pytest.skip(f"needs a Docker engine: {reason}")
    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def build(checkout: Path) -> Callable[..., str]:
    """Build a target from the checkout; gives what was said. Its image is ``kinfold-test-TARGET``, or ``tag``."""

    def run(target: str, *options: str, tag: str = "") -> str:
        answer = subprocess.run(
            [
                "docker",
                "build",
                "--progress",
                "plain",
                "--target",
                target,
                "--tag",
                tag or PREFIX + target,
                *options,
                ".",
            ],
            cwd=checkout,
            env=os.environ | {"DOCKER_BUILDKIT": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        said = answer.stdout + answer.stderr
        assert answer.returncode == 0, said
        return said

    return run


@pytest.fixture(scope="session")
def kcl_image(build: Callable[..., str]) -> str:
    build("kcl")
    return PREFIX + "kcl"


@pytest.fixture(scope="session")
def polling_image(build: Callable[..., str]) -> str:
    build("polling")
    return PREFIX + "polling"


@pytest.fixture(scope="session")
def turn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is locked while projects are being started: what keeps the cores busy besides waits for that."""
    folder = tmp_path_factory.getbasetemp()
    return (folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder) / "turn"


@pytest.fixture(scope="module")
def started(request: pytest.FixtureRequest, checkout: Path, turn: Path) -> Started:
    @contextmanager
    def start(*words: str, profiles: Sequence[str] = (), **settings: str) -> Iterator[ComposeProject]:
        with ComposeProject(checkout, f"{PREFIX}kcl", profiles=profiles, **settings) as project:
            with turn.open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH)
                project.compose("up", "--detach", "localstack")  # needs no image of ours
                request.getfixturevalue("kcl_image")
                project.up(*words)
            yield project

    return start


@pytest.fixture(scope="session")
def projects_are_up(kcl_image: str, polling_image: str, turn: Path) -> None:
    """Wait until no project is being started any more: those that are disturbed take the longest."""
    with turn.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
