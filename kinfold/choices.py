"""The choices that ``demo`` and ``up`` hand to the services."""

from enum import StrEnum
from typing import Annotated, Final

import typer


class BridgeChoice(StrEnum):
    """What carries the events table to the stream: the services' KINFOLD_BRIDGE."""

    native = "native"
    relay = "relay"


class ConsumerChoice(StrEnum):
    """How the projector reads the stream: its KINFOLD_CONSUMER."""

    polling = "polling"
    kcl = "kcl"

    @property
    def environment(self) -> dict[str, str]:
        """The choice as the services read it."""
        return {"KINFOLD_CONSUMER": self.value}


BRIDGE_HELP: Final = "What carries the table to the stream: DynamoDB itself, or the relay daemon."
ConsumerOption = Annotated[
    ConsumerChoice, typer.Option(help="How the projector reads: by itself, or by Amazon's KCL (needs the kcl extra).")
]
