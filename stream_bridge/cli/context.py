"""The composition root of the bridge: the only place that reads its environment and builds its clients."""

import typer

from ledger.runtime.aws import Clients
from ledger.runtime.logs import configure_logs
from ledger.runtime.settings import load_settings
from ledger.store.tables import Names
from stream_bridge.settings import BridgeSettings


def compose() -> tuple[BridgeSettings, Clients, Names]:
    """Settings, clients and names for one command. Raises ConfigurationError."""
    settings = load_settings(BridgeSettings)
    configure_logs(settings.log_level, settings.log_format)
    return settings, Clients(settings), Names(settings.profile)


def report(line: str) -> None:
    """Print a line for a person on standard error."""
    typer.echo(line, err=True)
