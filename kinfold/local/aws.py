"""``kinfold aws``: the embedded AWS alone, until Ctrl-C, so that services can be restarted and keep their tables."""

import contextlib
import signal
import threading
from typing import Annotated, Final

import typer

_POLL: Final = 0.3


def aws(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Its port, 0 for a free one.")] = 4566,
) -> None:
    """Run the embedded AWS alone until Ctrl-C; its state ends with it.

    For services that are restarted while their tables stay: while you write a domain, for example. Prints the variables
    with which `kinfold up` and every other command use it.

    [dim]$[/dim] kinfold aws
    """
    from kinfold.local.embedded_aws import DUMMY_CREDENTIALS, REGION, LocalAws
    from ledger.runtime.sockets import claim_ports

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with claim_ports({"--port": port}) as claimed:
        port = claimed["--port"]
    with contextlib.ExitStack() as cleanup:
        running = LocalAws(port)
        cleanup.callback(running.stop)
        variables = {"AWS_ENDPOINT_URL": running.url, "AWS_REGION": REGION, **DUMMY_CREDENTIALS}
        typer.echo("export " + " ".join(f"{name}={value}" for name, value in variables.items()))
        while not ended.wait(_POLL):
            running.check()
