"""The services' logs under `kinfold up`: a line each, with the name; quiet, coloured, or JSON."""

import json
import re
from pathlib import Path

import pytest

from kinfold.local import service_logs
from kinfold.local.service_logs import followed

WRITER = """\
2026-11-28T19:55:16.481055Z [info     ] serving                        [writer.cli] access=open url=http://127.0.0.1:1
2026-11-28T19:55:17.481055Z [warning  ] call_retried                   [aws_client] attempt=1
printed without a level
"""
PROJECTOR = """\
2026-11-28T19:55:18.481055Z [error    ] halted                         [projector] aggregate=alice [/not-markup]
Traceback (most recent call last):
  of something
2026-11-28T19:55:19.481055Z [info     ] stopped                        [projector]
half a li"""


@pytest.fixture
def logs(tmp_path: Path) -> dict[str, Path]:
    """A writer that has written, a projector that writes meanwhile, and a watch that writes nothing."""
    (tmp_path / "writer").write_text(WRITER)
    return {name: tmp_path / name for name in ("watch", "writer", "projector")}


def shown(logs: dict[str, Path], capsys: pytest.CaptureFixture[str], *, quiet: bool = False) -> list[str]:
    with followed(logs, quiet=quiet):
        logs["projector"].write_text(PROJECTOR)
    return capsys.readouterr().err.splitlines()


def test_every_whole_line_is_shown_with_its_services_name(
    logs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert sorted(shown(logs, capsys)) == sorted(
        [f"writer    | {line}" for line in WRITER.splitlines()]
        + [f"projector | {line}" for line in PROJECTOR.splitlines()[:-1]]
    )


def test_quiet_shows_warnings_and_worse_with_what_belongs_to_them(
    logs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    said = [re.sub(r"\S+Z \[", "[", line) for line in shown(logs, capsys, quiet=True)]
    assert [line[:30].rstrip() for line in sorted(said)] == [
        "projector |   of something",
        "projector | Traceback (most re",
        "projector | [error    ] halted",
        "writer    | [warning  ] call_r",
        "writer    | printed without a",
    ]


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_for_a_terminal_and_for_those_who_want_them(
    logs: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    coloured: bool,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", **variables}.items():
        monkeypatch.setenv(name, value)
    lines = shown(logs, capsys)
    assert any("\x1b[3" in line for line in lines) == coloured
    # A colour is put around the text, and never into it or over the end of a line.
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    assert f"projector | {PROJECTOR.splitlines()[0]}" in plain


def test_json_stays_json(
    logs: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_logs, "in_json", lambda: True)
    logs["writer"].write_text('{"event": "serving", "level": "info"}\n{"event": "lost", "level": "error"}\nplain\n')
    writer = {"writer": logs["writer"], "projector": logs["projector"]}
    said = list(map(json.loads, shown(writer, capsys)))
    assert {"service": "writer", "event": "serving", "level": "info"} in said
    assert {"service": "writer", "event": "printed", "text": "plain"} in said
    quiet = list(map(json.loads, shown(writer, capsys, quiet=True)))
    assert quiet == [{"service": "writer", "event": "lost", "level": "error"}]
