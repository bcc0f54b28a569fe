"""What a process logs of the connections of strangers."""

import json
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ledger.runtime.logs import configure_logs

Written = pytest.CaptureFixture[str]


@pytest.fixture
def written(capsys: Written) -> Iterator[Written]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    configure_logs("info", "json")
    yield capsys
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)


def lines(written: Written) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.readouterr().err.splitlines()]


def say(logger: str, times: int, message: str = "Error handling request from %s", **extra: object) -> None:
    for number in range(times):
        record = logging.LogRecord(logger, logging.ERROR, "", 0, message, (number,), None)
        record.__dict__.update(extra)
        logging.getLogger(logger).handle(record)


@pytest.mark.parametrize("logger", ["uvicorn.error", "aiohttp.server", "asyncio"])
def test_what_a_stranger_makes_a_server_say_again_and_again_is_written_a_few_times(
    written: Written, logger: str
) -> None:
    say(logger, 10_000, created=60.0)
    say(logger, 1, "something else %s", created=60.0)
    assert [line["count"] for line in lines(written)] == [1, *(2**power for power in range(2, 14)), 1]


def test_it_is_news_again_a_minute_later(written: Written) -> None:
    say("uvicorn.error", 3, created=119.9)
    say("uvicorn.error", 1, created=120.0)
    assert [line["event"] for line in lines(written)] == ["Error handling request from 0"] * 2


def test_what_we_say_ourselves_is_written_each_time(written: Written) -> None:
    say("writer.http", 10)
    assert len(lines(written)) == 10
