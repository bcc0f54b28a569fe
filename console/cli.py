"""``kinfold console``: the composition root of the console, the only place that reads its environment."""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Final

import structlog
import typer

_EXIT_CODES: Final = "Exit codes: 0 after a clean stop, 2 bad settings or arguments, 75 the endpoint did not come up."

app = typer.Typer(no_args_is_help=True, epilog=_EXIT_CODES)

#: Threads that look in the background: histories are read, and the whole is looked at.
_LOOKING: Final = 4
#: Connections to AWS: one for each thread of the web framework, and for those that look.
_CONNECTIONS: Final = 48
#: Seconds after which a thread lets others run: a page has few steps of its own, and histories are read beside it.
_SWITCH: Final = 0.0005
#: Seconds for pages that were accepted when the console stops.
_DRAIN: Final = 5


@app.callback()
def _console() -> None:
    """See a ledger in a browser, and act on it.

    [dim]$[/dim] kinfold console serve
    """


@app.command(epilog=_EXIT_CODES)
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default KINFOLD_CONSOLE_HOST.")] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to listen on, 0 for a free one; default KINFOLD_CONSOLE_PORT."),
    ] = None,
) -> None:
    """Serve the console until SIGTERM or Ctrl-C. Operations under way are interrupted then, as by Ctrl-C.

    Whoever signs in does so with a token of KINFOLD_TOKENS: scope read looks, scope operate acts and sees raw payloads.
    In profile local on a loopback address nobody is asked. What is done is done by Kinfold's own commands, which the
    console runs, and is in the audit log as theirs.

    [dim]$[/dim] kinfold console serve --port 6070
    """
    from console.http.app import build_console
    from console.http.site import build_site
    from console.operations.jobs import environment
    from console.settings import ConsoleSettings
    from ledger.runtime.aws import Clients, wait_for_endpoint
    from ledger.runtime.logs import configure_logs
    from ledger.runtime.serving.asgi_process import serve_until_stopped
    from ledger.runtime.settings import load_settings
    from ledger.runtime.sockets import address
    from ledger.store.tables import Names
    from projector.engine.provisioning import control_specs

    log = structlog.get_logger(__name__)
    sys.setswitchinterval(_SWITCH)
    settings = load_settings(ConsoleSettings)
    configure_logs(settings.log_level, settings.log_format)
    access, bound = settings.claim(
        settings.console_host if host is None else host, settings.console_port if port is None else port
    )
    clients = Clients(settings, connections=_CONNECTIONS, attempts=2, read_timeout=5)
    names = Names(settings.profile, settings.events_table)

    def log_waiting(reason: str) -> None:
        log.info("waiting", reason=reason)

    def log_serving() -> None:
        log.info("serving", url=address(bound), access="open" if access.open else "tokens")

    with bound, ThreadPoolExecutor(_LOOKING, thread_name_prefix="looking") as executor:
        tables = [names.events, names.audit, names.bridge, *(spec.name for spec in control_specs(names))]
        wait_for_endpoint(clients, settings.endpoint_timeout, log_waiting, tables, [names.stream])
        site = build_site(settings, clients, access, executor, environment())
        site.components.skips.load()
        # Nobody's first page waits for that.
        for name in site.templates.list_templates():
            site.templates.get_template(name)
        serve_until_stopped(
            build_console(site), bound, settings.limits(_CONNECTIONS), drain_timeout=_DRAIN, on_start=log_serving
        )
    log.info("stopped")
