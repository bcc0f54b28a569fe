"""An URL, a number or a token that cannot be one is exit code 2 and the option's name, in every command."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from pydantic import ValidationError
from typer.testing import CliRunner

from kinfold import cli
from ledger.runtime.settings import Settings
from projector.settings import ProjectorSettings
from stream_bridge.settings import RelaySettings, WatchSettings
from writer.settings import WriterSettings

NO_URLS = [
    *("http://[::x", "http://[::1", "http://host:99999", "http://host:x", "http://", "http://:80", "ftp://host"),
    *("foo", "", " ", "http://a b/", f"http://{'a' * 70}.x/", "http://a..b/", "http://\x00/", "http:///health"),
    *("http://user:secret@host/", "127.0.0.1:8080"),
]
URLS = [("load", "--url"), ("health",), ("demo", "--endpoint-url"), ("up", "--endpoint-url")]


def refused(*arguments: str, name: str) -> None:
    answer = CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "500"})
    assert answer.exit_code == 2, (arguments, answer.output, answer.exception)
    assert name in answer.output
    assert "secret" not in answer.output


@pytest.mark.parametrize("url", NO_URLS)
@pytest.mark.parametrize("command", URLS, ids=" ".join)
def test_what_is_no_url(command: tuple[str, ...], url: str) -> None:
    refused(*command, url, name=command[-1] if command[1:] else "url")


@pytest.mark.parametrize("token", ["a\nb", "ä", "a b"])
@pytest.mark.parametrize("command", [("load",), ("health", "http://127.0.0.1:1/")], ids=" ".join)
def test_what_no_header_can_carry_as_a_token(command: tuple[str, ...], token: str) -> None:
    refused(*command, "--token", f"secret{token}", name="--token")


def numbers(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every option that takes a number with a point."""
    for name, command in getattr(group, "commands", {}).items():
        if not path and name in cli.SERVICES:
            command = typer.main.get_group(importlib.import_module(cli.SERVICES[name][0]).app)
        yield from numbers(command, *path, name)
    for each in getattr(group, "params", []):
        if "float" in repr(vars(each)["type_descriptor"]):
            yield path, each.opts[0]


@pytest.mark.parametrize("number", ["nan", "inf", "1e300", "-1", "x"])
def test_what_is_no_number_of_seconds(number: str) -> None:
    options = list(numbers(typer.main.get_group(cli.app)))
    assert {option for _, option in options} >= {"--timeout", "--sample", "--wait"}
    for path, option in options:
        refused(*path, *(["http://127.0.0.1:1"] if path == ("health",) else []), f"{option}={number}", name=option)


@pytest.mark.parametrize("kind", [WriterSettings, ProjectorSettings, RelaySettings, WatchSettings])
def test_no_setting_takes_an_endless_time(kind: type[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    for name, field in kind.model_fields.items():
        if field.annotation is float:
            for number in ("nan", "inf", "1e300"):
                monkeypatch.setenv(f"KINFOLD_{name.upper()}", number)
                with pytest.raises(ValidationError):
                    kind()
            monkeypatch.delenv(f"KINFOLD_{name.upper()}")


@pytest.mark.parametrize("command", [("load", "--url", "http://kinfold.invalid"), ("health", "http://kinfold.invalid")])
def test_a_proxy_that_is_none_is_named(command: tuple[str, ...]) -> None:
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    answer = subprocess.run(
        [sys.executable, "-m", "kinfold", *command],
        env=env | {"HTTP_PROXY": "http://[::x", "http_proxy": "http://[::x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, "Traceback" in answer.stderr) == (2, False), answer.stderr
    assert "HTTP_PROXY" in answer.stderr
