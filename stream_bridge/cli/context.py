"""The composition root of the bridge: the only place that reads its environment and builds its clients."""

import socket
from collections.abc import Iterable
from typing import Final, TypeVar

import structlog

from ledger.runtime.auth import Access
from ledger.runtime.aws import Clients, wait_for_endpoint
from ledger.runtime.logs import configure_logs
from ledger.runtime.serving.listener import Limits
from ledger.runtime.settings import load_settings
from ledger.store.tables import Names
from stream_bridge.settings import BridgeDaemonSettings, BridgeSettings

log = structlog.get_logger(__name__)

#: Connections that a daemon may have to AWS: some 30 to each of three services.
_OWN_CONNECTIONS: Final = 96

S = TypeVar("S", bound=BridgeSettings)


def load(kind: type[S]) -> S:
    """The settings of one command, with its logs configured. Raises ConfigurationError."""
    settings = load_settings(kind)
    configure_logs(settings.log_level, settings.log_format)
    return settings


def compose() -> tuple[BridgeSettings, Clients, Names]:
    """Settings, clients and names for one command. Raises ConfigurationError."""
    settings = load(BridgeSettings)
    return settings, Clients(settings), Names(settings.profile, settings.events_table)


def listen(settings: BridgeDaemonSettings, host: str | None, port: int | None) -> tuple[Access, socket.socket, Limits]:
    """The gate of a daemon, its bound socket and its limits; ``host`` and ``port`` override the settings.

    Raises ConfigurationError when the address cannot be used, or must not be without tokens.
    """
    access, bound = settings.claim(
        settings.bridge_host if host is None else host, settings.bridge_port if port is None else port
    )
    return access, bound, settings.limits(_OWN_CONNECTIONS)


def wait_for_tables(
    settings: BridgeDaemonSettings, clients: Clients, *tables: str, streams: Iterable[str] = ()
) -> None:
    """Wait until the endpoint answers and has these tables and streams. Raises EndpointError, ResourceError."""
    wait_for_endpoint(clients, settings.endpoint_timeout, log_waiting, tables, streams)


def log_waiting(reason: str) -> None:
    """Log what a daemon waits for."""
    log.info("waiting", reason=reason)
