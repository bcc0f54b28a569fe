"""Taking an address to serve on."""

import socket

from ledger.errors import ConfigurationError


def bind(host: str, port: int) -> socket.socket:
    """Take the address to serve on; port 0 takes a free one. Nobody can connect before somebody listens.

    Raises ConfigurationError when it cannot be had.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another with --host and --port"
        ) from error
    return bound


def address(bound: socket.socket) -> str:
    """The URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
