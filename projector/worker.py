"""Running the Faust worker: signals, exit code, and the error that ended it."""

import io
import logging
from pathlib import Path
from typing import Final

import faust
import structlog
from typing_extensions import override

from faust_kinesis.errors import FaustKinesisError
from ledger.errors import KinfoldError, PermanentError
from ledger.runtime.serving.garbage_collection import collect_seldom
from projector.app import ProjectorApp

log = structlog.get_logger(__name__)

#: What mode logs, with a traceback, of the error that ends the worker: it is raised and reported once.
_RAISED: Final = ("Crashed reason=%r", "We experienced a crash! Reraising original exception...")
#: What every message of mode about its services' starts and stops begins with, whichever module they are of.
_LABEL: Final = "[^"


class _Worker(faust.Worker):
    """Faust's worker, which keeps the error of a start that failed; Faust's own prints it and exits.

    It needs no working directory, and leaves that and the name of the process as they are.
    """

    start_error: Exception | None = None

    @override
    async def start(self) -> None:
        try:
            await super().start()
        except Exception as error:  # noqa: BLE001 - run_worker raises it
            self.start_error = error

    @override
    def change_workdir(self, path: Path) -> None:
        """Stay."""

    @override
    def _setproctitle(self, info: str, *, ident: str = "") -> None:
        """Keep the name."""


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a record tells an operator something; all do that ask for debug."""
    message = str(record.msg)
    if message.endswith(_RAISED):
        return False
    steps = message.startswith(_LABEL) and record.levelno < logging.WARNING
    return not steps or logging.getLogger().isEnabledFor(logging.DEBUG)


def run_worker(projector: ProjectorApp) -> None:
    """Run until SIGTERM, SIGINT or a failure, in the calling thread, which must be the main one.

    Returns after a clean stop: the batch in hand finished, the checkpoints written, the leases released. Raises the
    error that stopped the worker otherwise, PermanentError for a start that failed by what is no error of ours; no
    checkpoint passes what it could not apply.
    """
    collect_seldom()
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_ours)
    # Faust prints a spinner and tracebacks to these; the error itself is raised and reported once.
    worker = _Worker(
        projector.faust,
        override_logging=False,
        redirect_stdouts=False,
        quiet=True,
        stdout=io.StringIO(),
        stderr=io.StringIO(),
        workdir=Path(),
    )
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        if worker.start_error is not None:
            raise _failed_start(worker.start_error) from None
        crash = worker.crash_reason or projector.faust.crash_reason
        if crash is not None:
            raise crash from None
        if end.code:
            raise
    finally:
        projector.executor.shutdown(cancel_futures=True)
    log.info("worker_stopped")


def _failed_start(error: Exception) -> Exception:
    if isinstance(error, KinfoldError | FaustKinesisError):
        return error
    log.debug("start_failed", exc_info=error)
    return PermanentError(
        f"the projector cannot start: {error if isinstance(error, OSError) else repr(error)}; correct what it names, "
        "or look where it comes from with KINFOLD_LOG_LEVEL=debug, and start again"
    )
