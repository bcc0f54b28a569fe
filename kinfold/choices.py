"""The choices that ``demo`` and ``up`` hand to the services, and what commands know of services that run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

#: The profile of whoever names none.
DEFAULT_PROFILE: Final = "local"
#: What carries the events table to the stream: the services' KINFOLD_BRIDGE.
BridgeChoice = Literal["native", "relay"]
BRIDGE_HELP: Final = "What carries the table to the stream: DynamoDB itself, or the relay daemon."
#: What is kept: the services' KINFOLD_DOMAIN.
DomainOption = Annotated[
    str,
    typer.Option(
        "--domain", envvar="KINFOLD_DOMAIN", help="The domain, a package or an entry point of group kinfold.domains."
    ),
]
#: Where the embedded AWS keeps its state.
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        file_okay=False,
        show_default=False,
        help="Keep the embedded AWS's state in this folder over restarts. It is saved every ten seconds and when it "
        "ends, also when the command is killed; only a kill of AWS itself, or of the machine, costs the last seconds.",
    ),
]
#: How the projector reads the stream: its KINFOLD_CONSUMER.
ConsumerOption = Annotated[
    Literal["polling", "kcl"],
    typer.Option(help="How the projector reads: by itself, or by Amazon's KCL (needs the kcl extra)."),
]

#: Where the front door keeps, in a command's context, what runs on this machine for its profile.
RUNNING: Final = "kinfold.running"


def services(context: typer.Context) -> Mapping[str, str]:
    """The URLs of the services that `kinfold up` runs for this profile, by name; none where it does not run."""
    running = context.meta.get(RUNNING)
    return running.services if running is not None else {}
