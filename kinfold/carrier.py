"""What carries the events table to the stream, as a choice on the command line."""

from enum import StrEnum


class Carrier(StrEnum):
    """The services' KINFOLD_BRIDGE."""

    native = "native"
    relay = "relay"
