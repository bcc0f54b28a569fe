"""Misspelt settings are named, with the nearest right one."""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinfold.settings.unknown import known_variables, unknown_variables
from ledger.runtime.environment import own_variables


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("KINFOLD_PROFIL", "KINFOLD_PROFILE"),
        ("KINFOLD_SHARD", "KINFOLD_SHARDS"),
        ("KINFOLD_WRITER_THREAD", "KINFOLD_WRITER_THREADS"),
        ("KINFOLD_FAIL_OVER_TIME", "KINFOLD_FAILOVER_TIME"),
        ("KINFOLD_WATCH_INTERVALL", "KINFOLD_WATCH_INTERVAL"),
        ("KINFOLD_KCL_PROPERTY", "KINFOLD_KCL_PROPERTIES"),
        ("KINFOLD_TOKNS", "KINFOLD_TOKENS"),
        ("KINFOLD_ZZZZZZZZZZZZZZZZZZZZ", None),
    ],
)
def test_a_misspelt_one_is_named_with_the_nearest(variable: str, nearest: str | None) -> None:
    assert list(unknown_variables({variable: "x", "PATH": "/"})) == [(variable, nearest)]


def test_every_setting_of_every_service_is_known() -> None:
    assert list(unknown_variables(dict.fromkeys(known_variables(), "x"))) == []
    assert {"KINFOLD_PROFILE", "KINFOLD_WRITER_PORT", "KINFOLD_BRIDGE_PORT", "KINFOLD_TOKEN"} <= known_variables()
    assert list(unknown_variables({"AWS_PROFIL": "x"})) == []


def test_a_service_link_of_kubernetes_is_nobodys_mistake() -> None:
    links = {
        "KINFOLD_WRITER_PORT": "tcp://10.96.0.12:8080",
        "KINFOLD_API_PORT": "tcp://10.96.0.12:8080",
        "KINFOLD_WRITER_SERVICE_HOST": "10.96.0.12",
        "KINFOLD_WRITER_SERVICE_PORT": "8080",
        "KINFOLD_WRITER_SERVICE_PORT_HTTP": "8080",
        "KINFOLD_WRITER_PORT_8080_TCP": "tcp://10.96.0.12:8080",
        "KINFOLD_WRITER_PORT_8080_TCP_ADDR": "10.96.0.12",
        "KINFOLD_WRITER_PORT_8080_TCP_PORT": "8080",
        "KINFOLD_WRITER_PORT_8080_TCP_PROTO": "tcp",
    }
    assert list(unknown_variables(own_variables(links))) == []
    assert list(unknown_variables({"KINFOLD_WRITR_PORT": "8080"})) == [("KINFOLD_WRITR_PORT", "KINFOLD_WRITER_PORT")]


@given(st.dictionaries(st.text(), st.text()))
def test_no_environment_is_too_odd(environ: dict[str, str]) -> None:
    assert all(name.startswith("KINFOLD_") for name, _ in unknown_variables(environ))


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_command_warns_and_goes_on(style: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "kinfold", "token", "shop", "--scope", "read", "--json"],
        env={**os.environ, "KINFOLD_PROFIL": "secret", "KINFOLD_LOG_FORMAT": style},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0
    assert "token" in json.loads(answer.stdout)
    (line,) = answer.stderr.splitlines()
    for word in ("unknown_setting", "KINFOLD_PROFIL", "did you mean KINFOLD_PROFILE?"):
        assert word in line
    assert "secret" not in line
    assert (style == "json") == line.startswith("{")
