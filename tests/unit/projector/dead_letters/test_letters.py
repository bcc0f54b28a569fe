import re

import pytest
from typer.testing import CliRunner

from projector.cli.dead_letters import app
from projector.dead_letters.letters import MAX_REASON, is_usable_reason


@pytest.mark.parametrize("reason", ["x", " ticket 4711 ", "x" * MAX_REASON, "x" * MAX_REASON + " "])
def test_a_reason_of_some_text_can_be_kept(reason: str) -> None:
    assert is_usable_reason(reason)


@pytest.mark.parametrize("reason", [None, 4711, b"x", "", " \n", "x" * (MAX_REASON + 1)])
def test_no_other_reason_can(reason: object) -> None:
    assert not is_usable_reason(reason)


@pytest.mark.parametrize("reason", ["", "x" * (MAX_REASON + 1)])
def test_the_command_refuses_it_before_it_calls_anything(reason: str) -> None:
    ended = CliRunner().invoke(app, ["skip", "balance-summary~alice~17", "--reason", reason])
    assert ended.exit_code == 2
    assert f"1 to {MAX_REASON}" in " ".join(re.findall(r"[\w.]+", ended.output))
