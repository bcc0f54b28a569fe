"""``kinfold aws``: the embedded AWS alone, until Ctrl-C, so that services can be restarted and keep their tables."""

import contextlib
import signal
import threading
from typing import Annotated, Final

import typer

from kinfold.choices import DEFAULT_PROFILE, DataDirOption

EPILOG: Final = (
    "Exit codes: 0 after Ctrl-C, 2 the port cannot be used, 6 another one runs for the profile, 75 it did not start or "
    "ended."
)
_POLL: Final = 0.3


def aws(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Its port, 0 for a free one.")] = 4566,
    profile: Annotated[
        str, typer.Option(envvar="KINFOLD_PROFILE", help="Whose commands find it by themselves.")
    ] = DEFAULT_PROFILE,
    data_dir: DataDirOption = None,
) -> None:
    """Run the embedded AWS alone until Ctrl-C; its state ends with it, unless --data-dir keeps it.

    For services that are restarted while their tables stay: while you write a domain, for example. `kinfold up` and
    every other command of the same user and profile find it by themselves: a file in ~/.local/state/kinfold says where
    it is, and goes when it stops. For everything else, and other profiles, the variables are printed that lead to it.

    [dim]$[/dim] kinfold aws
    [dim]$[/dim] kinfold aws --port 0 --profile try
    """
    from kinfold.local.embedded_aws import DUMMY_CREDENTIALS, REGION, LocalAws
    from kinfold.local.kept.data_dir import held
    from kinfold.local.running import claimed
    from ledger.runtime.cli_output import tell
    from ledger.runtime.sockets import claim_ports

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with contextlib.ExitStack() as cleanup:
        claim = cleanup.enter_context(claimed("aws", profile))
        with claim_ports({"--port": port}) as ports:
            port = ports["--port"]
        running = LocalAws(port, cleanup.enter_context(held(data_dir, tell)) if data_dir else None)
        cleanup.callback(running.stop)
        variables = {"AWS_ENDPOINT_URL": running.url, "AWS_REGION": REGION, **DUMMY_CREDENTIALS}
        claim.publish(running.url, REGION, {})
        typer.echo("export " + " ".join(f"{name}={value}" for name, value in variables.items()))
        while not ended.wait(_POLL):
            running.check()
