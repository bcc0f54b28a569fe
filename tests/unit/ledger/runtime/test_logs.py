"""Logs in JSON: whatever reaches standard error of a process is a line of the log."""

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from ledger.runtime.logs import configure_logs
from tests.support.waiting import PATIENCE

#: Everything that Python and libraries write to standard error by themselves.
SCRIPT = """
import gc, logging, sys, threading, warnings
import structlog
from ledger.runtime.logs import configure_logs

configure_logs("INFO", "json")
warnings.warn("two\\nlines", stacklevel=1)

def fail(text):
    raise ValueError(text)

thread = threading.Thread(target=fail, args=("in a\\nthread",), name="worker")
thread.start()
thread.join()

class Broken:
    def __del__(self):
        fail("in a finalizer")

Broken()
gc.collect()
logging.getLogger("uvicorn.error").info("%d requests", "no number")
try:
    fail("caught")
except ValueError:
    logging.getLogger("faust").exception("an agent raised")
    structlog.get_logger("ours").exception("request_failed", path="/x")
structlog.get_logger("ours").info("odd", value=object(), bad="\\ud800")
fail("uncaught")
"""


def lines(text: str) -> list[dict[str, Any]]:
    return list(map(json.loads, text.splitlines()))


def test_every_line_is_json_whoever_writes_it() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    found = lines(ended.stderr)
    assert ended.returncode == 1
    assert all({"event", "level", "timestamp", "logger"} <= line.keys() for line in found), found
    told = {line["event"] for line in found}
    assert {"thread_crashed", "exception_ignored", "an agent raised", "request_failed", "odd", "crashed"} <= told
    assert any("two\nlines" in event for event in told)
    raised = "\n".join(line.get("exception", "") for line in found)
    for text in ("in a\nthread", "in a finalizer", "caught", "uncaught"):
        assert f"ValueError: {text}" in raised
    lost = next(line for line in found if line["event"] == "log_line_lost")
    assert (lost["logger"], lost["action"]) == ("uvicorn.error", "none: the message does not fit its arguments")


def test_a_line_goes_to_standard_error_as_it_is_then(capsys: pytest.CaptureFixture[str]) -> None:
    """Where progress bars are shown, it is one that puts lines above them."""
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        real = sys.stderr
        sys.stderr = sys.stdout
        configure_logs("INFO", "text")
        sys.stderr = real
        logging.getLogger("x").warning("held up")
        assert "held up" in capsys.readouterr().err
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
