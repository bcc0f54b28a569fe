"""What a person's command brings: who runs it, and the URLs and tokens of its options."""

import getpass
import os
import re
import socket
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies

import typer

from ledger.errors import ConfigurationError
from ledger.runtime.sockets import is_loopback_url

#: RFC 6750, 2.1: what a header carries as a bearer token.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)


def operator_name() -> str:
    """Who runs this command, for the record: as KINFOLD_OPERATOR says, else ``user@host``."""
    if given := os.environ.get("KINFOLD_OPERATOR", "").strip():
        return given
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        user = f"uid-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def http_url(value: str | None) -> str | None:
    """The URL of an option, if a request can be sent to it. Raises BadParameter, which names the option."""
    if value is not None and not is_http_url(value):
        raise typer.BadParameter(f"{value!r} is no URL such as http://127.0.0.1:8080")
    if value is not None and "@" in urlsplit(value).netloc:
        raise typer.BadParameter("user and password have no place in it: services ask for tokens")
    return value


def check_proxy(url: str) -> None:
    """Raises ConfigurationError for a proxy of the environment that a request to ``url`` cannot be sent through."""
    for scheme in (urlsplit(url).scheme, "all"):
        proxy = "" if is_loopback_url(url) else getproxies().get(scheme, "")
        if proxy and not is_http_url(proxy if "://" in proxy else f"http://{proxy}"):
            raise ConfigurationError(f"{scheme.upper()}_PROXY cannot be used: it is no URL such as http://proxy:3128")


def is_http_url(value: str) -> bool:
    """Whether a request can be sent to it."""
    try:
        parts = urlsplit(value)
        host = (parts.hostname or "").encode("idna")
        known = parts.scheme in {"http", "https"} and parts.port != 0
    except ValueError:  # of brackets, a port, or the length of a name
        return False
    return bool(host) and known and value.isascii() and value.isprintable() and " " not in value


def bearer_token(value: str | None) -> str | None:
    """The token of an option; None for an empty one. Raises BadParameter, which names the option and not the token."""
    if value and not _TOKEN.fullmatch(value):
        raise typer.BadParameter("a token has letters, digits and ._~+/- alone: copy it as `kinfold token` printed it")
    return value or None
