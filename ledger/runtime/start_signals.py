"""SIGTERM and SIGINT while a service starts: it ends at once and in order, since it holds nothing yet.

Each service takes the signals over once it has something to finish: requests, a batch, a lease.
"""

import os
import signal
from types import FrameType
from typing import Final

import structlog

log = structlog.get_logger(__name__)

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def signals_end_the_start() -> None:
    """From now on SIGTERM and SIGINT end the process with exit code 0 and a line of the log."""
    for number in STOP_SIGNALS:
        signal.signal(number, end_the_start)


def end_the_start(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """End this process. Not by an exception: what is imported or waited for may catch that."""
    try:
        log.info("stopped", signal=signal.Signals(number).name, action="none: it had not started yet")
    finally:
        os._exit(0)
