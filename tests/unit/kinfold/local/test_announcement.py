"""What `kinfold up` shows once all is ready."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kinfold.local.up import _announce

STACK: Any = SimpleNamespace(
    writer=SimpleNamespace(url="http://w"),
    projector=SimpleNamespace(url="http://p"),
    bridge=SimpleNamespace(name="watch", url="http://b"),
    urls={"console": "http://c"},
    log_dir=Path("logs"),
    guarded=False,
)


@pytest.mark.parametrize(
    ("domain", "lines"),
    [
        ("betting", ["curl -s http://w/accounts/alice-00000/deposits ", "http://p/balances/alice-00000?min_version=1"]),
        (
            "loyalty",
            ["curl -s http://w/members/alice-00000/earnings ", "http://p/points/member~alice-00000?min_version"],
        ),
    ],
)
def test_a_first_command_is_the_domains_own(domain: str, lines: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    _announce(STACK, "http://aws", "local", domain, as_json=False)
    shown = capsys.readouterr().out
    assert all(line in shown for line in ["console    http://c\n", *lines]), shown


def test_a_guarded_service_is_called_with_the_callers_token(capsys: pytest.CaptureFixture[str]) -> None:
    guarded: Any = SimpleNamespace(**{**vars(STACK), "guarded": True})
    _announce(guarded, "http://aws", "local", "betting", as_json=False)
    shown = capsys.readouterr().out
    calls = [line for line in shown.splitlines() if "curl" in line]
    assert len(calls) > 2
    assert all('-H "authorization: Bearer $KINFOLD_TOKEN"' in line for line in calls), shown
