"""Every page of help: short options, an example to copy, exit codes, 80 columns."""

import importlib
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from kinfold import cli


def every_command(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    for name, each in getattr(command, "commands", {}).items():
        if name in cli.SERVICES and not path:
            each = typer.main.get_group(importlib.import_module(cli.SERVICES[name][0]).app)
        yield from every_command(each, *path, name)


PAGES = list(every_command(typer.main.get_group(cli.app)))


def page(*words: str) -> str:
    answer = CliRunner().invoke(cli.app, words, env={"COLUMNS": "80"})
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_no_page_is_missing() -> None:
    assert {(), ("up",), ("demo",), ("top",), ("account",), ("projector", "dead-letters", "skip")} <= set(PAGES)
    assert len(PAGES) > 30


@pytest.mark.parametrize("path", PAGES, ids=lambda path: " ".join(path) or "kinfold")
def test_it_shows_an_example_and_exit_codes_at_80_columns(path: tuple[str, ...]) -> None:
    text = page(*path, "--help")
    assert text == page(*path, "-h")
    assert max(map(len, text.splitlines())) <= 80
    example = rf"^ \$ ([A-Z_]+=\S+ )*kinfold {' '.join(path)}".rstrip()
    assert re.search(example, text, re.MULTILINE), text
    assert re.search(r"^ Exit\s+codes: 0 ", text, re.MULTILINE), text


def test_a_group_without_a_command_shows_its_help() -> None:
    for path in PAGES:
        if len([each for each in PAGES if each[: len(path)] == path]) > 1:
            assert "Exit codes" in CliRunner().invoke(cli.app, path, env={"COLUMNS": "80"}).output


def test_every_help_wraps_at_80_columns_wherever_the_source_does() -> None:
    short = []
    for path in PAGES:
        answer = CliRunner().invoke(cli.app, [*path, "--help"], env={"COLUMNS": "80"})
        text = answer.output.partition("Usage:")[2].partition("╭")[0].split("\n\n", 1)[-1]
        lines = [line.strip() for line in text.splitlines()]
        for line, after in pairwise(lines):
            if line and after and not after.startswith("$ ") and len(f" {line} {after.split()[0]}") < 80:
                short.append((path, line))
    assert not short
