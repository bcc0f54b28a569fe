"""A new event: the type checker names every place that has to handle it, and no other needs to be known."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

pytestmark = pytest.mark.acceptance

ROOT: Final = Path(__file__).parents[3]
EVENT: Final = '''class BonusGranted(Event):
    """Money was given to the holder."""

    event_type = "BonusGranted"
    schema_version: Literal[1] = 1
    amount: Amount
    currency: Currency


BettingEvent = BonusGranted | '''
#: The files with a place that handles deposits, and is to handle bonuses alike.
FILES: Final = ("account.py", "projections/balance_summary.py", "projections/daily_activity.py")
#: Folds a history with the new event, by each projection and its witness.
FOLD: Final = """
from decimal import Decimal
from betting import PROJECTIONS
from betting.events import BonusGranted, FundsDeposited
from ledger.store.stored_event import StoredEvent
from projector.verification.expected_rows import ExpectedRows

history = [cls(amount=Decimal(amount), currency="EUR") for cls, amount in ((FundsDeposited, 5), (BonusGranted, 2))]
for projection in PROJECTIONS:
    rows = []
    for witnessed in (True, False):
        folded = ExpectedRows(projection, "alice", lambda *_: False, witnessed=witnessed)
        for number, event in enumerate(history, 1):
            at = "2026-01-01T00:00:00.000000+00:00"
            folded.add(StoredEvent("alice", number, "account", event.event_type, event.payload(), at, "c"))
        rows.append(folded.rows())
    assert rows[0] == rows[1], rows
    assert "7.00" in str(projection.page(rows[0].pop("!"), list(rows[0].values()))), rows
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The betting domain, to be changed."""
    shutil.copytree(ROOT / "betting", tmp_path / "betting", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "betting"


def handle(path: Path) -> None:
    """Handle bonuses in every ``match`` of the file as deposits are: where the type checker has asked for it."""
    text = path.read_text().replace("import BetPlaced", "import BonusGranted, BetPlaced")
    path.write_text(re.sub(r"case FundsDeposited(\(.*?\)):", r"case FundsDeposited\1 | BonusGranted\1:", text))


def run(copy: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    paths = f"{copy.parent}{os.pathsep}{ROOT}"
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=copy.parent,
        env={**os.environ, "PYTHONPATH": paths, "MYPYPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


def checked(copy: Path) -> set[str]:
    """The files in which the type checker finds an event that nothing handles."""
    config = ("--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(copy.parent / "cache"))
    answer = run(copy, "-m", "mypy", *config, "betting")
    assert answer.returncode in (0, 1), answer.stdout + answer.stderr
    errors = re.findall(r"^betting/(\S+):\d+: error: (.*)$", answer.stdout, re.M)
    assert all("assert_never" in message and "BonusGranted" in message for _, message in errors), answer.stdout
    return {path for path, _ in errors}


def test_the_type_checker_names_each_place_and_then_fold_and_witness_agree(copy: Path) -> None:
    events = copy / "events.py"
    events.write_text(events.read_text().replace("BettingEvent = ", EVENT))
    assert checked(copy) == set(FILES)
    for path in FILES:
        handle(copy / path)
    assert checked(copy) == set()
    folded = run(copy, "-c", FOLD)
    assert folded.returncode == 0, folded.stderr
