"""`kinfold up` in one terminal, and a second one beside it: a home of its own, and no variable of AWS's."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from kinfold.demo.disposable import delete_profile, disposable_profile
from kinfold.local.environment import service_clients
from tests.support.waiting import PATIENCE

PORTS = ("--writer-port", "0", "--projector-port", "0", "--bridge-port", "0", "--console-port", "0")

Said = tuple[int, str, str]


class Terminals(NamedTuple):
    """What runs, what it announced, its log, and the second terminal's environment."""

    process: "subprocess.Popen[str]"
    announced: dict[str, Any]
    log: Path
    env: dict[str, str]

    def kinfold(self, *words: str, **env: str) -> Said:
        """Run a command in the second terminal."""
        answer = subprocess.run(
            [sys.executable, "-m", "kinfold", *words],
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return answer.returncode, answer.stdout, answer.stderr


@contextmanager
def two_terminals(endpoint: str, home: Path, *, through: str | None = None, **env: str) -> Iterator[Terminals]:
    """Both, of a profile of their own on ``endpoint``, reached ``through`` another address if one is given.

    ``env``: what only the first terminal has.
    """
    profile, log = disposable_profile("test-"), home / "up.log"
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KINFOLD_"))}
    own |= {"HOME": str(home), "KINFOLD_PROFILE": profile, "PYTHONUNBUFFERED": "1"}
    with ExitStack() as cleanup:
        cleanup.callback(lambda: delete_profile(service_clients(endpoint, profile), profile))
        command = [sys.executable, "-m", "kinfold", "up", "--json", "--endpoint-url", through or endpoint, *PORTS]
        errors = cleanup.enter_context(log.open("w"))
        process = cleanup.enter_context(
            subprocess.Popen(
                command, env=own | env, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
            )
        )
        cleanup.callback(process.kill)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text()
        yield Terminals(process, json.loads(line), log, own)
