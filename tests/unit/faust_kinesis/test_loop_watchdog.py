"""A blocked event loop ends the process, and the place where it is blocked is a line of the log."""

import json
import subprocess
import sys

from tests.support.waiting import PATIENCE

SCRIPT = """
import asyncio, time
from faust_kinesis.loop_watchdog import LoopWatchdog
from ledger.runtime.logs import configure_logs

configure_logs("INFO", "json")

async def run():
    first = LoopWatchdog(0.6)
    for _ in range(10):
        first.feed()
        await asyncio.sleep(0.1)
    first.end()
    time.sleep(1.5)
    print("watched no longer", flush=True)
    LoopWatchdog(0.6)
    handle_a_batch()

def handle_a_batch():
    time.sleep(60)

asyncio.run(run())
"""


def test_it_says_where_in_the_log_and_ends() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "watched no longer\n")
    (line,) = map(json.loads, ended.stderr.splitlines())
    assert (line["action"], line["level"]) == ("event_loop_blocked", "critical")
    assert "in handle_a_batch" in line["event"]
