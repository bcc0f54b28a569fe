"""Structured logs on standard error: a stable action name, then fields; text for people, JSON for machines.

One setup per process, called by its composition root. Payloads and tokens are never fields.
"""

import logging
import sys
from collections.abc import Iterable

import structlog


def configure_logs(level: str, style: str, *, quiet: Iterable[str] = ()) -> None:
    """Send structlog and the standard library's loggers to standard error.

    ``style`` is ``text`` or ``json``; ``quiet`` names libraries whose loggers speak only from WARNING on, unless
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
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
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
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    if level.upper() != "DEBUG":
        for library in ("botocore", "boto3", "urllib3", "asyncio", *quiet):
            logging.getLogger(library).setLevel(logging.WARNING)
        # aws_client.credentials says the same, without a traceback for every request.
        logging.getLogger("botocore.credentials").setLevel(logging.ERROR)
