"""What a shell is told when somebody presses TAB, and what that costs."""

import os
import subprocess
import sys

import pytest

_COMPLETE = (
    "import atexit, sys\n"
    "heavy = ('fastapi', 'faust', 'boto3', 'httpx', 'aiohttp')\n"
    "atexit.register(lambda: print(*(each for each in heavy if each in sys.modules), file=sys.stderr))\n"
    "sys.argv = ['kinfold']\n"
    "from kinfold.cli import main\n"
    "main()"
)


def completed(words: str) -> tuple[list[str], list[str]]:
    """What could stand in place of the last word, and which of the heavy libraries that took."""
    typed = words.split(" ")
    protocol = {"_KINFOLD_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(typed) - 1)}
    answer = subprocess.run(
        [sys.executable, "-c", _COMPLETE], env=os.environ | protocol, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in answer.stderr, answer.stderr
    return answer.stdout.split(), answer.stderr.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("kinfold pro", {"projector"}),
        ("kinfold projector dead-letters s", {"show", "skip"}),
        ("kinfold projector stat", {"status"}),
        ("kinfold writer ", {"serve"}),
        ("kinfold bridge hold --l", {"--lift"}),
        ("kinfold up --q", {"--quiet"}),
        ("kinfold up --bridge ", {"native", "relay"}),
    ],
)
def test_it_is_completed_and_no_web_framework_is_imported(words: str, offered: set[str]) -> None:
    assert completed(words) == (sorted(offered), [])


def test_the_first_word_is_every_command() -> None:
    offered, heavy = completed("kinfold ")
    assert {"up", "demo", "top", "account", "events", "projector", "writer", "bridge"} <= set(offered)
    assert heavy == []


def test_what_is_no_command_is_no_error() -> None:
    assert completed("kinfold nothing pro")[1] == []


def test_the_options_of_the_demo() -> None:
    assert completed("kinfold demo --wr")[0] == ["--writers"]


def test_a_command_that_was_typed_runs_whatever_the_environment_says() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "kinfold", "--version"],
        env=os.environ | {"_KINFOLD_COMPLETE": "complete_bash", "COMP_WORDS": "kinfold ", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.startswith("kinfold ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell: str) -> None:
    from typer._completion_shared import get_completion_script

    from kinfold.cli import COMPLETE

    script = get_completion_script(prog_name="kinfold", complete_var=COMPLETE, shell=shell)
    assert COMPLETE in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
