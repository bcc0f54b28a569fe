"""The image, built from what git knows. Without an engine, all of these tests are skipped.

``make test-engine`` asks for these tests; ``make test`` leaves them out.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.support.containers.compose_project import PREFIX, why_no_engine

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
