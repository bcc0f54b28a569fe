"""`kinfold up --data-dir`: what was appended, and how far everybody was, is there after a stop and after a kill."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.acceptance

PORTS = ("--writer-port", "0", "--projector-port", "0", "--bridge-port", "0", "--no-console")


class Ledger:
    """A data folder, and a home in which commands find what runs on it."""

    def __init__(self, home: Path, bridge: str) -> None:
        self.home = home
        self.words = ("up", "--json", "--data-dir", str(home / "data"), "--bridge", bridge, *PORTS)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KINFOLD_"))}
        self.env = inherited | {"HOME": str(home)}

    @contextmanager
    def up(self, end: signal.Signals) -> Iterator[dict[str, Any]]:
        """Run it for the length of the block, and end it with the signal; gives what it announces."""
        command = [sys.executable, "-m", "kinfold", *self.words]
        with (
            (self.home / "up.log").open("w") as log,
            subprocess.Popen(
                command, env=self.env, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            ) as process,
        ):
            try:
                assert process.stdout is not None
                yield json.loads(process.stdout.readline() or self.fail())
                process.send_signal(end)
                assert process.wait(90) == (-signal.SIGKILL if end == signal.SIGKILL else 0), self.fail()
            finally:
                process.kill()

    def fail(self) -> str:
        return pytest.fail((self.home / "up.log").read_text())

    def kinfold(self, *words: str) -> str:
        """Run a command that must end with 0; gives what it prints."""
        answer = subprocess.run(
            [sys.executable, "-m", "kinfold", *words],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert answer.returncode == 0, f"{words}: {answer.stdout}{answer.stderr}"
        return answer.stdout

    def load(self) -> int:
        """Append some events; gives how many."""
        words = ("load", "--events", "30", "--aggregates", "5", "--writers", "2", "--json")
        return int(json.loads(self.kinfold(*words))["appended"])

    def verified(self) -> int:
        """Verify every read model, and that none is behind for long; gives how many events there are."""
        self.kinfold("projector", "verify", "--wait", "90")
        return int(json.loads(self.kinfold("bridge", "backfill", "--all", "--dry-run", "--json"))["read"])


@pytest.mark.parametrize("bridge", ["native", "relay"])
def test_it_goes_on_where_it_was(tmp_path: Path, bridge: str) -> None:
    ledger = Ledger(tmp_path, bridge)
    with ledger.up(signal.SIGINT):
        appended = ledger.load()
    # The second time it is killed with events on their way, and AWS saves them as it ends.
    with ledger.up(signal.SIGKILL):
        appended += ledger.load()
    with ledger.up(signal.SIGTERM) as running:
        assert ledger.verified() == appended
        appended += ledger.load()
        assert ledger.verified() == appended
        for healthy in (("projector", "status"), ("bridge", "status", "--sample", "0"), ("health",)):
            ledger.kinfold(*healthy)
        second = subprocess.run(
            [sys.executable, "-m", "kinfold", *ledger.words, "--profile", "other"],
            env=ledger.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (second.returncode, "is in use by process" in second.stderr) == (6, True), second.stderr
        assert running["profile"] == "local"
