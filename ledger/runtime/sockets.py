"""Listening sockets, and which hosts are this machine."""

import socket
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from ledger.errors import ConfigurationError

LOOPBACK: Final = "127.0.0.1"
#: What a client on this machine may call it by, such as in NO_PROXY. ``is_loopback_host`` knows every address.
LOOPBACK_HOSTS: Final = (LOOPBACK, "::1", "localhost")


def is_loopback_host(host: str) -> bool:
    """Whether only this machine can connect to ``host``. A name other than localhost may resolve to anything."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_loopback_url(url: str) -> bool:
    """Whether the URL's host is this machine."""
    return is_loopback_host(urlsplit(url).hostname or "")


def bind(host: str, port: int, advice: str = "choose another with --host and --port") -> socket.socket:
    """Bind an address to serve on; port 0 takes a free one. Connections are refused until somebody listens.

    Raises ConfigurationError, which ends with ``advice``, when it cannot be had.
    """
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; else a body waits 40 ms for its head's ACK.
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # Without it a port whose last owner has just gone (TIME_WAIT) would count as taken.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ConfigurationError(f"cannot listen on {host} port {port}: {error.strerror}; {advice}") from error
    return bound


def claim_port(port: int, what: str, option: str) -> int:
    """Return ``port`` of 127.0.0.1, or a free one for 0. Another process may take it before you listen.

    Raises ConfigurationError, naming ``what`` needs it and the ``option`` that chooses it, when it is taken.
    """
    advice = f"stop what listens there, or choose another port for {what} with {option} (0 takes a free one)"
    with bind(LOOPBACK, port, advice) as probe:
        claimed: int = probe.getsockname()[1]
        return claimed


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on right now. Another process may take it before you do."""
    return claim_port(0, "a server", "--port")


def address(bound: socket.socket) -> str:
    """The URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
