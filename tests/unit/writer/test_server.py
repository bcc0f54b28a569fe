import logging
import os
import subprocess
import sys

from tests.support.waiting import PATIENCE


def test_importing_the_writer_starts_and_opens_nothing() -> None:
    script = (
        "import logging, threading, writer.cli, sys\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert not logging.getLogger().handlers\n"
        "assert not [m for m in sys.modules if m.startswith('botocore.data')]\n"
    )
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KINFOLD_"))}
    subprocess.run([sys.executable, "-c", script], check=True, env=bare, timeout=PATIENCE)
    assert logging.getLogger("writer").handlers == []
