"""Running the Faust worker: signals, exit code, and the error that ended it."""

import gc
import io
from typing import Final

import faust
import structlog

from projector.app import ProjectorApp

log = structlog.get_logger(__name__)

#: Generation-0 GC threshold, in place of Python's 700. A page is tens of thousands of objects without a cycle, all in
#: use until their batch is complete: traversing them took a quarter of the time.
GC_THRESHOLD: Final = 200_000


def run_worker(projector: ProjectorApp) -> None:
    """Run until SIGTERM, SIGINT or a failure, in the calling thread, which must be the main one.

    Returns after a clean stop: the batch in hand finished, the checkpoints written, the leases released. Raises the
    error that stopped the worker otherwise; no checkpoint passes what it could not apply.
    """
    # What is loaded by now is never freed.
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])
    # Faust prints a spinner and tracebacks to these; the error itself is raised and reported once.
    worker = faust.Worker(
        projector.faust,
        override_logging=False,
        redirect_stdouts=False,
        quiet=True,
        stdout=io.StringIO(),
        stderr=io.StringIO(),
    )
    try:
        worker.execute_from_commandline()
    except SystemExit:
        crash = worker.crash_reason or projector.faust.crash_reason
        if crash is not None:
            raise crash from None
    finally:
        projector.executor.shutdown(cancel_futures=True)
    log.info("worker_stopped")
