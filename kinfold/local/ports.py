"""The loopback interface and its TCP ports."""

import socket
from typing import Final
from urllib.parse import urlsplit

from ledger.errors import ConfigurationError

LOOPBACK: Final = "127.0.0.1"
LOOPBACK_HOSTS: Final = frozenset({LOOPBACK, "::1", "localhost"})


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    return urlsplit(url).hostname in LOOPBACK_HOSTS


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on right now. Another process may take it before you do."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def claim_port(port: int, what: str, option: str) -> int:
    """Return ``port``, or a free one for 0. Raises ConfigurationError, naming ``option``, when it is taken."""
    if port == 0:
        return free_port()
    with socket.socket() as probe:
        # Without it a port whose last owner has just gone (TIME_WAIT) would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} for {what} cannot be used ({error.strerror}): stop what listens there, "
                f"or choose another with {option} (0 takes a free one)"
            ) from None
    return port
