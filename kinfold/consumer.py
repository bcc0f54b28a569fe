"""How the projector reads the stream, as a choice on the command line."""

from enum import StrEnum


class Consumer(StrEnum):
    """The projector's KINFOLD_CONSUMER."""

    polling = "polling"
    kcl = "kcl"

    @property
    def environment(self) -> dict[str, str]:
        """The choice as the services read it."""
        return {"KINFOLD_CONSUMER": self.value}
