"""Listening sockets, and which hosts are this machine."""

import contextlib
import errno
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from ledger.errors import ConfigurationError

LOOPBACK: Final = "127.0.0.1"
#: What a client on this machine may call it by, such as in NO_PROXY. ``is_loopback_host`` knows every address.
LOOPBACK_HOSTS: Final = (LOOPBACK, "::1", "localhost")
#: Below the ports that Linux (ip_local_port_range, from 32768 on) and other systems give to outgoing connections.
_FREE: Final = range(20_000, 32_768)
_ADVICE: Final = "choose another with --host and --port"


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


def is_address(authority: str) -> bool:
    """Whether ``host:port`` is an IP address or localhost, which no name server can make another machine of."""
    try:
        host = urlsplit(f"//{authority}").hostname or ""
        return host == "localhost" or bool(ip_address(host))
    except ValueError:
        return False


def bind(host: str, port: int, advice: str = _ADVICE) -> socket.socket:
    """Claim an address to serve on; port 0 takes a free one. Connections are refused until ``listen``.

    Raises ConfigurationError, which ends with ``advice``, when it cannot be had, also because another process has
    claimed it and does not listen yet.
    """
    try:
        # A name that has an IPv4 address is bound on that. Given the port, this would take its last 16 bits.
        family, _, _, _, (found, _, *scope) = min(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        return _claim(family, (found, port, *scope))
    except (OSError, OverflowError, UnicodeError) as error:
        raise _cannot_listen(host, port, error, advice) from error


def _claim(family: int, place: tuple[Any, ...]) -> socket.socket:
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; else a body waits 40 ms for its head's ACK.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        try:
            # With SO_REUSEADDR, Linux gives an address to any number of sockets that do not listen yet.
            bound.bind(place)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            # Taken, or its last owner has just gone (TIME_WAIT).
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(place)
    except BaseException:
        bound.close()
        raise
    return bound


def listen(bound: socket.socket) -> None:
    """Accept connections on a bound socket. Raises ConfigurationError when another process does so since its claim."""
    # So that the next owner need not wait until this one's connections are forgotten.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.listen()
    except OSError as error:
        host, port = bound.getsockname()[:2]
        raise _cannot_listen(host, port, error, _ADVICE) from error


def _cannot_listen(host: str, port: int, error: Exception, advice: str) -> ConfigurationError:
    why = error.strerror if isinstance(error, OSError) else "there is no such host or port"
    return ConfigurationError(f"cannot listen on {host or repr(host)} port {port}: {why}; {advice}")


@contextmanager
def claim_ports(ports: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Claim ports of 127.0.0.1, each by the option that chooses it; 0 becomes a free one.

    They are free again after the block, and another process may then take one before you do.

    Raises ConfigurationError, naming the option, when one is taken or chosen twice.
    """
    with ExitStack() as claims:
        claimed = {}
        for option, port in ports.items():
            advice = f"stop what listens there, or choose another port with {option} (0 takes a free one)"
            claimed[option] = claims.enter_context(bind(LOOPBACK, port, advice)).getsockname()[1]
        yield claimed


def free_port() -> int:
    """A port of 127.0.0.1 that nothing has now, and no outgoing connection gets. Another server may still take it."""
    while True:
        port = _FREE.start + secrets.randbelow(len(_FREE))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port


def address(bound: socket.socket) -> str:
    """The URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
