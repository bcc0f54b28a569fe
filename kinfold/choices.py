"""The choices that ``demo`` and ``up`` hand to the services."""

from typing import Annotated, Final, Literal

import typer

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
#: How the projector reads the stream: its KINFOLD_CONSUMER.
ConsumerOption = Annotated[
    Literal["polling", "kcl"],
    typer.Option(help="How the projector reads: by itself, or by Amazon's KCL (needs the kcl extra)."),
]
