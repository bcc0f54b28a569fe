"""What every operator's command starts with: settings, clients and the projector's components."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from ledger.runtime.aws import Clients
from ledger.runtime.logs import configure_logs
from ledger.runtime.serving.garbage_collection import collect_seldom
from ledger.runtime.settings import load_settings
from projector.components import Components, build_components
from projector.settings import ProjectorSettings


@contextlib.contextmanager
def operator(*, folds: bool = False) -> Iterator[Components]:
    """The projector's components, on the environment's settings, for the length of one command.

    ``folds``: the command holds read models against the events table, which has to be the one they are derived from.

    Raises ConfigurationError, and with ``folds`` TableReplacedError and what one call of the endpoint raises. Logs are
    kept to warnings, since commands report for themselves.
    """
    settings = load_settings(ProjectorSettings)
    configure_logs("WARNING" if settings.log_level == "INFO" else settings.log_level, settings.log_format)
    with ThreadPoolExecutor(settings.write_concurrency, thread_name_prefix="row-write") as executor:
        components = build_components(settings, Clients(settings, connections=settings.write_concurrency + 8), executor)
        if folds:
            components.guard.identities.check()
            collect_seldom()
        yield components
