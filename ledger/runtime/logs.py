"""Structured logs on standard error: a stable action name, then fields; text for people, JSON for machines.

One setup per process, called by its composition root. Payloads and tokens are never fields.
"""

import contextlib
import json
import logging
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, TextIO

import structlog

from aws_client.retry import should_log

log = structlog.get_logger(__name__)

#: Libraries that log what a stranger's connection does, a line or a traceback each time.
_SERVERS: Final = ("uvicorn", "aiohttp", "asyncio")
#: Characters of a message that make it a repetition of an earlier one, and seconds after which it is news again.
_ENOUGH: Final = 40
_NEWS_AFTER: Final = 60


def configure_logs(level: str, style: str, *, quiet: Iterable[str] = ()) -> None:
    """Send structlog and the standard library's loggers to standard error.

    ``style`` is ``text`` or ``json``. In JSON, warnings and exceptions that nobody catches are log lines too, so that
    every line on standard error is JSON. ``quiet`` names libraries whose loggers speak only from WARNING on, unless
    ``level`` is DEBUG.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(
            # Frames only: rich's tracebacks show local variables, hence payloads.
            colors=in_colour(),
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = _StandardError() if style == "text" else _JsonStandardError()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ]
            if style == "json"
            else [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    handler.addFilter(_Damping())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # What a command tells, and how far it is, is no matter of the level.
    for telling in ("cli_output", "progress_bar"):
        logging.getLogger(f"ledger.runtime.{telling}").setLevel(logging.INFO)
    if level.upper() != "DEBUG":
        for library in ("botocore", "boto3", "urllib3", "httpx", "asyncio", *quiet):
            logging.getLogger(library).setLevel(logging.WARNING)
        # aws_client.credentials says the same, without a traceback for every request.
        logging.getLogger("botocore.credentials").setLevel(logging.ERROR)
    if style == "json":
        logging.captureWarnings(True)
        sys.excepthook = lambda *error: log.critical("crashed", exc_info=error)
        threading.excepthook = _thread_crashed
        sys.unraisablehook = _exception_ignored


def in_colour() -> bool:
    """Whether standard error is a terminal of somebody who wants colours (https://no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def in_json() -> bool:
    """Whether this process logs in JSON, so that nothing else belongs on its standard error."""
    return any(isinstance(handler, _JsonStandardError) for handler in logging.getLogger().handlers)


class _StandardError(logging.StreamHandler[TextIO]):
    """Standard error as it is when a line is written: while progress bars are shown, it puts lines above them."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class _JsonStandardError(_StandardError):
    """What cannot be formatted is a line of JSON too, in place of the standard library's traceback."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is inherited
        lost = {
            "event": "log_line_lost",
            "level": "error",
            "logger": record.name,
            "reason": repr(sys.exc_info()[1]),
            "action": "none: the message does not fit its arguments",
            "timestamp": datetime.now(UTC).isoformat(),
        }
        with contextlib.suppress(OSError):
            sys.stderr.write(json.dumps(lost) + "\n")


def _thread_crashed(args: threading.ExceptHookArgs) -> None:
    error = (args.exc_type, args.exc_value, args.exc_traceback)
    log.critical("thread_crashed", thread=args.thread.name if args.thread else None, exc_info=error)


def _exception_ignored(args: "sys.UnraisableHookArgs") -> None:
    error = (args.exc_type, args.exc_value, args.exc_traceback)
    log.error("exception_ignored", where=f"{args.err_msg or 'in'} {args.object!r}", exc_info=error)


class _Damping(logging.Filter):
    """Passes a message of a server library the 1st, 4th, 8th, 16th ... time within a minute, with its ``count``."""

    def __init__(self) -> None:
        super().__init__()
        self._said: Counter[str] = Counter()
        self._minute = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in _SERVERS:
            return True
        if self._minute != (minute := int(record.created) // _NEWS_AFTER):
            self._minute = minute
            self._said.clear()
        kind = f"{record.name} {record.msg}"[:_ENOUGH]
        self._said[kind] += 1
        record.count = self._said[kind]
        return should_log(self._said[kind])
